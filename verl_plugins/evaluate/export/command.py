"""`python -m verl_plugins.evaluate export`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from verl_plugins.evaluate.export import lmms_eval, vlmevalkit
from verl_plugins.evaluate.export.answered import answers_in, model_name
from verl_plugins.evaluate.results_folder import output_folder

SUITES = ("vlmevalkit", "lmms_eval")


def export_run(folder: Path, suite: str, out: Path) -> int:
    """Write the answers of a results folder in a suite's format, print the files, and return the exit code.

    Raises:
        SystemExit: the folder holds no evaluation, its data changed, or none of its answers is to a question that the
            suite has.
    """
    output_folder(out)
    answers, model = answers_in(folder), model_name(folder)
    if suite == "vlmevalkit":
        paths = vlmevalkit.write(answers, model, out)
        known = vlmevalkit.DATASETS
    else:
        ended = datetime.fromtimestamp((folder / "results.jsonl").stat().st_mtime, UTC)
        paths = lmms_eval.write(answers, model, out, ended)
        known = lmms_eval.TASKS
    if not paths:
        names = "; ".join(f"{name}: {', '.join(splits)}" for name, splits in known.items())
        raise SystemExit(f"{folder}: got no answer to a question that {suite} has, expected these splits: {names}")
    print("\n".join(map(str, paths)))
    return 0
