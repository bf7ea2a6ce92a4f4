"""Requirements of VEPO on a run's config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verl_plugins.methods.run_checks import FSDP_STRATEGIES, RunChecks, expect_advantages_per_token, expect_fsdp_engine
from verl_plugins.methods.vepo.maths import LOSS_AGG_MODES, VEPOConfig
from verl_plugins.vision.layout import layout_of


def requirements(run: RunChecks, config: VEPOConfig) -> None:
    """Report an engine whose hidden states VEPO cannot read, or a loss that its weights do not fit."""
    if config.needs_counterfactual:
        expect_fsdp_engine(run, FSDP_STRATEGIES, "vepo reads the hidden states of verl's FSDP engine")
    run.expect(
        "actor_rollout_ref.actor.loss_agg_mode",
        LOSS_AGG_MODES.__contains__,
        f"one of {', '.join(LOSS_AGG_MODES)}, for which vepo's weights are made",
    )
    expect_advantages_per_token(run, "vepo")


def check_processor(processor: Any, settings: Mapping[str, Any], config: VEPOConfig) -> None:
    """Raise ValueError for a processor whose images cannot be perturbed, if the score needs a perturbed image."""
    if config.needs_counterfactual:
        layout_of(processor)
