"""Watchdog: runs a training command so that it always ends, and leaves no process behind.

A worker that dies while verl waits for it can leave the driver waiting forever, and a killed driver leaves Ray and vLLM
processes behind. A watched command has a time limit and a limit on silence. Every process that it started, at whatever
depth, inherits a mark in its environment, by which it is found and ended. Ray's and vLLM's workers overwrite their
environment with their title (setproctitle): they are found as descendants of a process that has the mark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

MARK = "VERL_PLUGINS_RUN"


class RunFailed(RuntimeError):
    """The command failed; the message says how, and quotes the last lines of its log."""


def run_watched(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    limit_s: float,
    silence_s: float = 300.0,
    mark_file: Path | None = None,
    on_poll: Callable[[], None] = lambda: None,
) -> None:
    """Run ``command`` with its output appended to ``log`` and leave no process behind.

    Args:
        command: program and arguments.
        log: file for stdout and stderr.
        env: variables to add to this process's environment.
        limit_s: wall-clock limit in seconds.
        silence_s: the run counts as hung after so many seconds without a new line in the log.
        mark_file: file for the mark of the run's processes, with which ``end_processes`` can end them if this process
            is killed.
        on_poll: called about twice a second while the command runs.

    Raises:
        RunFailed: a non-zero exit code, the limit, or silence.
    """
    mark = uuid.uuid4().hex
    if mark_file is not None:
        mark_file.write_text(mark)
    started = time.monotonic()
    with log.open("ab") as output:
        os.utime(log)  # the age of an earlier run's last line does not count as silence
        log_start = log.stat().st_size
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {}), MARK: f"{os.environ.get(MARK, '')}:{mark}"},
            start_new_session=True,
        )
        verdict, log_end = None, None
        try:
            while process.poll() is None and verdict is None:
                time.sleep(0.5)
                on_poll()
                silence = time.time() - log.stat().st_mtime
                if time.monotonic() - started > limit_s:
                    verdict = f"ran longer than {limit_s:.0f} s"
                elif silence > silence_s:
                    verdict = f"wrote nothing for {silence:.0f} s"
            log_end = log.stat().st_size if verdict else None  # a process that is ended may write its stack
        finally:
            end_processes(mark)
    if verdict is None and process.returncode != 0:
        verdict = f"ended with exit code {process.returncode}"
    if verdict is not None:
        lines = log.read_bytes()[log_start:log_end].decode(errors="replace").splitlines()[-25:]
        raise RunFailed(f"{' '.join(command[:4])} ... {verdict}; full log: {log}\n" + "\n".join(lines))


def end_processes(mark: str, grace_s: float = 5.0) -> None:
    """End every process started under ``mark``: SIGTERM, and SIGKILL for what is left after ``grace_s`` seconds."""
    deadline = time.monotonic() + grace_s
    processes = marked_processes(mark)
    _signal(processes, signal.SIGTERM)
    # A worker whose parent has ended is nobody's descendant: it is remembered.
    while (processes := _running(processes | marked_processes(mark))) and time.monotonic() < deadline:
        time.sleep(0.1)
    while processes := _running(processes | marked_processes(mark)):
        _signal(processes, signal.SIGKILL)
        time.sleep(0.1)


def marked_processes(mark: str) -> set[psutil.Process]:
    """Return the running processes started under ``mark`` and their descendants; this process is left out."""
    marked = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # it has ended, belongs to another user, or is a zombie
            if process.pid != os.getpid() and mark in process.environ().get(MARK, ""):
                marked |= {process, *process.children(recursive=True)}
    return _running(marked) - {psutil.Process()}


def _running(processes: set[psutil.Process]) -> set[psutil.Process]:
    running = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                running.add(process)
    return running


def _signal(processes: set[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
