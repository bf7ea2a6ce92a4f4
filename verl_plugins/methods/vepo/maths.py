"""VEPO: only uncertain tokens whose prediction depends on the image receive gradient.

"VEPO", arXiv 2606.03937. P is the old policy given the image, Q the old policy given a perturbed image, both evaluated
on the response sampled from P. With j = JSD(P, Q), h = H(P), gap = H(Q) - H(P), each scaled to [0, 1] over the tokens
of its response (hats),

    s = (1 - (1 - j^)^alpha (1 - |gap|^)^(1 - alpha)) h^              score D, alpha = 0.7
    w = m_sel * ratio,   m_sel = the ceil(k T) best tokens of each response, k = 0.2

and w multiplies the advantages. The ratio makes verl's loss, which averages over all tokens, the mean over the selected
ones (``token_weights``): sum m / sum m_sel over the global batch for token-mean. fraction = 1 is GRPO, bit for bit.

Two kinds of weights drop no token: ``boost``, the authors' mode, gives 1 + lambda to the selected tokens and 1 to the
others; ``soft``, ours, gives 1 + lambda s to each. With ``scope="batch"`` the hats and m_sel are taken over all tokens
of the global batch; with the score "entropy" these are the tokens of the 80/20 rule (arXiv 2506.01939).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.methods.knobs import require, require_perturbation
from verl_plugins.methods.token_selection import SCOPES, top_tokens
from verl_plugins.methods.vepo.scores import SCORES, min_max
from verl_plugins.vision.perturb import Perturbation

KEY = "algorithm.vepo"

LOSS_AGG_MODES = ("token-mean", "seq-mean-token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-sum-norm")
"""Values of ``actor.loss_agg_mode`` for which ``token_weights`` are made."""


@dataclass(frozen=True)
class VEPOConfig:
    """Settings of VEPO. The defaults are those of paper and released code where the two agree.

    Args:
        score: "A" to "H"; "jsd" or "gap" for one signal alone; or "entropy" for the entropy-only baseline, which needs
            no second forward.
        alpha: weight of the divergence relative to the entropy gap, in [0, 1].
        fraction: share of the tokens that are kept, in (0, 1].
        scope: "response", or "batch": the tokens of each response, or all of the global batch, are scaled and ranked
            together.
        select: "top"; the controls are "bottom", the tokens with the lowest scores, and "random", for which the scores
            are uniform random numbers and no second forward is needed.
        boost: lambda >= 0; above 0 no token is dropped, and the weights are 1 + lambda for the selected tokens and 1
            for the others (the authors' weight mode). Not together with ``soft``.
        soft: lambda >= 0; above 0 no token is dropped, and the weights are 1 + lambda * score (ours). Not together
            with ``select="bottom"``.
        perturbation: of the image: "gaussian", "gaussian_pixels", "diffusion", "patch", "blur", "grey" or "zero", see
            ``verl_plugins.vision.perturb``.
        strength: of the perturbation, in its unit; None for its default.
        schedule: "constant", or "sigmoid": the strength falls from its full value towards 0.
        schedule_midpoint: share of training after which "sigmoid" has halved the strength.
        schedule_steepness: of "sigmoid", per whole training.

    Raises:
        ValueError: a value out of range.
    """

    score: str = "D"
    alpha: float = 0.7
    fraction: float = 0.2
    scope: str = "response"
    select: str = "top"
    boost: float = 0.0
    soft: float = 0.0
    perturbation: str = "gaussian"
    strength: float | None = None
    schedule: str = "constant"
    schedule_midpoint: float = 0.5
    schedule_steepness: float = 30.0

    def __post_init__(self) -> None:
        require(KEY, self, "score", f"one of {', '.join(SCORES)}", lambda score: score in SCORES)
        require(KEY, self, "alpha", "a number in [0, 1]", lambda alpha: 0 <= alpha <= 1)
        require(KEY, self, "fraction", "a number in (0, 1]", lambda fraction: 0 < fraction <= 1)
        require(KEY, self, "scope", "'response' or 'batch'", lambda scope: scope in SCOPES)
        require(KEY, self, "select", "'top', 'bottom' or 'random'", lambda name: name in ("top", "bottom", "random"))
        expected = "a number >= 0, and 0 with select=bottom (soft weights select no tokens)"
        require(KEY, self, "soft", expected, lambda soft: soft >= 0 and not (soft and self.select == "bottom"))
        require(
            KEY, self, "boost", "a number >= 0, and 0 with soft", lambda boost: boost >= 0 and not boost * self.soft
        )
        _ = self.image_perturbation

    @property
    def keeps_all(self) -> bool:
        """True if every token keeps weight 1, which is GRPO."""
        return self.fraction == 1 and self.soft == 0 and self.boost == 0

    @property
    def needs_entropy(self) -> bool:
        """True if the selection reads the policy's entropy."""
        return self.select != "random" and not self.keeps_all

    @property
    def needs_counterfactual(self) -> bool:
        """True if the selection needs the forward on the perturbed image."""
        return self.score != "entropy" and self.needs_entropy

    @property
    def unselected_weight(self) -> float:
        """Weight of a token that is not selected."""
        return 1.0 if self.boost else 0.0

    @property
    def image_perturbation(self) -> Perturbation:
        """Perturbation of the images, with its schedule."""
        return require_perturbation(KEY, self)


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
    signals = (vision, entropy, gap.abs(), gap.clamp_min(0))
    j, h, size, rise = (min_max(signal, mask, config.scope) for signal in signals)
    return SCORES[config.score](j, h, size, rise, config.alpha).masked_fill(~mask, 0.0)


def token_weights(
    scores: Tensor, response_mask: Tensor, config: VEPOConfig, loss_agg_mode: str = "token-mean"
) -> Tensor:
    """Compute the weights of the tokens' advantages (module docstring).

    With the weights, verl's ``agg_loss`` over all valid tokens is its aggregation over the selected ones alone: the
    weight of a selected token is (valid tokens) / (selected tokens) of the batch for token-mean, of its response for
    seq-mean-token-mean, and 1 for the sums. A response without a selected token, which occurs with scope="batch" only,
    does not count in the means over responses: for the seq-mean modes, each weight is multiplied by (responses) /
    (responses with a selected token).

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
    selected = top_tokens(-scores if config.select == "bottom" else scores, mask, config.fraction, config.scope)
    if config.boost:
        return mask.float() + config.boost * selected.float()
    return selected.float() * _mean_ratio(mask, selected, loss_agg_mode)


def _mean_ratio(mask: Tensor, selected: Tensor, loss_agg_mode: str) -> Tensor | float:
    """Number that verl's mean divides by, over that of the mean over the selected tokens: a scalar, or (B, 1)."""
    if loss_agg_mode not in LOSS_AGG_MODES:
        raise ValueError(
            f"actor_rollout_ref.actor.loss_agg_mode: got {loss_agg_mode}, expected one of {', '.join(LOSS_AGG_MODES)}, "
            "for which vepo's weights are made; set actor_rollout_ref.actor.loss_agg_mode"
        )
    if loss_agg_mode == "token-mean":
        return mask.sum() / selected.sum().clamp_min(1)
    if loss_agg_mode == "token-sum":
        return 1.0
    responses = mask.any(dim=1).sum() / selected.any(dim=1).sum().clamp_min(1)
    if loss_agg_mode == "seq-mean-token-mean":
        return responses * mask.sum(dim=1, keepdim=True) / selected.sum(dim=1, keepdim=True).clamp_min(1)
    return responses
