"""Whether the run folder is the run's own: two runs in one folder would be merged into one curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from verl_plugins.methods import METHODS
from verl_plugins.run_folder import CONFIG, DERIVED, flatten, folder_named, has_events, has_metrics, will_resume

SHOWN = 3  # differing settings in a message
OWN = ("actor_rollout_ref.model.path", "data.train_files")  # with the methods, what no resume changes
NOT_COMPARED = (*DERIVED, "run_dir", "hydra", "ray_kwargs", "trainer.health", "trainer.resume_mode")


def check_run_folder(config: DictConfig) -> list[str]:
    """Refuse a folder with another run's metrics, or with its checkpoint, from which this run would go on.

    A run that goes on from a checkpoint may have other settings, but not another model, other training files or another
    method. One that would start anew, because nothing was saved yet, must be the run that is there.
    """
    run_dir = folder_named(config)
    if not run_dir:
        return []
    folder = Path(run_dir).expanduser()
    saved, resumes = _saved_config(folder), will_resume(config)
    held = "metrics" if has_metrics(folder) else "checkpoint" if resumes else None
    if held is None:
        return []
    if saved is None:
        state = "cut off" if (folder / CONFIG).is_file() else "missing"
        differing = {} if resumes else {f"{CONFIG}, its config": (state, "there")}
    else:
        differing = _differences(saved, config)
        if resumes:
            differing = {key: value for key, value in differing.items() if key in OWN or key == "method"}
    if not differing:
        return []
    return [
        f"run_dir: got {folder}, which holds the {held} of another run ({_text(differing)}), expected a folder of its "
        f"own; set run_dir, or remove that one"
    ]


def other_settings(config: DictConfig) -> str:
    """Say what a run that goes on from a checkpoint in its folder changes; empty if nothing."""
    run_dir = folder_named(config)
    saved = _saved_config(Path(run_dir)) if run_dir else None
    if saved is None or not will_resume(config):
        return ""
    differing = _differences(saved, config)
    return f"{run_dir}: goes on with other settings: {_text(differing)}" if differing else ""


def shared_tensorboard(config: DictConfig, environ: dict[str, str]) -> str:
    """Say that a run without a folder of its own would add to another run's TensorBoard curves; empty if not."""
    logger = config.trainer.logger
    names = [logger] if isinstance(logger, str) else list(logger or [])
    default = f"tensorboard_log/{config.trainer.project_name}/{config.trainer.experiment_name}"
    folder = Path(environ.get("TENSORBOARD_DIR", default))
    if folder_named(config) or "tensorboard" not in names or will_resume(config) or not has_events(folder):
        return ""
    return (
        f"TensorBoard: {folder} holds the curves of another run, to which this one adds its own; for a folder of its "
        f"own, set run_dir, e.g. run_dir=outputs/first"
    )


def _saved_config(folder: Path) -> dict[str, Any] | None:
    """Return Hydra's copy of the config in a run folder; None without one, or if it was cut off."""
    path = folder / CONFIG
    try:
        saved = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (yaml.YAMLError, ValueError):
        return None
    return saved if isinstance(saved, dict) else None


def _differences(saved: dict[str, Any], config: DictConfig) -> dict[str, tuple[Any, Any]]:
    """Return, by key, the saved and the current value where they differ; ``method`` stands for the methods' names."""
    now = OmegaConf.to_container(config, resolve=False)
    before_and_now = [dict(flatten(each)) | {"method": _methods(each)} for each in (saved, now)]
    before, current = before_and_now
    keys = [key for key in dict.fromkeys([*before, *current]) if not _is_left_out(key)]
    return {
        key: (before.get(key, "not set"), current.get(key, "not set"))
        for key in sorted(keys, key=lambda key: key != "method")
        if before.get(key, "not set") != current.get(key, "not set")
    }


def _methods(config: Any) -> str:
    algorithm = config.get("algorithm") or {}
    return ", ".join(name for name in METHODS if algorithm.get(name) is not None) or "grpo"


def _is_left_out(key: str) -> bool:
    return any(key == each or key.startswith(f"{each}.") for each in NOT_COMPARED)


def _text(differing: dict[str, tuple[Any, Any]]) -> str:
    shown = [f"{key}: {before} there, {now} now" for key, (before, now) in list(differing.items())[:SHOWN]]
    more = [f"{len(differing) - SHOWN} more"] if len(differing) > SHOWN else []
    return "; ".join([*shown, *more])
