"""verl's V1 trainers with the stages of this package, by verl's names for ``trainer.v1.trainer_mode``."""

from __future__ import annotations

from verl.trainer.ppo.v1.trainer_colocate_async import PPOTrainerColocateAsync
from verl.trainer.ppo.v1.trainer_separate_async import PPOTrainerSeparateAsync
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from verl_plugins.training.trainer import EntropyStages
from verl_plugins.training.worker import DetachEntropyWorker


class EntropyTrainer(EntropyStages, PPOTrainerSync):
    """Synchronous: samples, then trains, on the same devices."""

    mode = "sync"


class EntropyColocateAsyncTrainer(EntropyStages, PPOTrainerColocateAsync):
    """Asynchronous on the same devices: unfinished responses go on after the update, with the new weights."""

    mode = "colocate_async"


class EntropySeparateAsyncTrainer(EntropyStages, PPOTrainerSeparateAsync):
    """Asynchronous: samples on devices of their own while the others train."""

    mode = "separate_async"
    worker_class = DetachEntropyWorker


TRAINERS = {
    trainer.mode: trainer for trainer in (EntropyTrainer, EntropyColocateAsyncTrainer, EntropySeparateAsyncTrainer)
}
