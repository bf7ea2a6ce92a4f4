"""NoisyRollout on a global batch: metrics of clean and noisy responses. The advantages are GRPO's over both."""

from __future__ import annotations

from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.halves import metrics_of_halves
from verl_plugins.methods.noisyrollout.maths import KEY, NoisyRolloutConfig
from verl_plugins.methods.noisyrollout.noisy_sampling import NOISY


def apply(batch: AdvantageBatch, config: NoisyRolloutConfig) -> tuple[Tensor, dict[str, float]]:
    """Return the advantages (B, T) unchanged, and metrics over clean and noisy responses.

    Raises:
        ValueError: the batch does not say which responses were sampled on a noisy image.
    """
    (noisy,) = batch.signals(KEY, NOISY)
    return batch.advantages, metrics_of_halves(batch, noisy, "noisyrollout", NOISY)
