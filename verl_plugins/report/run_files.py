"""Find the files of a run: its metrics, from whichever of verl's loggers wrote them, its config and its data."""

from pathlib import Path
from typing import Any

import yaml

from verl_plugins.report.events import event_folder, read_events
from verl_plugins.report.metrics import MetricLog, load_metrics, merge_records, read_json_lines


def load_run(run_dir: Path) -> MetricLog:
    """Load the metrics of a running or finished run.

    They are read from ``metrics.jsonl`` if it exists, else from the only other file of verl's "file" logger, else from
    TensorBoard's event files in the directory or below it.

    Raises:
        FileNotFoundError: there are no metrics.
        ValueError: there are the metrics of several runs, or no step was logged yet.
    """
    if not run_dir.is_dir():
        raise FileNotFoundError(f"{run_dir}: got no such directory, expected that of a run")
    file = _json_lines(run_dir)
    if file:
        return load_metrics(file)
    folder = event_folder(run_dir)
    if folder is None:
        raise FileNotFoundError(
            f"{run_dir}: got no metrics, expected metrics.jsonl or TensorBoard's event files; run with "
            f"trainer.logger=[console,file] and VERL_FILE_LOGGER_PATH={run_dir}/metrics.jsonl, or with "
            f"trainer.logger=[console,tensorboard] and TENSORBOARD_DIR={run_dir}/tensorboard"
        )
    return merge_records(read_events(folder), unreadable=0, path=folder)


def validation_file(run_dir: Path) -> Path | None:
    """Return the validation parquet named by Hydra's copy of the run's config; None if either does not exist."""
    files = (_config(run_dir).get("data") or {}).get("val_files")
    files = [files] if isinstance(files, str) else files or []
    path = Path(files[0]).expanduser() if len(files) == 1 else None
    return path if path and path.is_file() else None


def grounding_settings(run_dir: Path) -> dict[str, Any]:
    """Return the settings of this package's grounding reward in Hydra's copy of the run's config; {} if it has none."""
    custom = (_config(run_dir).get("reward") or {}).get("custom_reward_function") or {}
    settings = custom.get("reward_kwargs") or {}
    path = str(custom.get("path")).removesuffix(".py")  # a file, or pkg://reward_fns.auto
    if path.endswith(("reward_fns/auto", "reward_fns.auto")):
        return settings.get("grounding") or {}
    return settings if path.endswith(("reward_fns/grounding", "reward_fns.grounding")) else {}


def _config(run_dir: Path) -> dict[str, Any]:
    """Read Hydra's copy of the run's config, from the directory or a direct subdirectory; {} if there is none."""
    files = sorted([*run_dir.glob(".hydra/config.yaml"), *run_dir.glob("*/.hydra/config.yaml")])
    return yaml.safe_load(files[0].read_text(encoding="utf-8")) if files else {}


def _json_lines(run_dir: Path) -> Path | None:
    if (run_dir / "metrics.jsonl").is_file():
        return run_dir / "metrics.jsonl"
    candidates = [path for path in sorted(run_dir.glob("*.jsonl")) if _is_metrics(path)]
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise ValueError(f"{run_dir}: got metrics of several runs ({names}), expected those of one; move it to its own")
    return candidates[0] if candidates else None


def _is_metrics(path: Path) -> bool:
    rows = read_json_lines(path)[0][:1]
    return bool(rows) and isinstance(rows[0].get("data"), dict) and "step" in rows[0]
