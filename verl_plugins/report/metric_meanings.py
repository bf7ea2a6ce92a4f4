"""Unit and meaning of the metrics that the methods log: the one place from which the report explains its charts."""

from __future__ import annotations

import re
from typing import NamedTuple


class Meaning(NamedTuple):
    """Explains one metric.

    Args:
        unit: label of the value axis.
        text: what the metric is, as one sentence.
    """

    unit: str
    text: str


_PART = {
    "clean": "of the responses to the clean image",
    "adversarial": "of the responses to the adversarial image",
    "noisy": "of the responses to the noisy image",
    "kept": "over the tokens that were kept",
    "dropped": "over the tokens that were dropped",
    "reshaped": "over the tokens that were reshaped",
}
"""Endings of names, of metrics that are logged for parts of the batch."""

_MEANINGS = {
    "ecvgpo/gated_groups": Meaning("share of prompts", "Prompts whose group of responses passed the gate."),
    "ecvgpo/group_reward_std": Meaning("units of reward", "Std of the gated reward in a group, mean over prompts."),
    "ecvgpo/reshaped_tokens": Meaning("share of tokens", "Response tokens whose advantage was reshaped."),
    "ecvgpo/floor_hits": Meaning("share of tokens", "Reshaped tokens at the floor A / l0; many mean that r0 is small."),
    "ecvgpo/self_information": Meaning("nats per token", "Mean self-information -log p of the sampled tokens."),
    "ecvgpo/advantage_before": Meaning("advantage", "Mean advantage of the reshaped tokens before the reshaping."),
    "ecvgpo/advantage_after": Meaning("advantage", "Mean advantage of the reshaped tokens after the reshaping."),
    "ecvgpo/policy_entropy": Meaning("nats per token", "Entropy of the old policy over the whole vocabulary."),
    "ecvgpo/zero_variance_groups": Meaning("share of prompts", "Prompts whose rewards are all equal."),
    "ecvgpo/r0": Meaning("r0", "r0 of the step, as the controller sets it; 1e6 where 1 / r0 is 0."),
    "ecvgpo/r0_inverse": Meaning("1 / r0", "What the controller moves; a smoother curve than r0."),
    "ecvgpo/r0_integral": Meaning("1 / r0", "Integral part of the controller."),
    "ecvgpo/r0_saturated": Meaning("0 or 1", "1 while the controller is at its limit r0_min."),
    "ecvgpo/target_entropy": Meaning("nats per token", "Entropy that the controller aims at."),
    "ecvgpo/entropy_error": Meaning("nats per token", "Entropy minus its target."),
    "vepo/jsd": Meaning("nats", "JSD of the predictions given the image and the perturbed one."),
    "vepo/entropy_gap": Meaning("nats", "Mean |entropy given the perturbed image - entropy given the image|."),
    "vepo/entropy_rise": Meaning("nats", "Mean entropy given the perturbed image minus that given the image."),
    "vepo/entropy": Meaning("nats per token", "Entropy given the image."),
    "vepo/score": Meaning("score", "Score by which tokens are selected, scaled to [0, 1]."),
    "vepo/policy_entropy": Meaning("nats per token", "Entropy given the image."),
    "vepo/perturbed_entropy": Meaning("nats per token", "Entropy given the perturbed image."),
    "vepo/selected_tokens": Meaning("share of tokens", "Tokens that are kept, or boosted."),
    "vepo/rows_without_selection": Meaning("share of responses", "Responses that keep no token."),
    "vepo/vision_kept": Meaning("share of tokens", "Of the tokens with the highest JSD, those that were kept."),
    "vepo/vision_missed_by_entropy": Meaning(
        "share of tokens", "Of the tokens with the highest JSD, those that a selection by entropy alone would drop."
    ),
    "vepo/kept_missed_by_entropy": Meaning(
        "share of tokens", "Of the kept tokens, those that entropy alone would drop; at 0, VEPO is entropy alone."
    ),
    "vepo/rows_without_image": Meaning("share of responses", "Responses without an image, selected by entropy alone."),
    "vepo/strength": Meaning("unit of the perturbation", "Strength of the perturbation in this step."),
    "vppo/kl": Meaning("nats", "KL from the prediction given the image to that given the perturbed image."),
    "vppo/selected_tokens": Meaning("share of tokens", "Tokens that keep their advantage."),
    "vppo/trajectory_weight/min": Meaning("weight", "Smallest weight of a response with an image."),
    "vppo/trajectory_weight/max": Meaning("weight", "Largest weight of a response with an image."),
    "vppo/trajectory_weight/mean": Meaning("weight", "Mean weight of the responses with an image."),
    "vppo/rows_without_image": Meaning("share of responses", "Responses without an image, trained as in GRPO."),
    "vppo/strength": Meaning("unit of the perturbation", "Strength of the perturbation in this step."),
    "saei/selective_entropy": Meaning("nats per token", "Entropy of the tokens whose entropy the attack raises."),
    "saei/raised_prompts": Meaning("share of prompts", "Prompts whose selected entropy the attack raised."),
    "saei/pixel_change": Meaning("levels of 255", "Mean absolute change of a pixel."),
    "saei/reward": Meaning("mean reward", "Reward."),
    "saei/mixed_groups": Meaning("share of prompts", "Prompts whose rewards differ."),
    "saei/entropy": Meaning("nats per token", "Policy entropy."),
    "saei/self_information": Meaning("nats per token", "Mean -log p of the sampled tokens in the rollout engine."),
    "saei/log_prob_mismatch": Meaning("nats", "Mean |log p of the actor - log p of the rollout engine|."),
    "saei/adversarial_responses": Meaning("share of responses", "Responses sampled on adversarial images."),
    "saei/prompts_without_image": Meaning("prompts", "Prompts that could not be attacked."),
    "noisyrollout/strength": Meaning("diffusion step", "Strength of the noise in this step."),
    "noisyrollout/noisy_responses": Meaning("share of responses", "Responses to the noisy image."),
    "noisyrollout/reward": Meaning("mean reward", "Reward."),
    "noisyrollout/mixed_groups": Meaning("share of prompts", "Prompts whose rewards differ."),
    "noisyrollout/entropy": Meaning("nats per token", "Policy entropy given the clean image."),
    "noisyrollout/self_information": Meaning("nats per token", "Mean -log p of the sampled tokens in the engine."),
    "noisyrollout/log_prob_mismatch": Meaning("nats", "Mean |log p of the actor - log p of the rollout engine|."),
}  # fmt: skip


def meaning_of(metric: str) -> Meaning:
    """Return the unit and meaning of a method's metric; of one that is not known, the unit "value" and no text."""
    if metric in _MEANINGS:
        return _MEANINGS[metric]
    ending = re.search(r"_([a-z]+)$", metric)
    whole = _MEANINGS.get(metric[: ending.start()]) if ending else None
    if ending and whole and ending[1] in _PART:
        return Meaning(whole.unit, f"{whole.text.removesuffix('.')}, {_PART[ending[1]]}.")
    return Meaning("value", "")
