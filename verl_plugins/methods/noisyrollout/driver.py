"""NoisyRollout in the trainer: sends the prompts to its agent loops with the strength of their noise.

One sampling is enough, because the noise is known before it. So the asynchronous trainers and group filtering work as
with GRPO.
"""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from verl.utils import tensordict_utils as tu

from verl_plugins.components.transfer_queue import parse_key
from verl_plugins.methods.method import Driver
from verl_plugins.methods.noisyrollout.noisy_sampling import NOISE_STRENGTH, NOISY, NOISY_LOOPS


class NoisyRolloutDriver(Driver):
    """Has the last n2 responses to each prompt sampled on noisy images, and marks their rows."""

    def before_sampling(self, prompts: TensorDict) -> TensorDict:
        """Choose the agent loop of the prompts, and tell it the strength at the step that samples them.

        Each prompt has a value of its own: checkpoints of the asynchronous trainers leave out what prompts share.
        """
        loop = NOISY_LOOPS[self.run_config.actor_rollout_ref.rollout.agent.default_agent_loop]
        strength = self.config.strength_at(int(prompts["global_steps"]), self.total_steps)
        prompts = prompts.copy()
        tu.assign_non_tensor_stack(prompts, "agent_name", [loop] * len(prompts))
        tu.assign_non_tensor_stack(prompts, NOISE_STRENGTH, [strength] * len(prompts))
        return prompts

    def log_prob_request(self, step: int, total_steps: int, metrics: dict[str, Any]) -> None:
        """Log the strength at ``step``; no forward is requested."""
        metrics["noisyrollout/strength"] = self.config.strength_at(step, total_steps)

    def row_columns(self, keys: list[str]) -> dict[str, Tensor]:
        """Mark the rows that were sampled on a noisy image, (B,) bool."""
        return {NOISY: torch.tensor([parse_key(key).session >= self.config.n1 for key in keys])}
