"""VPPO in the trainer: each step's perturbed image; records of the selected tokens."""

from __future__ import annotations

from typing import Any

from transfer_queue import KVBatchMeta

from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.components.records import Recorder
from verl_plugins.components.token_records import record_tokens
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.method import Driver
from verl_plugins.methods.vppo.apply import token_signals
from verl_plugins.vision.layout import layout_of


class VPPODriver(Driver):
    """Requests the forward on the perturbed image, unless the knobs are GRPO's."""

    def setup(self, processor: Any) -> None:
        """Read the image layout of the model's processor.

        Raises:
            ValueError: a processor whose images cannot be perturbed (``layout_of``).
        """
        if not self.config.is_grpo:
            self.layout = layout_of(processor)
            self.columns = ("kl",)
        self.perturbation = self.config.image_perturbation
        self.recorder = Recorder(self.run_config)

    def log_prob_request(self, step: int, total_steps: int, metrics: dict[str, Any]) -> Counterfactual | None:
        """Request the counterfactual forward of this step, and log its strength."""
        if self.config.is_grpo:
            return None
        request = self.counterfactual_at(step, total_steps)
        metrics["vppo/strength"] = request.strength
        return request

    def counterfactual_at(self, step: int, total_steps: int) -> Counterfactual:
        """Return the perturbation of ``step`` (from 1); its strength follows the schedule."""
        return Counterfactual.at(self.perturbation, self.run_config.actor_rollout_ref.rollout.seed, step, total_steps)

    def record(self, trainer: Any, batch: KVBatchMeta, advantage_batch: AdvantageBatch) -> None:
        """Write responses of a recorded step with their tokens' divergences and weights."""
        step, total_steps = trainer.global_steps, trainer.total_training_steps
        if self.config.is_grpo or not self.recorder.wants(step, total_steps):
            return
        signals = token_signals(advantage_batch, self.config)
        images = self.layout, self.counterfactual_at(step, total_steps)
        rewards, groups = advantage_batch.rewards, advantage_batch.groups
        record_tokens(self.recorder, "vppo_tokens", trainer, batch, signals, rewards, groups, images)
