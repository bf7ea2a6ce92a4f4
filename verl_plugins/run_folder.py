"""The run folder: ``run_dir=outputs/first`` gives everything that a run leaves one place, and a name.

    RUN_DIR/
      attempts/NNN.jsonl   metrics, one file a start (verl's file logger empties its file when a run is resumed)
      metrics.jsonl        the metrics of all starts, one line a step, written when a start ends
      tensorboard/         the same for TensorBoard, with some validation samples as text
      checkpoints/         what the same command resumes from
      validation/          responses of each validation
      tokens/, vppo_tokens/, adversarial/      what a method records of some steps
      hydra/.hydra/        the composed config and the overrides of the last start
      report.html          written by `verl-plugins report RUN_DIR`

``config/shared/trainer.yaml`` derives verl's own keys from ``run_dir``; one that is set on the command line wins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

DERIVED = (
    "trainer.experiment_name",
    "trainer.logger",
    "trainer.default_local_dir",
    "trainer.validation_data_dir",
    "trainer.record_dir",
    "trainer.save_freq",
    "trainer.max_actor_ckpt_to_keep",
    "trainer.test_freq",
    "trainer.log_val_generations",
)
"""Keys that ``config/shared/trainer.yaml`` derives from ``run_dir``."""

CONFIG = Path("hydra/.hydra/config.yaml")
"""Hydra's copy of the config, below the run folder."""

METRICS, ATTEMPTS, TENSORBOARD = "metrics.jsonl", "attempts", "tensorboard"

# verl's loggers read them in the trainer's process
_FILE_LOGGER = "VERL_FILE_LOGGER_PATH"
_TENSORBOARD_LOGGER = "TENSORBOARD_DIR"


def register_resolvers() -> None:
    """Register the resolvers that ``config/shared/trainer.yaml`` uses. Idempotent."""
    OmegaConf.register_new_resolver("with_run_dir", _with_run_dir, replace=True)
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


def folder_named(config: DictConfig) -> str:
    """Return ``run_dir`` as text, "" without one: Hydra reads ``run_dir=2026`` as a number."""
    run_dir = config.get("run_dir")
    return "" if run_dir is None else str(run_dir)


def _with_run_dir(value: Any, otherwise: Any, *, _root_: DictConfig) -> Any:
    """``${with_run_dir:A,B}`` is A if the run has a folder, else B."""
    return value if folder_named(_root_) else otherwise


def _run_name(otherwise: str, *, _root_: DictConfig) -> str:
    """``${run_name:B}`` is the last part of ``run_dir``, or B without one."""
    run_dir = folder_named(_root_)
    return Path(run_dir).expanduser().resolve().name if run_dir else otherwise


def settle(config: DictConfig) -> None:
    """Replace what the run derives from ``run_dir`` by its values, in place: the trainer's process, which resolves the
    config, may run in another working directory.

    The two loggers that verl configures by the environment get their paths through Ray's runtime environment, because
    a running Ray has another environment; a variable that is set already wins.
    """
    with open_dict(config):
        if run_dir := folder_named(config):
            config.run_dir = str(Path(run_dir).expanduser().resolve())
            folder = Path(config.run_dir)
            variables = OmegaConf.select(config, "ray_kwargs.ray_init.runtime_env.env_vars")
            paths = {_FILE_LOGGER: next_attempt(folder), _TENSORBOARD_LOGGER: folder / TENSORBOARD}
            for name, path in paths.items():
                if name not in variables:
                    variables[name] = os.environ.get(name) or str(path)
        for key in DERIVED:
            OmegaConf.update(config, key, OmegaConf.select(config, key))


def next_attempt(folder: Path) -> Path:
    """Return the file for the metrics of the next start, the first number that is free."""
    numbers = [int(path.stem) for path in (folder / ATTEMPTS).glob("*.jsonl") if path.stem.isdecimal()]
    return folder / ATTEMPTS / f"{max(numbers, default=-1) + 1:03d}.jsonl"


def create_folders(config: DictConfig) -> None:
    """Create the folder of the file logger, which verl does not create, if it is the run folder's."""
    run_dir = folder_named(config)
    path = Path(str(OmegaConf.select(config, f"ray_kwargs.ray_init.runtime_env.env_vars.{_FILE_LOGGER}")))
    if run_dir and path.is_relative_to(run_dir):
        path.parent.mkdir(parents=True, exist_ok=True)


def has_metrics(folder: Path) -> bool:
    """Tell whether a run has logged a step into the folder."""
    files = [folder / METRICS, *(folder / ATTEMPTS).glob("*.jsonl")]
    return any(path.is_file() and path.stat().st_size for path in files) or has_events(folder / TENSORBOARD)


def has_events(folder: Path) -> bool:
    """Tell whether TensorBoard's files are in the folder itself."""
    return any(folder.glob("events.out.tfevents.*"))


def will_resume(config: DictConfig) -> bool:
    """Tell whether verl will go on from a checkpoint."""
    if config.trainer.resume_mode == "auto":
        return (Path(config.trainer.default_local_dir) / "latest_checkpointed_iteration.txt").is_file()
    return config.trainer.resume_mode == "resume_path"


def flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for each leaf of nested mappings. A list is a leaf."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node
