"""VEPO in the trainer: each step's perturbed image, or seeds of a random selection; records of the selected tokens."""

from __future__ import annotations

from typing import Any

import torch
import transfer_queue as tq
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.utils import tensordict_utils as tu

from verl_plugins.components.counterfactual import SIGNALS, Counterfactual
from verl_plugins.components.records import Recorder
from verl_plugins.components.token_records import record_tokens
from verl_plugins.components.transfer_queue import PARTITION, parse_key
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.method import Driver
from verl_plugins.methods.vepo.apply import SELECTION_SEED, select
from verl_plugins.seeds import seed_of
from verl_plugins.vision.layout import layout_of


class VEPODriver(Driver):
    """Requests the forward on the perturbed image where the score needs it, and seeds a random selection."""

    def setup(self, processor: Any) -> None:
        """Read the image layout of the model's processor.

        Raises:
            ValueError: a processor whose images cannot be perturbed (``layout_of``).
        """
        self.columns = SIGNALS if self.config.needs_counterfactual else ()
        self.perturbation = self.config.image_perturbation
        self.layout = layout_of(processor) if self.config.needs_counterfactual else None
        self.recorder = Recorder(self.run_config)

    def log_prob_request(self, step: int, total_steps: int, metrics: dict[str, Any]) -> Counterfactual | None:
        """Request the counterfactual forward of this step, and log its strength."""
        self.step = step
        if not self.config.needs_counterfactual:
            return None
        request = self.counterfactual_at(step, total_steps)
        metrics["vepo/strength"] = request.strength
        return request

    def counterfactual_at(self, step: int, total_steps: int) -> Counterfactual:
        """Return the perturbation of ``step`` (from 1); its strength follows the schedule."""
        return Counterfactual.at(self.perturbation, self.run_config.actor_rollout_ref.rollout.seed, step, total_steps)

    def row_columns(self, keys: list[str]) -> dict[str, Tensor]:
        """Seed the random numbers of each response by (rollout's seed, step, row of the data set, response)."""
        if self.config.select != "random":
            return {}
        rows: Any = tq.kv_batch_get(keys, PARTITION, select_fields=["index"])
        seed = self.run_config.actor_rollout_ref.rollout.seed
        seeds = []
        for key, index in zip(keys, rows["index"], strict=True):
            row, response = tu.unwrap_non_tensor_data(index), parse_key(key)[1:]  # without the uid, which is random
            seeds.append(seed_of(seed, self.step, str(row), "selection", *response))
        return {SELECTION_SEED: torch.tensor(seeds)}

    def record(self, trainer: Any, batch: KVBatchMeta, advantage_batch: AdvantageBatch) -> None:
        """Write responses of a recorded step with their tokens' scores and weights."""
        step, total_steps = trainer.global_steps, trainer.total_training_steps
        if self.config.keeps_all or not self.recorder.wants(step, total_steps):
            return
        weights, scores, _ = select(advantage_batch, self.config)
        signals = {"score": scores, "kept": weights * (weights > self.config.unselected_weight)}
        if advantage_batch.entropy is not None:
            signals["entropy"] = advantage_batch.entropy
        if self.config.needs_counterfactual:
            signals |= {name: advantage_batch.columns[name] for name in ("jsd", "perturbed_entropy")}
        images = None if self.layout is None else (self.layout, self.counterfactual_at(step, total_steps))
        rewards, groups = advantage_batch.rewards, advantage_batch.groups
        record_tokens(self.recorder, "tokens", trainer, batch, signals, rewards, groups, images)
