"""Requirements of SaEI's second sampling on a run's config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verl_plugins.methods.run_checks import RunChecks, expect_fsdp_engine
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import SECOND_LOOPS
from verl_plugins.vision.pixels import check_invertible


def requirements(run: RunChecks, config: SaEIConfig) -> None:
    """Report an engine without gradients to the images, or a rollout that cannot sample a prompt twice."""
    expect_fsdp_engine(run, ("fsdp2",), "saei takes gradients to the images alone, through verl's FSDP2 engine")
    responses = run.get("actor_rollout_ref.rollout.n")
    if responses != config.n1 + config.n2:
        run.refuse(
            "algorithm.saei.n1 + n2",
            f"{config.n1} + {config.n2}",
            f"actor_rollout_ref.rollout.n = {responses}",
            "set algorithm.saei.n1 and n2, or actor_rollout_ref.rollout.n",
        )
    if config.alpha == 0:
        run.refuse(
            "algorithm.saei.alpha",
            "0, which changes no image",
            "1 to 255 levels of 8-bit pixels",
            "set algorithm.saei.alpha, or start the run with +method=grpo",
        )
    run.expect(
        "actor_rollout_ref.rollout.agent.default_agent_loop",
        SECOND_LOOPS.__contains__,
        f"{' or '.join(SECOND_LOOPS)} (saei samples again single-turn)",
    )
    crop = "data.mm_processor_kwargs.crop_to_patches"
    if run.model_type == "internvl" and run.get(crop) is not False:
        run.refuse(
            crop,
            "true, InternVL's default",
            "false (its tiles overlap in the thumbnail, and saei cannot change them apart)",
            f"set {crop}",
        )
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
