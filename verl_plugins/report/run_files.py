"""Find the files of a run: its metrics, from whichever of verl's loggers wrote them, its config and its data."""

import json
from pathlib import Path
from typing import Any

import yaml

from data_prep.atomic import write_atomically
from verl_plugins.report.events import event_folder, read_events
from verl_plugins.report.metrics import MetricLog, load_metrics, merge_records, read_json_lines
from verl_plugins.run_folder import ATTEMPTS, METRICS

FACTS = "run.json"
"""Title, method, versions and so on of a run; optional."""


def load_run(run_dir: Path) -> MetricLog:
    """Load the metrics of a running or finished run.

    They are read from ``attempts/*.jsonl``, one file a start, if there are any; else from ``metrics.jsonl``, else from
    the only other file of verl's "file" logger, else from TensorBoard's event files in the directory or below it.

    Raises:
        FileNotFoundError: there are no metrics.
        ValueError: there are the metrics of several runs, or no step was logged yet.
    """
    if not run_dir.is_dir():
        raise FileNotFoundError(f"{run_dir}: got no such directory, expected that of a run")
    attempts = sorted((run_dir / ATTEMPTS).glob("*.jsonl"))
    if attempts:
        return load_metrics(*attempts)
    file = _json_lines(run_dir)
    if file:
        return load_metrics(file)
    folder = event_folder(run_dir)
    if folder is None:
        raise FileNotFoundError(
            f"{run_dir}: got no metrics, expected metrics.jsonl or TensorBoard's event files; train with "
            f"run_dir={run_dir}"
        )
    return merge_records(read_events(folder), unreadable=0, path=folder)


def merge_attempts(run_dir: Path) -> None:
    """Write ``metrics.jsonl``, one line a step, from the files of all starts; nothing before the first step."""
    attempts = sorted((run_dir / ATTEMPTS).glob("*.jsonl"))
    try:
        steps = load_metrics(*attempts).steps if attempts else []
    except ValueError:  # the first line is still being written
        return
    rows = [{"step": row["step"], "data": {key: row[key] for key in row if key != "step"}} for row in steps]
    if rows:
        write_atomically(run_dir / METRICS, "".join(json.dumps(row) + "\n" for row in rows))


def validation_files(config: dict[str, Any]) -> list[Path]:
    """Return the validation files that a run's config names and that exist."""
    files = (config.get("data") or {}).get("val_files")
    files = [files] if isinstance(files, str) else files or []
    return [path for path in (Path(file).expanduser() for file in files) if path.is_file()]


def grounding_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of this package's grounding reward in a run's config; {} if it has none."""
    custom = (config.get("reward") or {}).get("custom_reward_function") or {}
    settings = custom.get("reward_kwargs") or {}
    path = str(custom.get("path")).removesuffix(".py")  # a file, or pkg://reward_fns.auto
    if path.endswith(("reward_fns/auto", "reward_fns.auto")):
        return settings.get("grounding") or {}
    return settings if path.endswith(("reward_fns/grounding", "reward_fns.grounding")) else {}


def read_config(run_dir: Path) -> dict[str, Any]:
    """Read Hydra's copy of the run's config (``config_file``); {} if there is none.

    Raises:
        ValueError: it is no YAML mapping.
    """
    path = config_file(run_dir)
    if path is None:
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"got no YAML: {error}") from error
    if not isinstance(config, dict | None):
        raise ValueError(f"got a YAML {type(config).__name__}, expected a mapping")
    return config or {}


def config_file(run_dir: Path) -> Path | None:
    """Return Hydra's copy of the config in the directory or a direct subdirectory; None if there is none."""
    files = sorted([*run_dir.glob(".hydra/config.yaml"), *run_dir.glob("*/.hydra/config.yaml")])
    return files[0] if files else None


def read_facts(run_dir: Path) -> dict[str, str]:
    """Read ``run.json``, a flat object of strings; {} if there is none.

    Raises:
        ValueError: it is no JSON object.
    """
    path = run_dir / FACTS
    if not path.is_file():
        return {}
    facts = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(facts, dict):
        raise ValueError(f"got a JSON {type(facts).__name__}, expected an object of strings")
    return {str(key): str(value) for key, value in facts.items()}


def _json_lines(run_dir: Path) -> Path | None:
    if (run_dir / METRICS).is_file():
        return run_dir / METRICS
    candidates = [path for path in sorted(run_dir.glob("*.jsonl")) if _is_metrics(path)]
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise ValueError(f"{run_dir}: got metrics of several runs ({names}), expected those of one; move it to its own")
    return candidates[0] if candidates else None


def _is_metrics(path: Path) -> bool:
    rows = read_json_lines(path)[0][:1]
    return bool(rows) and isinstance(rows[0].get("data"), dict) and "step" in rows[0]
