"""The entropy in bypass mode, in which verl takes the rollout engine's log-probabilities and runs no forward."""

from __future__ import annotations

import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.core_algos import agg_loss
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.workers.utils.padding import response_from_nested


def add_entropy(trainer: PPOTrainer, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
    """Run the actor on a batch and store the entropy, and the columns of the request that the batch carries.

    ``old_log_probs`` stay those of the rollout engine. Logs ``actor/entropy`` as verl does outside bypass mode.

    Args:
        metrics: of the step; added to.
    """
    models, where = trainer.config.actor_rollout_ref, {"keys": batch.keys, "partition_id": batch.partition_id}
    settings = {"calculate_entropy": True, "compute_loss": False, "temperature": models.rollout.temperature}
    batch.extra_info = {**(batch.extra_info or {}), **settings}
    trainer.actor_rollout_wg.compute_log_prob(batch)
    data = tq.kv_batch_get(**where, select_fields=["entropy", "response_mask"])
    data["entropy"] = response_from_nested(data["entropy"], data["response_mask"])
    batch = tq.kv_batch_put(**where, fields=data.select("entropy"))
    padded = data.to_padded_tensor()
    entropy = agg_loss(
        loss_mat=padded["entropy"],
        loss_mask=padded["response_mask"],
        loss_agg_mode=models.actor.loss_agg_mode,
        loss_scale_factor=models.actor.loss_scale_factor,
    )
    metrics["actor/entropy"] = entropy.item()
    return batch
