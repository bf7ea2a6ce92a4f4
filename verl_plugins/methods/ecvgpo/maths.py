"""ECVGPO: entropy control for visual grounding by reshaping the advantages of good samples.

"The Role of Entropy in Visual Grounding: Analysis and Optimization", arXiv 2512.06726.

For a response with positive advantage whose group's reward standard deviation is below delta,

    A'_t = max(A_t / l0,  A_t - S_t / r0),        S_t = -log pi_old(o_t | q, o_<t)   (nats, detached)

and A' = A everywhere else. The improbable tokens of good samples keep the entropy of a grounding policy high: many
boxes are nearly optimal, and none is likely. r0 > 0 takes credit from these tokens (the entropy falls; the floor A / l0
keeps the sign); r0 < 0 gives them more (the entropy rises; the floor never binds). The paper's text speaks of
"boosting", which holds for r0 < 0 only; this code follows the formula.

Degenerate cases: delta = 0 is GRPO, bit for bit. A group of one response has no standard deviation and is not reshaped.
A group of equal rewards has std 0 < delta, but its advantages are rounding noise; it is not reshaped either.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.methods.knobs import is_number, require

KEY = "algorithm.ecvgpo"
ADAPTIVE = "adaptive"
TARGETS = ("target_entropy", "target_slope")


@dataclass(frozen=True)
class ECVGPOConfig:
    """Settings of ECVGPO; the defaults are the paper's for Qwen2.5-VL (InternVL3-8B: r0 = -50).

    Args:
        r0: scale of the self-information, in nats per unit of advantage; its sign sets the direction. "adaptive" lets
            a controller set it in each step, see ``verl_plugins.methods.ecvgpo.entropy_control`` (not in the paper).
        l0: a reshaped advantage keeps at least 1 / l0 of its size.
        delta: threshold on the group's reward std, in units of reward. 0 switches the method off.
        gate: "below" reshapes groups with std < delta (the paper's formula), "above" those with std >= delta (its text
            speaks of high-variance rewards; for the ablation).
        gate_on: "total", or the name of a reward component, e.g. "iou": noise in the format reward alone can raise the
            std of the total above delta. Not in the paper.
        target_entropy: target of the adaptive r0 for the policy's entropy, in nats per token.
        target_slope: alternative target: the initial entropy plus this change per step, in nats per token; 0 holds it.
        gain: gain of the controller, in 1 / r0 per nat of error.
        r0_min: smallest |r0| that the controller may choose.

    Raises:
        ValueError: a value out of range, or a target without a controller or the other way round.
    """

    r0: float | str = 10.0
    l0: float = 25.0
    delta: float = 0.1
    gate: str = "below"
    gate_on: str = "total"
    target_entropy: float | None = None
    target_slope: float | None = None
    gain: float = 5.0
    r0_min: float = 2.0

    def __post_init__(self) -> None:
        if not self.is_adaptive:
            expected = "a number other than 0 (> 0 lowers entropy, < 0 raises it), or adaptive"
            require(KEY, self, "r0", expected, lambda r0: r0 != 0)
        self._check_targets()
        require(KEY, self, "l0", "a number >= 1", lambda l0: l0 >= 1)
        require(KEY, self, "delta", "a number >= 0 (0 switches the reshaping off)", lambda delta: delta >= 0)
        require(KEY, self, "gate", "'below' or 'above'", lambda gate: gate in ("below", "above"))
        require(KEY, self, "gate_on", "'total' or the name of a reward component", bool)
        require(KEY, self, "gain", "a number > 0, in 1 / r0 per nat", lambda gain: gain > 0)
        require(KEY, self, "r0_min", "a number > 0", lambda r0_min: r0_min > 0)

    @property
    def is_adaptive(self) -> bool:
        return self.r0 == ADAPTIVE

    def _check_targets(self) -> None:
        given = {name: getattr(self, name) for name in TARGETS if getattr(self, name) is not None}
        for name, value in given.items():
            if not is_number(value) or (name == "target_entropy" and value < 0):
                raise ValueError(f"{KEY}.{name}: got {value!r}, expected nats a token; set {KEY}.{name}")
        if len(given) != int(self.is_adaptive):
            got, which = " and ".join(given) or "none", " or ".join(TARGETS)
            expected = f"one of {which}" if self.is_adaptive else f"none, or {KEY}.r0=adaptive"
            raise ValueError(f"{KEY}: got {got} with r0={self.r0}, expected {expected}; set {KEY}.{TARGETS[0]}")


def open_gate(group_reward_std: Tensor, config: ECVGPOConfig) -> Tensor:
    """Select the responses whose group may be reshaped.

    Args:
        group_reward_std: (B,) float, NaN for groups of one response.

    Returns:
        (B,) bool.
    """
    gate = group_reward_std < config.delta if config.gate == "below" else group_reward_std >= config.delta
    return gate & (group_reward_std > 0)


def reshape_advantages(
    advantages: Tensor,
    old_log_probs: Tensor,
    group_reward_std: Tensor,
    response_mask: Tensor,
    config: ECVGPOConfig,
) -> Tensor:
    """Reshape the advantages of good samples by their self-information (equation in the module docstring).

    Args:
        advantages: (B, T) float, the GRPO advantages.
        old_log_probs: (B, T) float, nats; values outside the mask are ignored, NaN included.
        group_reward_std: (B,) float, reward std of each response's group (``group_std``).
        response_mask: (B, T) 0/1 or bool.
        config: settings.

    Returns:
        (B, T) in the dtype of ``advantages``, without gradient. Elements that are not reshaped keep every bit.

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
    reshaped = torch.maximum(advantages / config.l0, advantages - self_information / float(config.r0))
    return torch.where(selected, reshaped, advantages)


def reshaped_tokens(
    advantages: Tensor, group_reward_std: Tensor, response_mask: Tensor, config: ECVGPOConfig
) -> Tensor:
    """Select the tokens of positive advantage in groups with an open gate, (B, T) bool; see ``reshape_advantages``."""
    return (advantages > 0) & open_gate(group_reward_std, config).unsqueeze(1) & response_mask.bool()
