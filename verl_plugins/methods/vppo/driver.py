"""VPPO in the trainer: the perturbed image that each step asks for."""

from __future__ import annotations

from typing import Any

from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.methods.method import Driver
from verl_plugins.vision.layout import layout_of


class VPPODriver(Driver):
    """Requests the forward on the perturbed image, unless the knobs are GRPO's."""

    def setup(self, processor: Any) -> None:
        """Check that the images of the model's processor can be perturbed.

        Raises:
            ValueError: they cannot (``layout_of``).
        """
        if not self.config.is_grpo:
            layout_of(processor)
            self.columns = ("kl",)
        self.perturbation = self.config.image_perturbation

    def log_prob_request(self, step: int, total_steps: int, metrics: dict[str, Any]) -> Counterfactual | None:
        """Request the counterfactual forward of this step, and log its strength."""
        if self.config.is_grpo:
            return None
        seed = self.run_config.actor_rollout_ref.rollout.seed
        request = Counterfactual.at(self.perturbation, seed, step, total_steps)
        metrics["vppo/strength"] = request.strength
        return request
