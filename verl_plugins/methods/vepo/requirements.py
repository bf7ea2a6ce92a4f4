"""Requirements of VEPO on a run's config."""

from __future__ import annotations

from verl_plugins.methods.run_checks import RunChecks, expect_fsdp_engine
from verl_plugins.methods.vepo.maths import VEPOConfig


def requirements(run: RunChecks, config: VEPOConfig) -> None:
    """Report an engine whose hidden states VEPO cannot read, or a loss aggregation that its weights do not fit."""
    expect_fsdp_engine(run, ("fsdp", "fsdp2"), "vepo reads the hidden states of verl's FSDP engine")
    run.expect(
        "actor_rollout_ref.actor.loss_agg_mode",
        lambda mode: mode == "token-mean",
        "token-mean, for which vepo's weights are made",
    )
