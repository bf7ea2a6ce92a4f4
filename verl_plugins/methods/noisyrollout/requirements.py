"""Requirements of NoisyRollout's sampling on a run's config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verl_plugins.methods.noisyrollout.maths import NoisyRolloutConfig
from verl_plugins.methods.run_checks import RunChecks, expect_single_turn_loop, expect_two_halves, expect_whole_images
from verl_plugins.vision.pixels import check_invertible


def requirements(run: RunChecks, config: NoisyRolloutConfig) -> None:
    """Report a rollout that cannot sample a part of a group on other images, and log-probabilities given these."""
    expect_two_halves(run, "noisyrollout", config.n1, config.n2)
    expect_single_turn_loop(run, "noisyrollout samples single-turn")
    expect_whole_images(run, "noisyrollout")
    bypass = "algorithm.rollout_correction.bypass_mode"
    if run.get(bypass):
        run.refuse(
            bypass,
            "true",
            "false with noisyrollout (the rollout's log-probs are given the noisy image, the update the clean one)",
            f"set {bypass}",
        )


def check_processor(processor: Any, settings: Mapping[str, Any], config: NoisyRolloutConfig) -> None:
    """Raise ValueError for a processor whose ``pixel_values`` cannot be converted back to the image."""
    check_invertible(processor, settings)
