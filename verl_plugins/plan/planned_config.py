"""The config that a plan is for, on as many GPUs and machines as the plan is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from verl_plugins.compose.named_run import named_run
from verl_plugins.methods import METHODS, load_installed_methods
from verl_plugins.preflight.counts import check_counts
from verl_plugins.preflight.model import check_model_folder
from verl_plugins.preflight.own_settings import check_knobs


def planned_config(words: Sequence[str], gpus: int | None, nodes: int | None) -> tuple[str, DictConfig]:
    """Compose the config of a run; see ``named_run`` for its words, and for what it returns and raises.

    Args:
        gpus: GPUs of each machine, in place of the run's own; None to keep these.
        nodes: machines, in place of the run's own; None to keep these.
    """
    sizes = {"trainer.n_gpus_per_node": gpus, "trainer.nnodes": nodes}
    return named_run(words, [f"{key}={size}" for key, size in sizes.items() if size is not None])


def problems_of_plan(config: DictConfig) -> list[str]:
    """Find what a plan cannot be computed from, in the words of the preflight: numbers, knobs, the model's folder."""
    load_installed_methods()
    methods = [name for name in METHODS if config.algorithm.get(name) is not None]
    return [*check_counts(config), *check_knobs(config, methods), *check_model_folder(config)]
