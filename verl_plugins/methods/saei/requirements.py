"""Requirements of SaEI's second sampling on a run's config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verl_plugins.methods.run_checks import (
    RunChecks,
    expect_fsdp_engine,
    expect_single_turn_loop,
    expect_two_halves,
    expect_whole_images,
)
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.vision.pixels import check_invertible


def requirements(run: RunChecks, config: SaEIConfig) -> None:
    """Report an engine without gradients to the images, or a rollout that cannot sample a prompt twice."""
    expect_fsdp_engine(run, ("fsdp2",), "saei takes gradients to the images alone, through verl's FSDP2 engine")
    expect_two_halves(run, "saei", config.n1, config.n2)
    if config.alpha == 0:
        run.refuse(
            "algorithm.saei.alpha",
            "0, which changes no image",
            "1 to 255 levels of 8-bit pixels",
            "set algorithm.saei.alpha, or start the run with +method=grpo",
        )
    expect_single_turn_loop(run, "saei samples again single-turn")
    expect_whole_images(run, "saei")
    replay = "skip.rollout_tq.enable"
    if run.get(replay):
        run.refuse(replay, "true", "false (replayed responses have no prompts to sample again)", f"set {replay}")
    if run.get("algorithm.filter_groups.enable") and config.n1 < 2:
        run.refuse(
            "algorithm.saei.n1",
            config.n1,
            "at least 2 with algorithm.filter_groups.enable (groups are filtered by the responses to the clean image)",
            "set algorithm.saei.n1 and n2",
        )
    bypass = "algorithm.rollout_correction.bypass_mode"
    if run.get(bypass) and config.update == "clean":
        run.refuse(
            bypass,
            "true",
            "false with algorithm.saei.update=clean (the rollout's log-probs are given the adversarial image)",
            f"set {bypass}, or algorithm.saei.update=adversarial",
        )


def check_processor(processor: Any, settings: Mapping[str, Any], config: SaEIConfig) -> None:
    """Raise ValueError for a processor whose ``pixel_values`` cannot be converted back to the image."""
    check_invertible(processor, settings)
