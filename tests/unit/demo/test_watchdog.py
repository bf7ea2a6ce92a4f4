"""A watched command always ends, and leaves nothing running."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from verl_plugins.demo.watchdog import MARK, RunFailed, marked_processes, run_watched

# Starts a grandchild in a session of its own, as Ray does, and writes its id.
SPAWN = (
    "import subprocess, sys; child = subprocess.Popen(['sleep', '600'], start_new_session=True);"
    "open(sys.argv[1], 'w').write(str(child.pid));"
)


def python(code, *arguments):
    return [sys.executable, "-c", code, *map(str, arguments)]


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_output_goes_to_the_log(tmp_path):
    polls = []
    code = "import time; print('hello'); time.sleep(5)"  # longer than a busy machine takes to look at it once
    run_watched(python(code), tmp_path / "log", limit_s=30, on_poll=lambda: polls.append(1))
    assert (tmp_path / "log").read_text() == "hello\n"
    assert polls


def test_failure_quotes_the_log(tmp_path):
    with pytest.raises(RunFailed, match=r"(?s)exit code 3.*the last words"):
        run_watched(python("print('the last words'); raise SystemExit(3)"), tmp_path / "log", limit_s=30)


def test_time_limit_ends_every_descendant(tmp_path):
    started = time.monotonic()
    with pytest.raises(RunFailed, match="ran longer than 2 s"):
        code = SPAWN + "import time; time.sleep(600)"
        run_watched(python(code, tmp_path / "pid"), tmp_path / "log", limit_s=2, mark_file=tmp_path / "mark")
    assert time.monotonic() - started < 20
    assert not is_running((tmp_path / "pid").read_text())
    assert marked_processes((tmp_path / "mark").read_text()) == set()


def test_what_it_writes_while_it_is_ended_is_not_its_last_words(tmp_path):
    """Ray's processes write their stack on SIGTERM, more lines than the message quotes."""
    code = (
        "import signal, time;"
        "signal.signal(signal.SIGTERM, lambda *_: (print('a stack\\n' * 100, flush=True), exit()));"
        "print('the last words', flush=True); time.sleep(600)"
    )
    with pytest.raises(RunFailed, match="the last words$"):
        run_watched(python(code), tmp_path / "log", limit_s=2)
    assert "a stack" in (tmp_path / "log").read_text()


def test_silence_ends_the_run(tmp_path):
    with pytest.raises(RunFailed, match="wrote nothing for"):
        run_watched(python("import time; time.sleep(600)"), tmp_path / "log", limit_s=60, silence_s=1)


def test_a_run_that_goes_on_hours_later_is_not_silent(tmp_path):
    log = tmp_path / "log"
    log.write_text("the last words of an earlier run\n")
    os.utime(log, (0, 0))
    run_watched(python("import time; time.sleep(1)"), log, limit_s=60, silence_s=30)
    with pytest.raises(RunFailed, match="ended with exit code 3") as failed:
        run_watched(python("print('mine'); raise SystemExit(3)"), log, limit_s=60)
    assert "mine" in str(failed.value) and "earlier" not in str(failed.value)


def test_a_good_end_cleans_up_too(tmp_path):
    run_watched(python(SPAWN, tmp_path / "pid"), tmp_path / "log", limit_s=30)
    assert not is_running((tmp_path / "pid").read_text())


def test_a_watched_command_inside_a_watched_command_is_ended_with_it(tmp_path):
    inner = (
        "import sys, pathlib; from verl_plugins.demo.watchdog import run_watched;"
        f"run_watched([sys.executable, '-c', {SPAWN + 'import time; time.sleep(600)'!r}, sys.argv[1]],"
        "pathlib.Path(sys.argv[2]), limit_s=600)"
    )
    with pytest.raises(RunFailed, match="ran longer"):
        run_watched(python(inner, tmp_path / "pid", tmp_path / "inner.log"), tmp_path / "log", limit_s=4)
    assert not is_running((tmp_path / "pid").read_text())


def test_a_child_that_has_lost_its_mark_is_ended_when_its_parent_dies_first(tmp_path):
    """As a Ray worker: retitled, so that its environment cannot be read, and deaf to SIGTERM."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    code = (
        "import subprocess, sys, time;"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], env={{}}, start_new_session=True);"
        "open(sys.argv[1], 'w').write(str(child.pid)); time.sleep(600)"
    )
    with pytest.raises(RunFailed, match="ran longer than 3 s"):
        run_watched(python(code, tmp_path / "pid"), tmp_path / "log", limit_s=3)
    assert not is_running((tmp_path / "pid").read_text())


def test_zombies_and_processes_of_other_users_are_skipped(monkeypatch):
    mark = "a mark of this test"
    environment = {**os.environ, MARK: f":{mark}"}
    ended = subprocess.Popen(["true"], env=environment)
    running = subprocess.Popen(["sleep", "600"], env=environment)
    try:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has collected it
        assert marked_processes(mark) == {psutil.Process(running.pid)}
        read = psutil.Process.environ

        def foreign(process):
            if process.pid == running.pid:
                raise psutil.AccessDenied(process.pid)
            return read(process)

        monkeypatch.setattr(psutil.Process, "environ", foreign)
        assert marked_processes(mark) == set()
    finally:
        running.kill()
        running.wait()
        ended.wait()
