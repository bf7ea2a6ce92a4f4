"""The config that a plan is for, on as many GPUs and machines as the plan is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from verl_plugins.compose.named_run import named_run


def planned_config(words: Sequence[str], gpus: int | None, nodes: int | None) -> tuple[str, DictConfig]:
    """Compose the config of a run; see ``named_run`` for its words, and for what it returns and raises.

    Args:
        gpus: GPUs of each machine, in place of the run's own; None to keep these.
        nodes: machines, in place of the run's own; None to keep these.
    """
    sizes = {"trainer.n_gpus_per_node": gpus, "trainer.nnodes": nodes}
    return named_run(words, [f"{key}={size}" for key, size in sizes.items() if size is not None])
