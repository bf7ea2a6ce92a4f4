"""Requirements of VPPO on a run's config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verl_plugins.methods.run_checks import (
    FSDP_STRATEGIES,
    RunChecks,
    expect_advantages_per_token,
    expect_fsdp_engine,
)
from verl_plugins.methods.vppo.maths import VPPOConfig
from verl_plugins.vision.layout import layout_of


def requirements(run: RunChecks, config: VPPOConfig) -> None:
    """Report an engine whose hidden states VPPO cannot read, or a loss that undoes its weights."""
    if not config.is_grpo:
        expect_fsdp_engine(run, FSDP_STRATEGIES, "vppo reads the hidden states of verl's FSDP engine")
    expect_advantages_per_token(run, "vppo")


def check_processor(processor: Any, settings: Mapping[str, Any], config: VPPOConfig) -> None:
    """Raise ValueError for a processor whose images cannot be perturbed, if the knobs need a perturbed image."""
    if not config.is_grpo:
        layout_of(processor)
