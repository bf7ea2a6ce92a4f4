"""The worker processes of the maths reward: time limits hold, the next answer is right, nothing is left over."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from reward_fns import algebra, math

LIMIT = 0.5  # seconds
SLACK = 20  # seconds that a busy machine may add to a limit

PATHOLOGICAL = {
    "power tower": "9^{9^{9^9}}",
    "tower of factorials": "((9!)!)!",
    "deep brackets": "(" * 450 + "1" + ")" * 450,
    "deep fractions": "\\frac{1}{" * 90 + "2" + "}" * 90,
    "deep roots": "\\sqrt{" * 130 + "2" + "}" * 130,
    "deep exponents": "2^{" * 200 + "2" + "}" * 200,
    "long product": "(x+1)" * 190,
    "large expansion": "(a+b+c+d+e+f+g)^{5000}",
    "huge sum": "\\sum_{i=1}^{10^{12}} i^{i}",
    "integral": "\\int_{0}^{1} x^{x^{x^{x}}} \\sin(x^{x}) dx",
    "long number": "1" * 990 + "x",
    "open brackets": "(" * 900,
    "nothing known": "\\foo" * 200,
}


@pytest.fixture(autouse=True)
def fresh_pool():
    """Give each test its own pool, and close it afterwards."""
    shared = algebra._idle
    algebra._new_pool()
    yield
    while not algebra._idle.empty():
        algebra._idle.get().close()
    algebra._idle = shared


def score(answer, gold="2\\sqrt{3}", **kwargs):
    return math.compute_score("mmk12", f"<think>so</think> \\boxed{{{answer}}}", gold, form="free", **kwargs)


def family_of(pid):
    """Return the ids of the processes below one; empty if it has ended."""
    try:
        return {child.pid for child in psutil.Process(pid).children(recursive=True)}
    except psutil.NoSuchProcess:
        return set()


def wait_until(is_so):
    deadline = time.monotonic() + SLACK
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


def test_expressions_are_compared_in_another_process():
    outcome, seconds = algebra.compare("2\\sqrt{3}", "\\sqrt{12}", 60)
    assert outcome == "equal" and seconds > 0
    assert algebra.compare("2\\sqrt{3}", "\\sqrt{13}", 60)[0] == "different"
    assert algebra.compare("2\\sqrt{", "2\\sqrt{", 60)[0] == "different"


def test_the_start_of_a_process_does_not_count(monkeypatch):
    start, wait = algebra._start, 2

    def start_slowly():
        time.sleep(wait)
        return start()

    monkeypatch.setattr(algebra, "_start", start_slowly)
    before = time.monotonic()
    outcome, seconds = algebra.compare("2\\sqrt{3}", "\\sqrt{12}", 60)
    assert outcome == "equal"
    assert 0 < seconds <= time.monotonic() - before - wait


def test_a_file_in_the_working_directory_does_not_stand_in_for_the_library(tmp_path, monkeypatch):
    for name in ("dis", "random", "sympy", "math_verify", "reward_fns"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the file of the working directory')")
    (tmp_path / "elsewhere" / "reward_fns").mkdir(parents=True)
    (tmp_path / "elsewhere" / "reward_fns" / "__init__.py").write_text("raise SystemExit('another reward_fns')")
    monkeypatch.chdir(tmp_path)
    for path in ("", str(tmp_path), str(tmp_path / "elsewhere")):
        monkeypatch.setenv("PYTHONPATH", path)
        algebra._new_pool()
        assert algebra.compare("2\\sqrt{3}", "\\sqrt{12}", 60)[0] == "equal"


def test_equal_pairs_are_compared_once_and_what_had_no_result_again(monkeypatch):
    asked, outcomes = [], {"x": "equal", "y": "different", "(": "bad_gold", "late": "timeout", "dead": "error"}

    def ask(worker, grader, gold, answer, seconds):
        asked.append(gold)
        return outcomes[gold]

    monkeypatch.setattr(algebra.Worker, "ask", ask)
    for _ in range(3):
        assert [algebra.compare(gold, "1", 60)[0] for gold in outcomes] == list(outcomes.values())
    assert asked == ["x", "y", "(", "late", "dead", "late", "dead", "late", "dead"]
    algebra.compare("x", "2", 60)
    algebra.compare("x", "1", 60, "math_verify")
    assert asked[9:] == ["x", "x"]  # another answer, another grader


def test_the_oldest_results_are_forgotten(monkeypatch):
    asked = []
    monkeypatch.setattr(algebra.Worker, "ask", lambda worker, grader, gold, answer, seconds: asked.append(1) or "equal")
    for number in range(algebra.REMEMBERED + 1):
        algebra.compare("x", str(number), 60)
    assert len(algebra._results) == algebra.REMEMBERED
    algebra.compare("x", "1", 60)
    assert len(asked) == algebra.REMEMBERED + 1
    algebra.compare("x", "0", 60)
    assert len(asked) == algebra.REMEMBERED + 2


def test_math_verifys_own_grader_in_the_same_processes():
    def graded(gold, answer):
        return algebra.compare(gold, answer, 60, "math_verify")[0]

    assert graded("2\\sqrt{3}", "\\sqrt{12}") == "equal"
    assert graded("2\\sqrt{3}", "\\sqrt{13}") == "different"
    assert graded("1.6\\times 10^{-19}", "3.2\\times 10^{-19}") == "equal"  # its tolerance is absolute
    assert graded("5", "5 \\text{ cm}") == "equal"  # it drops units, which our algebra never sees
    assert graded("", "1") == "bad_gold"
    assert algebra.compare("2\\sqrt{3}", "9^{9^{9^9}}", 0.5, "math_verify")[0] == "timeout"


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_each_ends_within_its_limit_and_the_next_answer_is_right(name):
    assert score("\\sqrt{12}", timeout_s=60)["accuracy"] == 1.0  # a worker is running
    started = time.monotonic()
    result = score(PATHOLOGICAL[name], timeout_s=LIMIT)
    assert time.monotonic() - started < LIMIT + SLACK
    assert result["accuracy"] == 0.0
    assert result["status"] in ("ok", "timeout", "error")
    assert score("\\sqrt{3}+\\sqrt{3}", timeout_s=60)["accuracy"] == 1.0


def test_a_power_tower_is_ended_by_the_limit():
    assert score("9^{9^{9^9}}", timeout_s=LIMIT)["status"] == "timeout"
    assert score("x", gold="9^{9^{9^9}}", timeout_s=LIMIT)["accuracy"] == 0.0


@pytest.mark.parametrize("text", ["x" * 100_000, "(" * 100_000, "1" * 100_000, "\\frac{1}{" * 10_000, "$" * 100_000])
def test_an_answer_of_100_kb_costs_nothing(text):
    started = time.monotonic()
    for response in (text, f"<answer>{text}</answer>", f"\\boxed{{{text}}}"):
        assert math.compute_score("x", response, "2\\sqrt{3}", form="free")["accuracy"] == 0.0
    assert time.monotonic() - started < 5
    assert not any(worker.process for worker in algebra._idle.queue)  # no process was asked


def test_32_threads_at_once():
    answers = ["\\sqrt{12}", "9^{9^{9^9}}", "12", "2\\sqrt{3}+0"] * 8
    started = time.monotonic()
    with ThreadPoolExecutor(32) as threads:
        results = list(threads.map(lambda a: score(a, timeout_s=LIMIT if "9" in a else 60), answers))
    # 8 of them take their whole limit, in WORKERS processes
    assert time.monotonic() - started < 8 * LIMIT / algebra.WORKERS + SLACK
    assert [result["status"] for result in results] == ["ok", "timeout", "ok", "ok"] * 8
    assert [result["accuracy"] for result in results] == [1.0, 0.0, 0.0, 1.0] * 8


def test_processes_do_not_pile_up():
    before = family_of(os.getpid())
    for _ in range(5):
        score("9^{9^{9^9}}", timeout_s=0.1)
    ours = family_of(os.getpid()) - before
    assert 0 < len(ours) <= 2 * algebra.WORKERS  # of each worker, the one that works and the one that replaces it
    while not algebra._idle.empty():
        algebra._idle.get().close()
    assert wait_until(lambda: not ours & family_of(os.getpid()))


def test_a_worker_that_was_killed_is_replaced():
    score("\\sqrt{12}", timeout_s=60)
    (worker,) = [worker for worker in algebra._idle.queue if worker.process]
    for pid in [worker.process.pid, *family_of(worker.process.pid)]:
        os.kill(pid, signal.SIGKILL)
    assert score("\\sqrt{3}+\\sqrt{3}", timeout_s=60)["status"] == "error"
    assert score("\\sqrt{3}+\\sqrt{3}", timeout_s=60)["accuracy"] == 1.0


def test_the_death_of_an_idle_child_moves_no_reply_to_another_request():
    score("\\sqrt{12}", timeout_s=60)
    (worker,) = [worker for worker in algebra._idle.queue if worker.process]
    for answer, is_right in [
        ("\\sqrt{3}+\\sqrt{3}", 1.0),
        ("\\sqrt{13}", 0.0),
        ("4\\sqrt{3}-2\\sqrt{3}", 1.0),
        ("\\sqrt{14}", 0.0),
    ]:
        (child,) = family_of(worker.process.pid)
        os.kill(child, signal.SIGSEGV)
        assert wait_until(lambda dead=child: family_of(worker.process.pid) not in ({dead}, set()))
        assert score(answer, timeout_s=60) == pytest.approx(
            {"score": 0.1 + 0.9 * is_right, "accuracy": is_right, "format": 1.0, "status": "ok"}
        )


def test_a_child_that_crashes_at_work_is_an_error_and_is_replaced():
    score("\\sqrt{12}", timeout_s=60)
    (worker,) = [worker for worker in algebra._idle.queue if worker.process]
    (child,) = family_of(worker.process.pid)
    with ThreadPoolExecutor(1) as thread:
        at_work = thread.submit(score, "9^{9^{9^9}}", timeout_s=60)
        time.sleep(1)
        os.kill(child, signal.SIGSEGV)
        assert at_work.result()["status"] == "error"
    assert score("\\sqrt{3}+\\sqrt{3}", timeout_s=60)["accuracy"] == 1.0


def test_nothing_outlives_a_process_that_is_killed_at_work():
    code = (
        "import threading, time\nfrom reward_fns import algebra\n"
        "threading.Thread(target=algebra.compare, args=('x', '9^{9^{9^9}}', 3), daemon=True).start()\n"
        "while len(algebra._idle.queue) == algebra.WORKERS: time.sleep(0.01)\n"
        "time.sleep(2)\nprint('working', flush=True)\ntime.sleep(60)\n"
    )
    asker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert asker.stdout.readline() == "working\n"
    family = family_of(asker.pid)
    assert family
    asker.kill()
    asker.wait()
    asker.stdout.close()
    assert wait_until(lambda: not any(psutil.pid_exists(pid) for pid in family))


def test_a_forked_process_has_workers_of_its_own():
    score("\\sqrt{12}", timeout_s=60)
    pid = os.fork()
    if pid == 0:
        is_new = not any(worker.process for worker in algebra._idle.queue)
        os._exit(0 if is_new else 1)
    assert os.waitpid(pid, 0)[1] == 0
