"""Requirements of VEPO on a run's config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verl_plugins.methods.run_checks import RunChecks, expect_fsdp_engine
from verl_plugins.methods.vepo.maths import VEPOConfig
from verl_plugins.vision.layout import layout_of


def requirements(run: RunChecks, config: VEPOConfig) -> None:
    """Report an engine whose hidden states VEPO cannot read, or a loss aggregation that its weights do not fit."""
    expect_fsdp_engine(run, ("fsdp", "fsdp2"), "vepo reads the hidden states of verl's FSDP engine")
    run.expect(
        "actor_rollout_ref.actor.loss_agg_mode",
        lambda mode: mode == "token-mean",
        "token-mean, for which vepo's weights are made",
    )


def check_processor(processor: Any, settings: Mapping[str, Any], config: VEPOConfig) -> None:
    """Raise ValueError for a processor whose images cannot be perturbed, if the score needs a perturbed image."""
    if config.needs_counterfactual:
        layout_of(processor)
