"""Image reliance: only the tokens whose prediction changes most when the image is disturbed keep their advantage.

The token selection of "Spotlight on Token Perception", arXiv 2510.09285: of each response, the fraction k of the tokens
with the largest KL(P || Q), P given the image and Q given a perturbed image. fraction = 1 is GRPO, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.knobs import require
from verl_plugins.methods.method import Driver, Method
from verl_plugins.methods.run_checks import FSDP_STRATEGIES, RunChecks, expect_fsdp_engine

KEY = "algorithm.image_reliance"


@dataclass(frozen=True)
class ImageRelianceConfig:
    """Settings of image reliance.

    Args:
        fraction: share of each response's tokens that keep their advantage.
        sigma: standard deviation of the noise on the normalised pixels.
    """

    fraction: float = 0.4
    sigma: float = 2.0

    def __post_init__(self) -> None:
        require(KEY, self, "fraction", "a number in (0, 1]", lambda fraction: 0 < fraction <= 1)
        require(KEY, self, "sigma", "a number > 0", lambda sigma: sigma > 0)


def apply(batch: AdvantageBatch, config: ImageRelianceConfig) -> tuple[Tensor, dict[str, float]]:
    """Return the advantages (B, T) of a global batch, and the metrics ``image_reliance/*``."""
    (kl,) = batch.signals(KEY, "kl")
    mask = batch.response_mask.bool()
    if not mask.any():
        return batch.advantages, {}
    rank = kl.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    kept = (rank < (config.fraction * mask.sum(dim=1, keepdim=True)).ceil()) & mask
    return torch.where(kept, batch.advantages, 0.0), {
        "image_reliance/kl": kl[mask].double().mean().item(),
        "image_reliance/kl_kept": kl[kept].double().mean().item(),
    }


def requirements(run: RunChecks, config: ImageRelianceConfig) -> None:
    """Report an engine that cannot run the second forward."""
    expect_fsdp_engine(run, FSDP_STRATEGIES, "image_reliance reads the hidden states of verl's FSDP engine")


class ImageRelianceDriver(Driver):
    """Requests the forward on the perturbed image together with the old log-probabilities."""

    columns = ("kl",)

    def log_prob_request(self, step: int, total_steps: int, metrics: dict[str, Any]) -> Any:
        """Request the counterfactual forward with noise of ``sigma``."""
        from verl_plugins.components.counterfactual import Counterfactual

        return Counterfactual("gaussian", self.config.sigma, self.run_config.actor_rollout_ref.rollout.seed, step)


METHOD = Method(
    config=ImageRelianceConfig,
    apply=apply,
    driver="own_methods.image_reliance:ImageRelianceDriver",
    requirements=requirements,
    weighs_tokens=True,
    has_second_forward=True,
)
