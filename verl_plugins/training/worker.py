"""verl's hybrid worker on this package's engine, with one repair for batches of rows of equal length."""

from __future__ import annotations

from dataclasses import replace

from omegaconf import DictConfig
from tensordict import TensorDict
from verl.experimental.separation.engine_workers import DetachActorWorker
from verl.utils.tensordict_utils import nested_tensor_from_tensor_list
from verl.workers.config import TrainingWorkerConfig
from verl.workers.engine import EngineRegistry
from verl.workers.engine_workers import ActorRolloutRefWorker, TrainingWorker

from verl_plugins.training import ENGINE, FROZEN_VISION_ENGINE


def mend_position_ids(data: TensorDict) -> TensorDict:
    """Restore the sequence as the ragged dimension of mRoPE's ``position_ids``.

    The TransferQueue joins rows of shape (4, length) into a nested tensor, and torch treats the first dimension in
    which they differ as ragged. If all rows of a rank are equally long, as short answers to one prompt often are, torch
    takes the first dimension, and verl fails at the next split. This can be removed when verl names the ragged
    dimension.

    Args:
        data: a rank's rows; ``position_ids`` is replaced in place if needed.
    """
    position_ids = data.get("position_ids", None)
    if position_ids is not None and position_ids.is_nested and position_ids.dim() == 3:
        values, offsets = position_ids.values(), position_ids.offsets()
        if values.shape[0] == int(offsets[-1]):  # (rows * 4, length), not (4, sum of lengths)
            rows = list(values.split(offsets.diff().tolist()))
            data["position_ids"] = nested_tensor_from_tensor_list(rows, ragged_idx=2)
    return data


class EntropyTrainingWorker(TrainingWorker):
    """``TrainingWorker`` on repaired batches, and on the engine that runs requests where verl would use its FSDP engine
    or one that inherits it."""

    model_type = ENGINE

    def __init__(self, config: TrainingWorkerConfig):
        if config.model_type == "language_model" and config.engine_config.strategy in EngineRegistry._engines[ENGINE]:
            config = replace(config, model_type=self.model_type)
        super().__init__(config)

    def infer_batch(self, data: TensorDict) -> TensorDict:
        return super().infer_batch(mend_position_ids(data))

    def train_mini_batch(self, data: TensorDict) -> TensorDict:
        return super().train_mini_batch(mend_position_ids(data))


class FrozenVisionTrainingWorker(EntropyTrainingWorker):
    """``EntropyTrainingWorker`` on ``FrozenVisionEngine``."""

    model_type = FROZEN_VISION_ENGINE


class EntropyWorker(ActorRolloutRefWorker):
    """``ActorRolloutRefWorker`` on ``EntropyTrainingWorker``, or on ``FrozenVisionTrainingWorker`` if the run freezes
    the actor's vision tower."""

    actor_worker_cls = EntropyTrainingWorker
    ref_worker_cls = EntropyTrainingWorker

    def __init__(self, config: DictConfig, role: str, *args, **kwargs):
        super().__init__(config, role, *args, **kwargs)
        if config.actor.get("freeze_vision_tower"):
            self.actor_worker_cls = FrozenVisionTrainingWorker


class DetachEntropyWorker(EntropyWorker, DetachActorWorker):
    """``EntropyWorker`` that keeps copies of the actor's weights, for the trainer with devices of its own."""
