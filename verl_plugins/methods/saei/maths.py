"""SaEI: a second sampling on images perturbed to raise the entropy of mid-entropy tokens.

arXiv 2512.10414. In each of the n1 responses sampled on the clean image I, tokens are ranked by the policy's entropy
and a band of the ranking is kept: the middle third. With H_sel the mean over responses of the mean entropy of their
kept tokens,

    I_adv = clip(I + alpha * sign(grad_I H_sel), 0, 1)

for one or more steps (PGD), within an L-infinity ball of radius epsilon. n2 further responses are sampled on I_adv, and
all n1 + n2 responses form one GRPO group. The paper writes alpha = -2/255 for a step of descent; both raise the
entropy, and alpha > 0 here. The ranks are detached: the gradient flows through the kept entropies to the pixels, never
to the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.methods.knobs import is_number, require

KEY = "algorithm.saei"
BANDS = {"middle": (1 / 3, 2 / 3), "top": (2 / 3, 1.0), "bottom": (0.0, 1 / 3), "random": (1 / 3, 2 / 3), "all": (0, 1)}


@dataclass(frozen=True)
class SaEIConfig:
    """Settings of SaEI; the defaults are the paper's where it states them.

    Args:
        n1, n2: responses sampled on the clean and on the adversarial image; ``rollout.n`` is their sum.
        alpha: step size in 8-bit levels; 2 is the paper's 2/255. 0 changes no image (GRPO).
        steps: number of PGD steps.
        epsilon: radius of the L-infinity ball in 8-bit levels; 0 means steps * alpha, which is no constraint.
        band: tokens whose entropy is raised: "middle" (the middle third of the ranking), the controls "top", "bottom",
            "random" (a random third) and "all"; or two quantiles counted from the lowest entropy, e.g. [0.2, 0.8].
        direction: "gradient", or "random": random signs, a control of equal strength.
        update: image that conditions the update on adversarial responses, "clean" or "adversarial" (the paper does
            not say).

    Raises:
        ValueError: a value out of range.
    """

    n1: int = 6
    n2: int = 6
    alpha: int = 2
    steps: int = 1
    epsilon: int = 0
    band: str | tuple[float, float] = "middle"
    direction: str = "gradient"
    update: str = "clean"

    def __post_init__(self) -> None:
        require(KEY, self, "n1", "a whole number >= 1", lambda n1: n1 >= 1)
        require(KEY, self, "n2", "a whole number >= 1", lambda n2: n2 >= 1)
        require(KEY, self, "alpha", "a whole number of 8-bit levels, 0 to 255", lambda alpha: 0 <= alpha <= 255)
        require(KEY, self, "steps", "a whole number >= 1", lambda steps: steps >= 1)
        require(
            KEY,
            self,
            "epsilon",
            "0, or a whole number >= alpha",
            lambda epsilon: epsilon in (0, *range(self.alpha, 256)),
        )
        if isinstance(self.band, str):
            require(KEY, self, "band", f"{', '.join(BANDS)} or two quantiles", lambda band: band in BANDS)
        else:
            object.__setattr__(self, "band", _quantiles(self.band))
        require(KEY, self, "direction", "'gradient' or 'random'", lambda name: name in ("gradient", "random"))
        require(KEY, self, "update", "'clean' or 'adversarial'", lambda name: name in ("clean", "adversarial"))

    @property
    def quantiles(self) -> tuple[float, float]:
        """Quantiles at which the band starts and ends in the ranking."""
        return BANDS[self.band] if isinstance(self.band, str) else self.band

    @property
    def radius(self) -> int:
        """Radius of the L-infinity ball, in 8-bit levels."""
        return self.epsilon or self.steps * self.alpha


def _quantiles(band) -> tuple[float, float]:
    try:
        low, high = band
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if is_number(low) and is_number(high) and 0 <= low < high <= 1:
        return float(low), float(high)
    raise ValueError(
        f"{KEY}.band: got {band!r}, expected a name or [low, high] with 0 <= low < high <= 1; set {KEY}.band"
    )


def middle_band_mask(entropy: Tensor, response_mask: Tensor, low: float = 1 / 3, high: float = 2 / 3) -> Tensor:
    """Select the tokens of each response whose entropy ranks between the quantiles ``low`` and ``high``.

    Of n valid tokens, the floor(n low) with the lowest and the floor(n (1 - high)) with the highest entropy are
    dropped; with thirds, a response of one or two tokens is therefore kept whole. Of equal entropies, the earlier token
    ranks lower.

    Args:
        entropy: (B, T) float; values outside the mask are ignored.
        response_mask: (B, T) 0/1 or bool.

    Returns:
        (B, T) bool.
    """
    mask = response_mask.bool()
    order = entropy.detach().masked_fill(~mask, torch.inf).argsort(dim=1, stable=True)
    rank = order.argsort(dim=1)
    valid = mask.sum(dim=1, keepdim=True).double()
    first = (valid * low + 1e-9).floor()  # a third of 3 is 0.999... in floating point
    last = valid - (valid * (1 - high) + 1e-9).floor()
    return (rank >= first) & (rank < last) & mask


def select_tokens(entropy: Tensor, response_mask: Tensor, config: SaEIConfig, noise: Tensor | None = None) -> Tensor:
    """Select the tokens whose entropy is raised.

    Args:
        entropy: (B, T) float, nats.
        response_mask: (B, T) 0/1 or bool.
        noise: (B, T) float, ranked in place of the entropy for the band "random".

    Returns:
        (B, T) bool.

    Raises:
        ValueError: the band is "random" and ``noise`` is missing.
    """
    if config.band == "random":
        if noise is None:
            raise ValueError(f"{KEY}.band=random: got no noise (B, T) to rank the tokens by; pass noise")
        entropy = noise
    return middle_band_mask(entropy, response_mask, *config.quantiles)


def token_entropy(logits: Tensor) -> Tensor:
    """Entropy of the next token from logits (..., V): (...) float32, nats, with gradient."""
    log_p = logits.float().log_softmax(dim=-1)
    return -(log_p.exp() * log_p.masked_fill(log_p == -torch.inf, 0.0)).sum(dim=-1)


def pgd_step(pixels: Tensor, gradient: Tensor, clean: Tensor, alpha: int, epsilon: int) -> Tensor:
    """Take one step of projected gradient ascent on an 8-bit image. Pixels are whole levels, so nothing is rounded.

    Args:
        pixels: (3, H, W) uint8, current image.
        gradient: (3, H, W) float, gradient of the objective with respect to the pixels. Only its sign counts.
        clean: (3, H, W) uint8, centre of the ball.
        alpha: step size in 8-bit levels (1/255 of the range [0, 1]).
        epsilon: radius of the L-infinity ball around ``clean``, in 8-bit levels.

    Returns:
        (3, H, W) uint8, within ``epsilon`` of ``clean`` and within [0, 255]. A pixel with zero gradient does not move.
    """
    clean = clean.to(torch.int16)
    moved = pixels.to(torch.int16) + alpha * gradient.sign().to(torch.int16)
    return moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 255).to(torch.uint8)
