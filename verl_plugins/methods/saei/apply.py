"""SaEI on a global batch: the metrics ``saei/*`` of clean and adversarial responses. The advantages are GRPO's."""

from __future__ import annotations

from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.halves import metrics_of_halves
from verl_plugins.methods.saei.maths import KEY, SaEIConfig
from verl_plugins.methods.saei.second_sampling import ADVERSARIAL


def apply(batch: AdvantageBatch, config: SaEIConfig) -> tuple[Tensor, dict[str, float]]:
    """Return the advantages (B, T) unchanged, and metrics over clean and adversarial responses.

    Raises:
        ValueError: the batch does not say which responses were sampled on an adversarial image.
    """
    (adversarial,) = batch.signals(KEY, ADVERSARIAL)
    return batch.advantages, metrics_of_halves(batch, adversarial, "saei", ADVERSARIAL)
