"""A run as a report reads it, and the settings in which several runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from verl_plugins.report.alarms import alarm_spans
from verl_plugins.report.chart import STYLES
from verl_plugins.report.metrics import MetricLog
from verl_plugins.report.run_files import FACTS, config_file, load_run, read_config, read_facts
from verl_plugins.report.side_files import read_side_file
from verl_plugins.run_folder import DERIVED, flatten

_OF_THE_FOLDER = (*DERIVED, "run_dir", "ray_kwargs")  # settings that differ between any two runs


@dataclass(frozen=True)
class LoadedRun:
    """A run's files.

    Args:
        folder: its directory.
        name: what the report calls it; "" if it is the only one.
        style: number of its curves' style.
        log: its metrics.
        config: Hydra's copy of its config; {} if there is none.
        facts: content of `run.json`.
        alarms: steps at which each alarm rang.
        notes: which of its files could not be read; further ones are added while the report is made.
    """

    folder: Path
    name: str
    style: int
    log: MetricLog
    config: dict[str, Any]
    facts: dict[str, str]
    alarms: dict[str, list[tuple[int, int]]]
    notes: list[str]

    @property
    def title(self) -> str:
        """Its title, or the name of its folder."""
        return self.facts.get("title", self.folder.resolve().name)

    @property
    def last_step(self) -> int:
        """The last step that was logged."""
        return self.log.steps[-1]["step"]


def load_runs(folders: Sequence[Path]) -> list[LoadedRun]:
    """Load the runs of a report.

    Raises:
        FileNotFoundError: a folder has no metrics.
        ValueError: a folder has the metrics of several runs or none yet, or there are more runs than styles of curves.
    """
    if len(folders) > STYLES:
        raise ValueError(f"RUN_DIR: got {len(folders)} runs, expected at most {STYLES}, whose curves can be told apart")
    runs = []
    for style, (folder, name) in enumerate(zip(folders, run_names(folders), strict=True)):
        log, notes = load_run(folder), list[str]()
        config = read_side_file(config_file(folder) or folder, partial(read_config, folder), {}, notes)
        facts = read_side_file(folder / FACTS, partial(read_facts, folder), {}, notes)
        runs.append(LoadedRun(folder, name, style, log, config, facts, alarm_spans(log.steps), notes))
    return runs


def run_names(folders: Sequence[Path]) -> list[str]:
    """Name each folder by as few of its last parts as tell it from the others; "" if there is only one.

    Raises:
        ValueError: a folder is given twice.
    """
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise ValueError(f"RUN_DIR: got {', '.join(map(str, folders))}, expected different folders")
    if len(paths) == 1:
        return [""]
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-count:]).removeprefix("//") for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def differing_settings(runs: Sequence[LoadedRun]) -> list[list[str]]:
    """Return a row (key, value of each run) for each setting in which the runs' configs differ; "–" where not set."""
    configs = [dict(flatten(run.config)) for run in runs if run.config]
    if len(configs) < 2:
        return []
    rows = []
    for key in sorted({key for config in configs for key in config if key}):
        if any(key == each or key.startswith(f"{each}.") for each in _OF_THE_FOLDER):
            continue
        values = [repr(config.get(key)) for config in configs]
        if len(set(values)) > 1:
            rows.append([key, *(_text(dict(flatten(run.config)).get(key)) if run.config else "?" for run in runs)])
    return rows


def _text(value: Any) -> str:
    return "–" if value is None else str(value)
