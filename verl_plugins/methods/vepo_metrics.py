"""Whether VEPO's selection is sane: the metrics ``vepo/*``."""

from __future__ import annotations

from torch import Tensor

from verl_plugins.methods.scores import top_tokens


def selection_metrics(
    mask: Tensor,
    kept: Tensor,
    scores: Tensor,
    entropy: Tensor,
    jsd: Tensor,
    perturbed_entropy: Tensor,
    seeing: Tensor | None,
    fraction: float,
) -> dict[str, float]:
    """Means over the valid tokens of a batch; a mean over no tokens is left out.

    Args:
        mask, kept: (B, T) bool, valid tokens and those with a weight.
        scores, entropy, jsd, perturbed_entropy: (B, T) float.
        seeing: (B, T) bool, valid tokens of rows with an image; None where no counterfactual was computed.
        fraction: of the tokens that entropy alone, or JSD alone, would select, for comparison.

    Returns:
        Among the names, ``vision_missed_by_entropy`` is the share of the tokens with the highest JSD that selecting by
        entropy alone would drop, ``vision_kept`` the share of them that was kept, and ``kept_missed_by_entropy`` the
        share of the kept tokens that entropy alone would drop.
    """
    dropped = mask & ~kept
    by_entropy = top_tokens(entropy, mask, fraction)
    means = {
        "policy_entropy": (entropy, mask),
        "entropy_kept": (entropy, kept),
        "entropy_dropped": (entropy, dropped),
        "selected_tokens": (kept, mask),
        "score_kept": (scores, kept),
        "score_dropped": (scores, dropped),
        "kept_missed_by_entropy": (~by_entropy, kept),
    }
    if seeing is not None:
        gap = perturbed_entropy - entropy
        by_vision = top_tokens(jsd, seeing, fraction)
        means |= {
            "jsd": (jsd, seeing),
            "jsd_kept": (jsd, seeing & kept),
            "jsd_dropped": (jsd, seeing & dropped),
            "perturbed_entropy": (perturbed_entropy, seeing),
            "entropy_gap": (gap.abs(), seeing),
            "entropy_rise": (gap, seeing),
            "vision_kept": (kept, by_vision),
            "vision_missed_by_entropy": (~by_entropy, by_vision),
            "rows_without_image": (~seeing.any(dim=1), mask.any(dim=1)),
        }
    return {
        f"vepo/{name}": value[where].double().mean().item() for name, (value, where) in means.items() if where.any()
    }
