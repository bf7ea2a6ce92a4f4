"""VEPO: only uncertain tokens whose prediction depends on the image receive gradient.

"VEPO", arXiv 2606.03937. P is the old policy given the image, Q the old policy given a perturbed image, both evaluated
on the response sampled from P. With j = JSD(P, Q), h = H(P), gap = H(Q) - H(P), each scaled to [0, 1] over the tokens
of its response (hats),

    s = (1 - (1 - j^)^alpha (1 - |gap|^)^(1 - alpha)) h^              score D, alpha = 0.7
    w = m_sel * ratio,   m_sel = the ceil(k T) best tokens of each response, k = 0.2

and w multiplies the advantages. The ratio makes verl's loss, which averages over all tokens, the mean over the selected
ones (``token_weights``): sum m / sum m_sel over the global batch for token-mean. fraction = 1 is GRPO, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.methods.knobs import require, require_perturbation
from verl_plugins.methods.token_selection import top_tokens
from verl_plugins.methods.vepo.scores import SCORES, min_max

KEY = "algorithm.vepo"

LOSS_AGG_MODES = ("token-mean", "seq-mean-token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-sum-norm")
"""Values of ``actor.loss_agg_mode`` for which ``token_weights`` are made."""


@dataclass(frozen=True)
class VEPOConfig:
    """Settings of VEPO. The defaults are those of paper and released code where the two agree.

    Args:
        score: "A" to "H", or "entropy" for the entropy-only baseline, which needs no second forward.
        alpha: weight of the divergence relative to the entropy gap, in [0, 1].
        fraction: share of each response's tokens that are kept, in (0, 1].
        select: "top", or "bottom" for the tokens with the lowest scores (an ablation).
        soft: lambda >= 0; above 0 no token is dropped, and the weights are 1 + lambda * score.
        perturbation, strength, schedule: perturbation of the image, see ``verl_plugins.vision.perturb``.

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
        require_perturbation(KEY, self)

    @property
    def keeps_all(self) -> bool:
        """True if every token keeps weight 1, which is GRPO."""
        return self.fraction == 1 and self.soft == 0

    @property
    def needs_counterfactual(self) -> bool:
        """True if the score needs the forward on the perturbed image."""
        return self.score != "entropy" and not self.keeps_all


def token_scores(
    jsd: Tensor,
    entropy: Tensor,
    perturbed_entropy: Tensor,
    response_mask: Tensor,
    config: VEPOConfig,
    kl: Tensor | None = None,
) -> Tensor:
    """Compute the score of each token (module docstring).

    Args:
        jsd, entropy, perturbed_entropy: (B, T) float, nats; values outside the mask are ignored.
        response_mask: (B, T) 0/1 or bool.
        kl: (B, T) float, nats; required for score "H".

    Returns:
        (B, T) float in [0, 1], 0 outside the mask.

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


def token_weights(
    scores: Tensor, response_mask: Tensor, config: VEPOConfig, loss_agg_mode: str = "token-mean"
) -> Tensor:
    """Compute the weights of the tokens' advantages (module docstring).

    With the weights, verl's ``agg_loss`` over all valid tokens is its aggregation over the selected ones alone: the
    weight of a selected token is (valid tokens) / (selected tokens) of the batch for token-mean, of its response for
    seq-mean-token-mean, and 1 for the sums.

    Args:
        scores: (B, T) float; of equal scores, the earlier token is kept.
        response_mask: (B, T) 0/1 or bool, of the global batch.
        loss_agg_mode: one of ``LOSS_AGG_MODES``.

    Returns:
        (B, T) float32, 0 outside the mask.

    Raises:
        ValueError: another ``loss_agg_mode``.
    """
    mask = response_mask.bool()
    if config.soft:
        return torch.where(mask, 1.0 + config.soft * scores.float(), 0.0)
    selected = top_tokens(scores if config.select == "top" else -scores, mask, config.fraction)
    return selected.float() * _mean_ratio(mask, selected, loss_agg_mode)


def _mean_ratio(mask: Tensor, selected: Tensor, loss_agg_mode: str) -> Tensor | float:
    """Number of tokens that verl's mean divides by, per selected token: a scalar, or (B, 1)."""
    if loss_agg_mode not in LOSS_AGG_MODES:
        raise ValueError(
            f"actor_rollout_ref.actor.loss_agg_mode: got {loss_agg_mode}, expected one of {', '.join(LOSS_AGG_MODES)}, "
            "for which vepo's weights are made; set actor_rollout_ref.actor.loss_agg_mode"
        )
    if loss_agg_mode == "token-mean":
        return mask.sum() / selected.sum().clamp_min(1)
    if loss_agg_mode == "seq-mean-token-mean":
        return mask.sum(dim=1, keepdim=True) / selected.sum(dim=1, keepdim=True).clamp_min(1)
    return 1.0
