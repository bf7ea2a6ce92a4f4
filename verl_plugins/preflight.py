"""Checks of a composed run that would otherwise fail late, or not at all. Imports neither verl, ray nor vllm."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from verl_plugins.config import TRAINER_MODE
from verl_plugins.methods import METHODS
from verl_plugins.methods.config import config_from_node


def check_run(config: DictConfig) -> list[str]:
    """Everything in the run's config and data that its methods cannot work with.

    Args:
        config: verl's composed config (``ppo_trainer``).

    Returns:
        One line a problem: what, got, expected, which key to set. Empty when the run can start.
    """
    methods = [name for name in METHODS if OmegaConf.select(config, f"algorithm.{name}") is not None]
    return [
        *_check_knobs(config, methods),
        *_check_trainer(config, methods),
        *(problem for key in ("train_files", "val_files") for problem in _check_files(config, key)),
    ]


def _check_knobs(config: DictConfig, methods: list[str]) -> list[str]:
    problems = []
    for name in methods:
        try:
            config_from_node(METHODS[name][0], config.algorithm[name], f"algorithm.{name}")
        except ValueError as error:
            problems.append(str(error))
    return problems


def _check_trainer(config: DictConfig, methods: list[str]) -> list[str]:
    problems = []

    def expect(key: str, accepted, expected: str) -> None:
        got = OmegaConf.select(config, key)
        if not accepted(got):
            problems.append(f"{key}: got {got}, expected {expected}; set {key}")

    expect("trainer.use_v1", lambda got: got is True, "true (the methods are stages of verl's V1 trainer)")
    expect("trainer.v1.trainer_mode", lambda got: got == TRAINER_MODE, f"{TRAINER_MODE}, which +method sets")
    expect("algorithm.adv_estimator", lambda got: got == "grpo" or got in METHODS, f"grpo or {', '.join(METHODS)}")
    estimator = config.algorithm.adv_estimator
    if estimator in METHODS and estimator not in methods:
        problems.append(
            f"algorithm.{estimator}: got nothing, expected its settings; start the run with +method={estimator}"
        )
    if methods:
        bypass = "algorithm.rollout_correction.bypass_mode"
        expect(bypass, lambda got: not got, "false (bypass mode computes neither old log-probs nor entropy)")
        expect("actor_rollout_ref.rollout.n", lambda got: got >= 2, ">= 2 responses in a group")
    if "vepo" in methods:
        actor = "actor_rollout_ref.actor"
        reads = "(vepo reads the hidden states of verl's FSDP engine)"
        expect(
            f"{actor}.loss_agg_mode", lambda got: got == "token-mean", "token-mean, for which vepo's weights are made"
        )
        expect(f"{actor}.strategy", lambda got: got in ("fsdp", "fsdp2"), f"fsdp or fsdp2 {reads}")
        expect(f"{actor}.ulysses_sequence_parallel_size", lambda got: got == 1, f"1 {reads}")
        expect("actor_rollout_ref.model.use_fused_kernels", lambda got: not got, f"false {reads}")
    return problems


def _check_files(config: DictConfig, key: str) -> list[str]:
    """The rows' images, read without their bytes."""
    files = config.data.get(key)
    image_key = config.data.get("image_key", "images")
    if files is None:
        return [f"data.{key}: got nothing, expected a parquet file; set data.{key}"]
    problems = []
    for file in [files] if isinstance(files, str) else list(files):
        path = Path(str(file)).expanduser()
        if "://" in str(file) or path.suffix != ".parquet":
            continue  # remote, or a format that verl reads and this check does not
        if not path.is_file():
            problems.append(f"data.{key}: got {file}, expected a file that exists; set data.{key}")
        elif config.data.get("require_images"):
            problems.extend(f"data.{key}: {file}: {problem}" for problem in _check_images(path, image_key))
    return problems


def _check_images(path: Path, image_key: str) -> list[str]:
    file = pq.ParquetFile(path)
    columns = [file.schema.column(i).path for i in range(len(file.schema))]
    leaves = [column for column in columns if column.split(".")[0] == image_key]
    if not leaves:
        found = ", ".join(file.schema_arrow.names)
        return [
            f"got columns {found}, expected a column {image_key!r}; set data.image_key, or data.require_images=false"
        ]
    lightest = next((leaf for leaf in leaves if leaf.endswith(".path")), leaves[0])
    images = file.read(columns=[lightest]).column(image_key).to_pylist()
    without = [row for row, value in enumerate(images) if not value]
    if not without:
        return []
    rows = ", ".join(map(str, without[:5])) + (", ..." if len(without) > 5 else "")
    return [
        f"got {len(without)} of {len(images)} rows without an image (rows {rows}), expected an image in every row; "
        "leave these rows out, or set data.require_images=false to train on them as text"
    ]
