"""Starts a script on ``gloo_engine`` in a process of its own, with the CPU as verl's platform."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run(script: str, folder: Path) -> None:
    """Run a script of ``tests/support``, which writes into ``folder``; it must end with exit code 0."""
    env = {**os.environ, "VERL_PLATFORM": "cpu", "VERL_ENGINE_DEVICE": "cuda"}
    env["PYTHONPATH"] = os.pathsep.join(map(str, [TESTS.parent, TESTS / "support"]))
    command = [sys.executable, TESTS / "support" / script, folder]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
