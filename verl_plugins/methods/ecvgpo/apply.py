"""ECVGPO on a global batch, with a fixed or an adaptive r0, and its metrics ``ecvgpo/*``."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch, one_row_per_group
from verl_plugins.methods.ecvgpo.entropy_control import ControlState, control
from verl_plugins.methods.ecvgpo.maths import (
    ADAPTIVE,
    KEY,
    TARGETS,
    ECVGPOConfig,
    open_gate,
    reshape_advantages,
    reshaped_tokens,
)


def apply_adaptive(
    batch: AdvantageBatch, config: ECVGPOConfig, state: ControlState
) -> tuple[Tensor, dict[str, float], ControlState]:
    """Let the controller take a step on the batch's policy entropy, and reshape a global batch with its r0.

    Returns:
        Advantages and metrics as in ``apply``, and the controller's state for the next step.

    Raises:
        ValueError: as in ``apply``, or the batch has no entropy.
    """
    (entropy,) = batch.signals(KEY, "entropy")
    mask = batch.response_mask.bool()
    state = control(state, entropy[mask].double().mean().item(), config)
    return *apply_held(batch, config, state), state


def apply_held(batch: AdvantageBatch, config: ECVGPOConfig, state: ControlState) -> tuple[Tensor, dict[str, float]]:
    """Reshape a global batch with the r0 that the controller has chosen already; returns and raises as ``apply``."""
    fixed = replace(config, r0=state.r0, **dict.fromkeys(TARGETS))
    advantages, metrics = apply(batch, fixed)
    return advantages, metrics | state.metrics()


def apply(batch: AdvantageBatch, config: ECVGPOConfig) -> tuple[Tensor, dict[str, float]]:
    """Reshape a global batch.

    Returns:
        Advantages (B, T) and the metrics ``ecvgpo/*``. A mean over no tokens is left out.

    Raises:
        ValueError: ``gate_on`` names a component that the reward does not return, or r0 is adaptive.
    """
    if config.is_adaptive:
        raise ValueError(
            f"{KEY}.r0: got {ADAPTIVE}, which needs a trainer that keeps state, expected a number; set {KEY}.r0, or "
            "start the run with +method=ecvgpo"
        )
    if config.gate_on != "total" and config.gate_on not in batch.reward_components:
        expected = ", ".join(["total", *sorted(batch.reward_components)])
        raise ValueError(f"{KEY}.gate_on: got {config.gate_on!r}, expected one of {expected}; set {KEY}.gate_on")
    gated_reward = batch.rewards if config.gate_on == "total" else batch.reward_components[config.gate_on]
    std = batch.group_std(gated_reward)
    advantages = reshape_advantages(batch.advantages, batch.old_log_probs, std, batch.response_mask, config)
    return advantages, _metrics(batch, advantages, std, config)


def _metrics(batch: AdvantageBatch, after: Tensor, std: Tensor, config: ECVGPOConfig) -> dict[str, float]:
    mask = batch.response_mask.bool()
    before, self_information = batch.advantages, -batch.old_log_probs
    reshaped = reshaped_tokens(before, std, mask, config)
    floor_hit = before - self_information / float(config.r0) <= before / config.l0
    one_each = one_row_per_group(batch.groups, real=mask.any(dim=1))
    means = {
        "gated_groups": (open_gate(std, config), one_each),
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
