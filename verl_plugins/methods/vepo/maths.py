"""VEPO: only the tokens that depend on the image, and are undecided, get gradient.

"VEPO", arXiv 2606.03937. P is the old policy given the image, Q given a perturbed one, both on the response sampled
from P. With j = JSD(P, Q), h = H(P), gap = H(Q) - H(P), each scaled to [0, 1] over the tokens of its response (hats),

    s = (1 - (1 - j^)^alpha (1 - |gap|^)^(1 - alpha)) h^              score D, alpha = 0.7
    w = m_sel * (sum m / sum m_sel),   m_sel = the ceil(k T) best tokens of each response, k = 0.2

and w multiplies the advantages: under verl's token-mean loss this is the mean over selected tokens. Both sums run over
the global batch. fraction = 1 is GRPO, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.kernels.divergence import divergence
from verl_plugins.methods.knobs import require
from verl_plugins.methods.vepo.scores import SCORES, min_max, top_tokens
from verl_plugins.vision.perturb import Perturbation

KEY = "algorithm.vepo"


@dataclass(frozen=True)
class VEPOConfig:
    """Settings of VEPO; the defaults are the authors' where they agree.

    Args:
        score: "A" to "H", or "entropy" for the entropy-only baseline, which needs no second forward.
        alpha: weight of the divergence against the entropy gap, in [0, 1].
        fraction: share of each response's tokens to keep, in (0, 1].
        select: "top", or "bottom" for the tokens with the lowest scores (the ablation).
        soft: lambda >= 0; above 0 no token is dropped and the weights are 1 + lambda * score.
        perturbation, strength, schedule: of the image, see ``verl_plugins.vision.perturb``.

    Raises:
        ValueError: a value out of range.
    """

    score: str = "D"
    alpha: float = 0.7
    fraction: float = 0.2
    select: str = "top"
    soft: float = 0.0
    perturbation: str = "gaussian"
    strength: float | None = None
    schedule: str = "constant"

    def __post_init__(self) -> None:
        require(KEY, self, "score", f"one of {', '.join(SCORES)}", lambda score: score in SCORES)
        require(KEY, self, "alpha", "a number in [0, 1]", lambda alpha: 0 <= alpha <= 1)
        require(KEY, self, "fraction", "a number in (0, 1]", lambda fraction: 0 < fraction <= 1)
        require(KEY, self, "select", "'top' or 'bottom'", lambda select: select in ("top", "bottom"))
        require(KEY, self, "soft", "a number >= 0", lambda soft: soft >= 0)
        try:
            Perturbation(self.perturbation, self.strength, self.schedule)
        except ValueError as error:
            raise ValueError(f"{KEY}.{error}; set {KEY}.{str(error).partition(':')[0]}") from error

    @property
    def keeps_all(self) -> bool:
        """Whether every token keeps weight 1: GRPO."""
        return self.fraction == 1 and self.soft == 0

    @property
    def needs_counterfactual(self) -> bool:
        """Whether a forward on the perturbed image is needed."""
        return self.score != "entropy" and not self.keeps_all


def token_signals(
    logits: Tensor, perturbed_logits: Tensor, temperature: float | Tensor = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """JSD(P, Q), H(P) and H(Q) of each token, (B, T) float32 in nats, from logits (B, T, V); ``-inf`` forbids a token.

    ``temperature``: > 0, a float or (B,).
    """
    batch, length, vocabulary = logits.shape
    if isinstance(temperature, Tensor) and temperature.dim():
        temperature = temperature.repeat_interleave(length)
    found = divergence(logits.reshape(-1, vocabulary), perturbed_logits.reshape(-1, vocabulary), temperature)
    jsd, entropy, perturbed_entropy = found.jsd, found.entropy, found.perturbed_entropy
    return jsd.view(batch, length), entropy.view(batch, length), perturbed_entropy.view(batch, length)


def token_scores(
    jsd: Tensor,
    entropy: Tensor,
    perturbed_entropy: Tensor,
    response_mask: Tensor,
    config: VEPOConfig,
    kl: Tensor | None = None,
) -> Tensor:
    """Scores (B, T) in [0, 1], 0 outside the mask (module docstring).

    Args: all (B, T); signals in nats, their values outside the 0/1 ``response_mask`` ignored; ``kl`` for score "H".

    Raises:
        ValueError: shapes that do not agree, or score "H" without ``kl``.
    """
    signals = (jsd, entropy, perturbed_entropy, response_mask, *(() if kl is None else (kl,)))
    if any(signal.shape != jsd.shape or signal.dim() != 2 for signal in signals):
        raise ValueError(f"signals: got shapes {[tuple(signal.shape) for signal in signals]}, expected one (B, T)")
    if config.score == "H" and kl is None:
        raise ValueError(f"{KEY}.score=H: got no kl, expected KL(P || Q) of each token; pass kl")
    mask = response_mask.bool()
    vision = kl if config.score == "H" and kl is not None else jsd
    gap = perturbed_entropy - entropy
    j, h, size, rise = (min_max(signal, mask) for signal in (vision, entropy, gap.abs(), gap.clamp_min(0)))
    return SCORES[config.score](j, h, size, rise, config.alpha).masked_fill(~mask, 0.0)


def token_weights(scores: Tensor, response_mask: Tensor, config: VEPOConfig) -> Tensor:
    """Weights (B, T) float32 of the tokens' advantages, 0 outside the mask (module docstring).

    Args: ``scores`` (B, T), of equal ones the earlier token is kept; ``response_mask`` (B, T) 0/1, the global batch.
    """
    mask = response_mask.bool()
    if config.soft:
        return torch.where(mask, 1.0 + config.soft * scores.float(), 0.0)
    selected = top_tokens(scores if config.select == "top" else -scores, mask, config.fraction)
    return selected.float() * (mask.sum() / selected.sum().clamp_min(1))
