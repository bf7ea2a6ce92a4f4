"""Stages of verl's V1 trainers with hooks for the methods, and health checks after each step.

The stages name no method. They move tensors between verl's TransferQueue and the drivers of ``verl_plugins.methods``;
everything else is verl's. ``verl_plugins.training.modes`` combines them with verl's trainers.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import ray
import transfer_queue as tq
from omegaconf import DictConfig, open_dict
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.utils import Role
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.utils import tensordict_utils as tu
from verl.utils.debug import marked_timer
from verl.workers.engine_workers import ActorRolloutRefWorker
from verl.workers.utils.padding import response_to_nested

from verl_plugins.components.transfer_queue import PARTITION
from verl_plugins.health.checks import REWARD_STATUS
from verl_plugins.health.health_config import health_from_node
from verl_plugins.health.watch import Watch
from verl_plugins.methods import METHODS
from verl_plugins.training.bypass import add_entropy
from verl_plugins.training.checkpoint import load_parts, save_parts
from verl_plugins.training.drivers import build_drivers, carrying, shared_request
from verl_plugins.training.estimator import group_indices
from verl_plugins.training.extra_fields import ExtraFields
from verl_plugins.training.rows import advantage_batch, last_outputs, loss_aggregation, padded_tensors, sort_rows
from verl_plugins.training.signals import expect_columns, expect_signals
from verl_plugins.training.step_metrics import real_responses, step_metrics
from verl_plugins.training.worker import EntropyWorker


class EntropyStages(PPOTrainer):
    """verl's GRPO, then each method whose node ``algorithm.<method>`` is in the config, in the order of METHODS.

    A base class to put before one of verl's trainers, whose ``mode`` and ``worker_class`` the subclass names.
    """

    mode: str
    """verl's name of the trainer."""

    worker_class: type[ActorRolloutRefWorker] = EntropyWorker
    """Worker of the actor, rollout and reference roles."""

    def __init__(self, config: DictConfig):
        self.drivers = build_drivers(config)
        self.watch = Watch(health_from_node(config.trainer.get("health") or {}))
        self.stateful: dict[str, Any] = {name: d for name, d in self.drivers.items() if d.state() is not None}
        self.stateful["health"] = self.watch
        self.saved_step = 0
        self.prompt_order: dict[str, int] = {}  # by uid, of the prompts that are being sampled or wait for their step
        self.submitted_prompts = 0
        self.has_seen_signals = False
        self.responses, self.failures = 0, Counter[str]()  # of the step, see ``step``
        with open_dict(config):
            # verl chooses its sampling and its advantages by these two names: for verl, this is a GRPO run.
            config.trainer.v1.trainer_mode = self.mode
            if config.algorithm.adv_estimator in METHODS:
                config.algorithm.adv_estimator = "grpo"
            self.extra_fields = ExtraFields(config)
        super().__init__(config)

    def _init_dataloader(self):
        """Set the drivers up after verl's data loader, which may fork to filter prompts: a fork after torch has started
        its threads hangs."""
        super()._init_dataloader()
        for driver in self.drivers.values():
            driver.total_steps = self.total_training_steps
            driver.setup(self.processor)
        shared_request(self.drivers, 1, self.total_training_steps, {})  # two that differ end the run here

    def _build_replay_buffer(self):
        replay_buffer = super()._build_replay_buffer()
        sampler_kwargs = self.config.trainer.v1.sampler.get("sampler_kwargs") or {}
        replay_buffer.poll_interval = sampler_kwargs.get("poll_interval", replay_buffer.poll_interval)
        return replay_buffer

    def _init_resource_pool_mgr(self):
        super()._init_resource_pool_mgr()
        for role in self.role_worker_mapping:
            if role != Role.Critic:
                self.role_worker_mapping[role] = ray.remote(self.worker_class)

    def prepare_step(self) -> dict:
        for driver in self.drivers.values():
            driver.begin_step()
        return super().prepare_step()

    def _submit_batch_to_rollout(self, batch: TensorDict) -> int:
        for uid in batch["uid"]:
            uid: Any = tu.unwrap_non_tensor_data(uid)
            self.prompt_order[uid] = self.submitted_prompts
            self.submitted_prompts += 1
        for driver in self.drivers.values():
            batch = driver.before_sampling(batch)
        return super()._submit_batch_to_rollout(batch)

    def _balance_batch(self, batch: KVBatchMeta, metrics: dict, *args, **kwargs) -> KVBatchMeta:
        """Sort the rows and let the drivers sample further ones: the first stage with the rollout engine asleep."""
        submit = super()._submit_batch_to_rollout
        sort_rows(batch, self.prompt_order)
        for driver in self.drivers.values():
            batch = driver.after_sampling(self, submit, batch, metrics)
        sort_rows(batch, self.prompt_order)
        waiting = (tq.kv_list(PARTITION) or {}).get(PARTITION, {})  # without this batch's prompts, and those evicted
        self.prompt_order = {uid: place for uid, place in self.prompt_order.items() if uid in waiting}
        return super()._balance_batch(batch, metrics, *args, **kwargs)

    def _compute_old_log_prob(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Compute verl's old log-probabilities and entropy, and the columns of the drivers' request with them.

        In bypass mode the old log-probabilities are those of the rollout engine and verl runs no forward; one is run
        for the drivers that need the entropy or a column.
        """
        request = shared_request(self.drivers, self.global_steps, self.total_training_steps, metrics)
        if not self.is_bypassed:
            with carrying(batch, request):
                return super()._compute_old_log_prob(batch, metrics)
        batch = super()._compute_old_log_prob(batch, metrics)
        if self.has_entropy:
            with carrying(batch, request):
                batch = add_entropy(self, batch, metrics)
        return batch

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Compute verl's advantages, apply the methods, and replace ``advantages`` in the TransferQueue."""
        with self.extra_fields.of(batch):
            batch = super()._compute_advantage(batch, metrics)
        where = {"keys": batch.keys, "partition_id": batch.partition_id}
        with marked_timer("entropy_methods", self.timing_raw):
            columns = ["uid", "data_source", "extra_fields"]
            data = tq.kv_batch_get(**where, select_fields=[*columns, *self._tensor_names()])
            expect_columns(data, self._tensor_names())
            uids, sources, extra_fields = (data.pop(name).tolist() for name in columns)
            infos = [fields.get("reward_extra_info") or {} for fields in extra_fields]
            nested_mask = data["response_mask"]
            padded, groups = padded_tensors(data, self._columns()), group_indices(np.array(uids, dtype=object))
            rewards, last = padded["rm_scores"].sum(dim=-1), last_outputs(batch.keys)
            scored = step_metrics(padded["response_mask"], rewards, groups, infos, sources, last)
            metrics.update(scored)
            self.responses += int(real_responses(padded["response_mask"], last).sum())
            self.failures.update({name: int(scored[name]) for name in scored if REWARD_STATUS.fullmatch(name)})
            if not self.drivers:
                return batch
            row_columns = {k: v for d in self.drivers.values() for k, v in d.row_columns(batch.keys).items()}
            loss_agg_mode = loss_aggregation(self.config.actor_rollout_ref.actor)
            methods_batch = advantage_batch(padded, groups, infos, self._columns(), row_columns, last, loss_agg_mode)
            if not self.has_seen_signals:
                expect_signals(methods_batch)
                self.has_seen_signals = True
            for driver in self.drivers.values():
                advantages, method_metrics = driver.apply(methods_batch)
                metrics.update(method_metrics)
                methods_batch = methods_batch.with_advantages(advantages)
            data = data.select("advantages")
            data["advantages"] = response_to_nested(methods_batch.advantages, nested_mask)
            batch = tq.kv_batch_put(**where, fields=data)
        for driver in self.drivers.values():
            driver.record(self, batch, methods_batch)
        return batch

    @property
    def is_bypassed(self) -> bool:
        """Whether verl takes the rollout engine's log-probabilities as the old ones."""
        return bool(self.config.algorithm.rollout_correction.bypass_mode)

    @property
    def has_entropy(self) -> bool:
        """Whether the rows have the entropy of the old policy."""
        needed = any(METHODS[name].needs_entropy(driver.config) for name, driver in self.drivers.items())
        return not self.is_bypassed or needed or bool(self._columns())

    def _columns(self) -> list[str]:
        """Names of the per-token columns that the drivers' requests add, each once."""
        return list(dict.fromkeys(name for driver in self.drivers.values() for name in driver.columns))

    def _tensor_names(self) -> list[str]:
        """Names of the tensors to fetch for metrics and methods."""
        names = ["response_mask", "rm_scores"]
        if self.drivers:
            names += ["advantages", "old_log_probs"]
            names += ["entropy"] if self.has_entropy else []
            names += ["rollout_log_probs"] if self.config.actor_rollout_ref.rollout.calculate_log_probs else []
        return [*names, *self._columns()]

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        """Run verl's step, then the health checks.

        ``metrics`` holds every training metric by now, and the step's checkpoint is still to be written: a run that
        resumes from it has seen what this one has. Validation and timing come later; no check needs them. The counts
        of responses that could not be scored are sums over the step; verl averages what its updates report, of which
        ``separate_async.parameter_sync_step`` makes several.
        """
        self.responses, self.failures = 0, Counter()
        batch = super().step(metrics, timing_raw)
        metrics.update({name: float(count) for name, count in self.failures.items()})
        metrics.update(self.watch.look(self.global_steps, metrics, self.responses))
        return batch

    def on_step_begin(self):
        self._end_if_stopping()  # after the previous step's metrics were logged
        super().on_step_begin()

    def on_step_end(self):
        if self.watch.stopping and self.saved_step != self.global_steps:
            self._save_checkpoint()
        super().on_step_end()

    def fit(self, agent_loop_manager):
        super().fit(agent_loop_manager)
        self._end_if_stopping()  # after the last step

    def _end_if_stopping(self) -> None:
        if self.watch.stopping:
            self._shutdown_dump_executor()
            raise self.watch.end(str(self._checkpoint_folder(self.saved_step)))

    def _checkpoint_folder(self, step: int) -> Path:
        return Path(self.config.trainer.default_local_dir) / f"global_step_{step}"

    def _save_checkpoint(self):
        save_parts(self._checkpoint_folder(self.global_steps), self.stateful)
        super()._save_checkpoint()
        self.saved_step = self.global_steps

    def _load_checkpoint(self):
        super()._load_checkpoint()
        if self.global_steps == 0:
            return
        is_named = self.config.trainer.resume_mode == "resume_path"
        load_parts(
            self.config.trainer.resume_from_path if is_named else self._checkpoint_folder(self.global_steps),
            self.stateful,
        )
