"""ECVGPO: entropy control for visual grounding by reshaping the advantages of good samples.

"The Role of Entropy in Visual Grounding: Analysis and Optimization", arXiv 2512.06726.

For a response with positive advantage whose group's reward standard deviation is below delta,

    A'_t = max(A_t / l0,  A_t - S_t / r0),        S_t = -log pi_old(o_t | q, o_<t)   (nats, detached)

and A' = A everywhere else. Surprising tokens of good samples are what keeps the entropy of a grounding policy high:
many boxes are nearly optimal, none is likely. r0 > 0 takes credit from them (entropy goes down; the floor A / l0 keeps
the sign), r0 < 0 gives them more (entropy goes up; the floor never binds). The paper's prose speaks of "boosting",
which is r0 < 0 only; the formula rules here.

Degenerate cases: delta = 0 is GRPO, bit for bit. A group of one response has no standard deviation and is left alone.
A group of equal rewards has std 0 < delta but only rounding noise for an advantage, and is left alone too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch, group_std, one_row_per_group
from verl_plugins.methods.config import require

KEY = "algorithm.ecvgpo"


@dataclass(frozen=True)
class ECVGPOConfig:
    """Settings of ECVGPO; the defaults are the paper's for Qwen2.5-VL (InternVL3-8B: r0 = -50).

    Args:
        r0: scale of the self-information, in nats per unit of advantage; its sign chooses the direction.
        l0: a reshaped advantage keeps at least 1 / l0 of its size.
        delta: threshold on the group's reward std, in units of reward. 0 switches the method off.
        gate: "below" reshapes groups with std < delta (the paper's formula), "above" those with std >= delta (its
            prose speaks of high-variance rewards; for the ablation).
        gate_on: "total", or the name of a reward component, e.g. "iou": format noise alone can push the std of the
            total past delta. Our choice; the paper does not say.

    Raises:
        ValueError: a value out of range.
    """

    r0: float = 10.0
    l0: float = 25.0
    delta: float = 0.1
    gate: str = "below"
    gate_on: str = "total"

    def __post_init__(self) -> None:
        require(KEY, self, "r0", "a number other than 0 (> 0 lowers entropy, < 0 raises it)", lambda r0: r0 != 0)
        require(KEY, self, "l0", "a number >= 1", lambda l0: l0 >= 1)
        require(KEY, self, "delta", "a number >= 0 (0 switches the reshaping off)", lambda delta: delta >= 0)
        require(KEY, self, "gate", "'below' or 'above'", lambda gate: gate in ("below", "above"))
        require(KEY, self, "gate_on", "'total' or the name of a reward component", bool)


def open_gate(group_reward_std: Tensor, config: ECVGPOConfig) -> Tensor:
    """(B,) bool: the responses whose group may be reshaped. ``group_reward_std``: (B,) float, NaN for singletons."""
    gate = group_reward_std < config.delta if config.gate == "below" else group_reward_std >= config.delta
    return gate & (group_reward_std > 0)


def reshape_advantages(
    advantages: Tensor,
    old_log_probs: Tensor,
    group_reward_std: Tensor,
    response_mask: Tensor,
    config: ECVGPOConfig,
) -> Tensor:
    """Reshape the advantages of good samples by their self-information (module docstring, the equation).

    Args:
        advantages: (B, T) float, the GRPO advantages.
        old_log_probs: (B, T) float, nats; values outside the mask are ignored, whatever they are.
        group_reward_std: (B,) float, std of the rewards in each response's group (see ``group_std``).
        response_mask: (B, T) 0/1 or bool.
        config: settings.

    Returns:
        (B, T) in the dtype of ``advantages``, without gradient; the elements that the method does not touch are the
        very bits that came in.

    Raises:
        ValueError: shapes that do not agree.
    """
    if not (advantages.shape == old_log_probs.shape == response_mask.shape and advantages.dim() == 2):
        shapes = [tuple(tensor.shape) for tensor in (advantages, old_log_probs, response_mask)]
        raise ValueError(f"advantages, old_log_probs, response_mask: got shapes {shapes}, expected one shape (B, T)")
    if group_reward_std.shape != advantages.shape[:1]:
        got, expected = tuple(group_reward_std.shape), tuple(advantages.shape[:1])
        raise ValueError(f"group_reward_std: got shape {got}, expected {expected}")
    advantages = advantages.detach()
    selected = reshaped_tokens(advantages, group_reward_std, response_mask, config)
    self_information = -old_log_probs.detach().to(advantages.dtype)
    reshaped = torch.maximum(advantages / config.l0, advantages - self_information / config.r0)
    return torch.where(selected, reshaped, advantages)


def reshaped_tokens(
    advantages: Tensor, group_reward_std: Tensor, response_mask: Tensor, config: ECVGPOConfig
) -> Tensor:
    """(B, T) bool: tokens of positive advantage in groups behind an open gate. Shapes as in ``reshape_advantages``."""
    return (advantages > 0) & open_gate(group_reward_std, config).unsqueeze(1) & response_mask.bool()


def apply(batch: AdvantageBatch, config: ECVGPOConfig) -> tuple[Tensor, dict[str, float]]:
    """Reshape a global batch.

    Returns:
        Advantages (B, T) and the metrics ``ecvgpo/*``. A mean over no tokens is left out, never NaN.

    Raises:
        ValueError: ``gate_on`` names a component that the reward does not return.
    """
    if config.gate_on != "total" and config.gate_on not in batch.reward_components:
        expected = ", ".join(["total", *sorted(batch.reward_components)])
        raise ValueError(f"{KEY}.gate_on: got {config.gate_on!r}, expected one of {expected}; set {KEY}.gate_on")
    gated_reward = batch.rewards if config.gate_on == "total" else batch.reward_components[config.gate_on]
    std = group_std(gated_reward, batch.groups)
    advantages = reshape_advantages(batch.advantages, batch.old_log_probs, std, batch.response_mask, config)
    return advantages, _metrics(batch, advantages, std, config)


def _metrics(batch: AdvantageBatch, after: Tensor, std: Tensor, config: ECVGPOConfig) -> dict[str, float]:
    mask = batch.response_mask.bool()
    before, self_information = batch.advantages, -batch.old_log_probs
    reshaped = reshaped_tokens(before, std, mask, config)
    floor_hit = before - self_information / config.r0 <= before / config.l0
    one_each = one_row_per_group(batch.groups, real=mask.any(dim=1))
    means = {
        "gated_groups": (open_gate(std, config), one_each),
        "zero_variance_groups": (std == 0, one_each),
        "group_reward_std": (std.nan_to_num(), one_each),
        "reshaped_tokens": (reshaped, mask),
        "floor_hits": (floor_hit, reshaped),
        "self_information": (self_information, mask),
        "self_information_kept": (self_information, mask & ~reshaped),
        "self_information_reshaped": (self_information, reshaped),
        "advantage_before": (before, reshaped),
        "advantage_after": (after, reshaped),
    }
    if batch.entropy is not None:
        means["policy_entropy"] = (batch.entropy, mask)
    return {f"ecvgpo/{name}": v[where].double().mean().item() for name, (v, where) in means.items() if where.any()}
