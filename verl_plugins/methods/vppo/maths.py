"""VPPO: gradient for the tokens whose prediction depends most on the image, and more of it for responses that depend on
it as a whole.

"Spotlight on Token Perception for Multimodal Reinforcement Learning", arXiv 2510.09285. P is the old policy given the
image, Q the old policy given a perturbed image, both evaluated on the response sampled from P.

    S_t  = KL(P || Q) at token t, nats                          dependency of a token
    S    = mean of S_t over the response                        dependency of a response
    n    = (S - min S) / (max S - min S) over the batch         in [0, 1]
    a    = weight_min + (weight_max - weight_min) n             weight of a response
    A'_t = m_t a A_t,   m_t = 1 for the ceil(k T) tokens of the response with the largest S_t, else 0     k = 0.4

weight_max = None takes weight_min + (1 - weight_min) / mean(n), with which the mean weight is 1. The mean of verl's
loss goes over all tokens, those without gradient included, as in the paper's equation 6 and in the released code.
fraction = 1 with weight_min = 1 (and weight_max = None or 1) is GRPO, bit for bit.

Degenerate cases: where the dependencies of a batch differ by no more than ``EQUAL``, every weight is 1. A row whose S_t
is 0 at every token has no image, so there is nothing to select by: it is trained as in GRPO, all tokens with weight 1,
and does not count in min, max and mean.

Differences from the released code (github.com/huaixuheqing/VPPO-RL):

- S_t is the divergence over the vocabulary, as in the paper's equation 3. The code has its one-sample estimate
  q/p - log(q/p) - 1, of the sampled token alone, at most 10.
- min, max and mean are taken over the rows of the step. The code takes min and max over a rank's mini-batch, and the
  mean over a micro-batch.
- The responses to a prompt share one perturbed image.
- Of a row without an image, the code drops an arbitrary 1 - k of the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.methods.knobs import is_number, require, require_perturbation
from verl_plugins.methods.token_selection import top_tokens
from verl_plugins.vision.perturb import Perturbation

KEY = "algorithm.vppo"

EQUAL = 1e-6
"""Range of the responses' dependencies, in nats, below which they count as equal; the released code's."""


@dataclass(frozen=True)
class VPPOConfig:
    """Settings of VPPO; the defaults are those of paper and released code.

    Args:
        fraction: share of each response's tokens that keep their advantage, in (0, 1].
        weight_min: weight of the batch's least dependent response, in [0, 1].
        weight_max: weight of the most dependent one, >= 1; None for the one that makes the mean weight 1.
        perturbation: of the image: "gaussian", "gaussian_pixels", "diffusion", "patch", "blur", "grey" or "zero", see
            ``verl_plugins.vision.perturb``.
        strength: of the perturbation, in its unit; None for its default.
        schedule: "constant", or "sigmoid": the strength falls from its full value towards 0.
        schedule_midpoint: share of training after which "sigmoid" has halved the strength.
        schedule_steepness: of "sigmoid", per whole training.

    Raises:
        ValueError: a value out of range.
    """

    fraction: float = 0.4
    weight_min: float = 0.9
    weight_max: float | None = None
    perturbation: str = "patch"
    strength: float | None = 0.5
    schedule: str = "constant"
    schedule_midpoint: float = 0.5
    schedule_steepness: float = 30.0

    def __post_init__(self) -> None:
        require(KEY, self, "fraction", "a number in (0, 1]", lambda fraction: 0 < fraction <= 1)
        require(KEY, self, "weight_min", "a number in [0, 1]", lambda weight: 0 <= weight <= 1)
        if self.weight_max is not None and not (is_number(self.weight_max) and self.weight_max >= 1):
            expected = "a number >= 1, or null (the mean weight is 1)"
            raise ValueError(f"{KEY}.weight_max: got {self.weight_max!r}, expected {expected}; set {KEY}.weight_max")
        _ = self.image_perturbation

    @property
    def image_perturbation(self) -> Perturbation:
        """Perturbation of the images, with its schedule."""
        return require_perturbation(KEY, self)

    @property
    def is_grpo(self) -> bool:
        """True if every token of every response keeps weight 1; no second forward is needed then."""
        return self.fraction == 1 and self.weight_min == 1 and self.weight_max in (None, 1)


def rows_with_image(kl: Tensor, mask: Tensor) -> Tensor:
    """Tell which rows have an image: (B,) bool, from ``kl`` (B, T) and ``mask`` (B, T) bool (module docstring)."""
    return ((kl != 0) & mask).any(dim=1)


def select_tokens(kl: Tensor, response_mask: Tensor, config: VPPOConfig) -> Tensor:
    """Select the tokens that keep their advantage (m in the module docstring).

    Args:
        kl: (B, T) float, nats; values outside the mask are ignored. Of equal values, the earlier token is kept.
        response_mask: (B, T) 0/1 or bool.

    Returns:
        (B, T) bool, False outside the mask.
    """
    mask = response_mask.bool()
    without_image = ~rows_with_image(kl, mask).unsqueeze(1)
    return torch.where(without_image, mask, top_tokens(kl, mask, config.fraction))


def trajectory_weights(kl: Tensor, response_mask: Tensor, config: VPPOConfig) -> Tensor:
    """Compute the weights of the responses (a in the module docstring).

    Args:
        kl: (B, T) float, nats, of the global batch; values outside the mask are ignored.
        response_mask: (B, T) 0/1 or bool; a padding row has no token.

    Returns:
        (B,) float32; 1 for rows without an image, and for padding rows.
    """
    mask = response_mask.bool()
    counted = rows_with_image(kl, mask)
    weights = torch.ones(len(kl), dtype=torch.float32, device=kl.device)
    if not counted.any():
        return weights
    sums = kl.double().masked_fill(~mask, 0.0).sum(dim=1)
    dependency = (sums / mask.sum(dim=1).clamp_min(1))[counted]
    low, high = dependency.min(), dependency.max()
    if high - low <= EQUAL:
        return weights
    scaled = (dependency - low) / (high - low)
    weight_range = (1 - config.weight_min) / scaled.mean()
    if config.weight_max is not None:
        weight_range = config.weight_max - config.weight_min
    weights[counted] = (config.weight_min + weight_range * scaled).float()
    return weights
