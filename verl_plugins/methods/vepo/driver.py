"""The driver's side of VEPO's counterfactual: which image a step asks for, and the record of what was selected."""

from __future__ import annotations

from typing import Any

import torch
import transfer_queue as tq
from omegaconf import DictConfig

from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.components.records import PICTURES, Recorder, picture
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.vepo.apply import select
from verl_plugins.methods.vepo.maths import VEPOConfig
from verl_plugins.methods.vepo.token_records import ROWS, token_records
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.perturb import Perturbation, perturb


class Counterfactuals:
    """What a run with VEPO needs beside the method itself.

    Args:
        config: verl's config of the run.
        vepo: settings of the method.
        processor: of the model.

    Raises:
        ValueError: a processor whose images cannot be perturbed (``layout_of``).
    """

    def __init__(self, config: DictConfig, vepo: VEPOConfig, processor: Any):
        self.vepo = vepo
        self.needed = vepo.needs_counterfactual
        self.image = Perturbation(vepo.perturbation, vepo.strength, vepo.schedule)
        self.layout = layout_of(processor) if self.needed else None
        self.seed = config.actor_rollout_ref.rollout.seed
        self.recorder = Recorder(config)

    def at(self, step: int, total_steps: int) -> Counterfactual:
        """The image that ``step`` (from 1) of ``total_steps`` asks for."""
        strength = self.image.strength_at((step - 1) / max(1, total_steps - 1))
        return Counterfactual(self.image.kind, strength, self.seed, step)

    def is_written_at(self, step: int, total_steps: int) -> bool:
        """Whether the tokens of ``step`` are recorded."""
        return not self.vepo.keeps_all and self.recorder.wants(step, total_steps)

    def write_tokens(self, where: dict, batch: AdvantageBatch, tokenizer: Any, step: int, total_steps: int) -> None:
        """Record the first ROWS responses of a step's batch; ``where`` are the batch's keys in the TransferQueue."""
        weights, scores, _ = select(batch, self.vepo)
        signals = {"score": scores, "kept": weights, "entropy": batch.entropy}
        signals |= {name: getattr(batch, name) for name in ("jsd", "perturbed_entropy") if self.needed}
        fields = ["prompts", "responses", "multi_modal_inputs", "index"]
        data: Any = tq.kv_batch_get(where["keys"][:ROWS], where["partition_id"], select_fields=fields)
        responses, prompts = (list(data[name].unbind()) for name in ("responses", "prompts"))
        records = token_records(tokenizer, responses, prompts, signals, batch.rewards, batch.groups)
        counterfactual = self.at(step, total_steps)
        for record, inputs, index in zip(records, data["multi_modal_inputs"], data["index"], strict=True):
            if self.layout is None or sum("picture" in other for other in records) == PICTURES:
                break
            if inputs and inputs.get("pixel_values") is not None:
                inputs = {name: torch.as_tensor(value) for name, value in inputs.items()}
                key = (counterfactual.seed, counterfactual.step, str(index))
                other = perturb(inputs, self.layout, counterfactual.kind, counterfactual.strength, key)
                record["picture"] = picture(inputs, self.layout)
                record["perturbed_picture"] = picture(other, self.layout)
        self.recorder.write("tokens", step, records)
