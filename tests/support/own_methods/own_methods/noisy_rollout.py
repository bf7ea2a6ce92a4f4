"""Noisy rollout: every other response is sampled on a noisy image, and all are trained on the clean image.

After "NoisyRollout", arXiv 2504.13055; the group's advantages are GRPO's over clean and noisy responses together.
noise = 0 is GRPO with the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.knobs import require
from verl_plugins.methods.method import Driver, Method
from verl_plugins.methods.run_checks import RunChecks

KEY = "algorithm.noisy_rollout"
LOOP = "noisy_single_turn_agent"


@dataclass(frozen=True)
class NoisyRolloutConfig:
    """Settings of noisy rollout.

    Args:
        noise: standard deviation of the pixel noise, in 8-bit levels.
    """

    noise: float = 32.0

    def __post_init__(self) -> None:
        require(KEY, self, "noise", "a number >= 0, in 8-bit levels", lambda noise: noise >= 0)


def apply(batch: AdvantageBatch, config: NoisyRolloutConfig) -> tuple[Tensor, dict[str, float]]:
    """Return GRPO's advantages (B, T), and the mean reward of the clean and of the noisy responses."""
    (noisy,) = batch.signals(KEY, "noisy")
    real = batch.response_mask.bool().any(dim=1)
    means = {"clean": real & ~noisy, "noisy": real & noisy}
    return batch.advantages, {
        f"noisy_rollout/reward_{name}": batch.rewards[rows].double().mean().item()
        for name, rows in means.items()
        if rows.any()
    }


def requirements(run: RunChecks, config: NoisyRolloutConfig) -> None:
    """Report an agent loop other than the one that this method's own replaces."""
    run.expect(
        "actor_rollout_ref.rollout.agent.default_agent_loop",
        lambda name: name == "seeded_single_turn_agent",
        "seeded_single_turn_agent, of which noisy_rollout's agent loop is a variant",
    )


class NoisyRolloutDriver(Driver):
    """Sends the prompts to the noisy agent loop, and marks the rows that were sampled on a noisy image."""

    def before_sampling(self, prompts: Any) -> Any:
        """Choose the agent loop of the prompts and tell it the noise."""
        from verl.utils import tensordict_utils as tu

        prompts = prompts.copy()
        tu.assign_non_tensor_stack(prompts, "agent_name", [LOOP] * len(prompts))
        tu.assign_non_tensor_stack(prompts, "pixel_noise", [self.config.noise] * len(prompts))
        return prompts

    def row_columns(self, keys: list[str]) -> dict[str, Tensor]:
        """Mark the noisy responses, (B,) bool."""
        from verl_plugins.components.transfer_queue import parse_key

        return {"noisy": torch.tensor([parse_key(key).session % 2 == 1 for key in keys])}


METHOD = Method(
    config=NoisyRolloutConfig,
    apply=apply,
    driver="own_methods.noisy_rollout:NoisyRolloutDriver",
    requirements=requirements,
    agent_loops={LOOP: "own_methods.noisy_agent_loop:NoisySingleTurnAgentLoop"},
)
