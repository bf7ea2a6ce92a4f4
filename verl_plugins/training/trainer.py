"""verl's synchronous V1 trainer with two stages more: the methods after verl's advantages, health checks after a step.

Thin on purpose: it moves tensors between verl's TransferQueue and ``verl_plugins.methods``. Everything else is verl's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
import transfer_queue as tq
from omegaconf import DictConfig, open_dict
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.protocol import DataProto
from verl.trainer.ppo.utils import Role
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu
from verl.utils.debug import marked_timer
from verl.workers.utils.padding import response_from_nested, response_to_nested

from verl_plugins.components.counterfactual import COUNTERFACTUAL, SIGNALS
from verl_plugins.health.health_config import health_from_node
from verl_plugins.health.watch import Watch
from verl_plugins.methods import METHODS
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.ecvgpo.driver import AdaptiveR0
from verl_plugins.methods.knobs import config_from_node
from verl_plugins.methods.saei.driver import SUFFIX, Adversary, is_adversarial
from verl_plugins.methods.vepo.driver import Counterfactuals
from verl_plugins.training.checkpoint import read_state, write_state
from verl_plugins.training.estimator import group_indices
from verl_plugins.training.groups import group_metrics
from verl_plugins.training.reward_metrics import reward_metrics
from verl_plugins.training.worker import EntropyWorker


class EntropyTrainer(PPOTrainerSync):
    """GRPO by verl, then each method whose node ``algorithm.<method>`` is in the config, in the order of METHODS."""

    def __init__(self, config: DictConfig):
        self.methods = {
            name: (apply, config_from_node(config_class, config.algorithm[name], f"algorithm.{name}"))
            for name, (config_class, apply) in METHODS.items()
            if config.algorithm.get(name) is not None
        }
        self.remembered: dict[str, Any] = {}  # what a checkpoint's state holds, by its name there
        _, ecvgpo = self.methods.get("ecvgpo", (None, None))
        if ecvgpo and ecvgpo.is_adaptive:
            self.remembered["ecvgpo"] = AdaptiveR0()
            self.methods["ecvgpo"] = (self.remembered["ecvgpo"], ecvgpo)
        self.watch = self.remembered["health"] = Watch(health_from_node(config.trainer.get("health") or {}))
        self.saved_step = 0
        with open_dict(config):
            # verl decides by these two names how it samples and normalises: to it, this is a synchronous GRPO run.
            config.trainer.v1.trainer_mode = "sync"
            if config.algorithm.adv_estimator in METHODS:
                config.algorithm.adv_estimator = "grpo"
        super().__init__(config)

    def _init_tokenizer(self):
        super()._init_tokenizer()
        _, vepo = self.methods.get("vepo", (None, None))
        self.counterfactuals = Counterfactuals(self.config, vepo, self.processor) if vepo else None

    def _init_dataloader(self):
        """verl's, which may fork to filter prompts: only then what computes, as a fork of torch's threads hangs."""
        super()._init_dataloader()
        _, saei = self.methods.get("saei", (None, None))
        self.adversary = Adversary(self.config, saei, self.processor) if saei else None

    def _build_replay_buffer(self):
        replay_buffer = super()._build_replay_buffer()
        sampler_kwargs = self.config.trainer.v1.sampler.get("sampler_kwargs") or {}
        replay_buffer.poll_interval = sampler_kwargs.get("poll_interval", replay_buffer.poll_interval)
        return replay_buffer

    def _init_resource_pool_mgr(self):
        super()._init_resource_pool_mgr()
        for role in self.role_worker_mapping:
            if role != Role.Critic:
                self.role_worker_mapping[role] = ray.remote(EntropyWorker)

    def prepare_step(self) -> dict:
        self.prompt_places: dict[str, int] = {}
        if self.adversary:
            self.adversary.begin_step()
        return super().prepare_step()

    def _submit_batch_to_rollout(self, batch: TensorDict) -> int:
        for uid in batch["uid"]:
            name: Any = tu.unwrap_non_tensor_data(uid)
            self.prompt_places[name] = len(self.prompt_places)
        return super()._submit_batch_to_rollout(self.adversary.first_sampling(batch) if self.adversary else batch)

    def _balance_batch(self, batch: KVBatchMeta, metrics: dict, *args, **kwargs) -> KVBatchMeta:
        """verl's, of rows in an order that repeats, with the second sampling of a method that has one.

        Rows come in the order in which their requests ended; sums over them would differ in the last bits.
        """
        self._put_in_order(batch)
        if self.adversary:
            batch = self.adversary.second_sampling(self, super()._submit_batch_to_rollout, batch, metrics)
            self._put_in_order(batch)
        return super()._balance_batch(batch, metrics, *args, **kwargs)

    def _put_in_order(self, batch: KVBatchMeta) -> None:
        """By prompt, sampling, response and output; rows that verl replays from a file stay in their order."""
        places = []
        for key in batch.keys:
            uid, session, output = key.rsplit("_", 2)
            prompt = self.prompt_places.get(uid.removesuffix(SUFFIX))
            if prompt is None:
                return
            places.append((prompt, is_adversarial(key), int(session), int(output)))
        batch.reorder(sorted(range(len(batch)), key=places.__getitem__))

    def _compute_old_log_prob(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """verl's old log-probabilities and entropy; where a method needs them, the counterfactual's signals too."""
        if self.counterfactuals is None or not self.counterfactuals.needed:
            return super()._compute_old_log_prob(batch, metrics)
        counterfactual = self.counterfactuals.at(self.global_steps, self.total_training_steps)
        metrics["vepo/strength"] = counterfactual.strength
        batch.extra_info = {**(batch.extra_info or {}), COUNTERFACTUAL: counterfactual}
        batch = super()._compute_old_log_prob(batch, metrics)
        # without it from here on: the reference's log-probabilities, on the clean image alone, are next
        batch.extra_info = {key: value for key, value in (batch.extra_info or {}).items() if key != COUNTERFACTUAL}
        return batch

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        """verl's step, then the health checks.

        All that training measures is in ``metrics`` by now, and the checkpoint of this step is still to be written:
        a run that resumes from it has seen what this one has. Validation and timing come later; no check needs them.
        """
        batch = super().step(metrics, timing_raw)
        responses = sum(not tag.get("is_padding", False) for tag in batch.tags)
        metrics.update(self.watch.look(self.global_steps, metrics, responses))
        return batch

    def on_step_end(self):
        if self.watch.stopping and self.saved_step != self.global_steps:
            self._save_checkpoint()
        super().on_step_end()

    def on_step_begin(self):
        self._end_if_stopping()  # after the metrics of the step before were logged
        super().on_step_begin()

    def fit(self, agent_loop_manager):
        super().fit(agent_loop_manager)
        self._end_if_stopping()  # the last step

    def _end_if_stopping(self) -> None:
        if self.watch.stopping:
            self._shutdown_dump_executor()
            raise self.watch.end(str(self._checkpoint_folder(self.saved_step)))

    def _checkpoint_folder(self, step: int) -> Path:
        return Path(self.config.trainer.default_local_dir) / f"global_step_{step}"

    def _save_checkpoint(self):
        state = {name: part.state() for name, part in self.remembered.items()}
        write_state(self._checkpoint_folder(self.global_steps), state)
        super()._save_checkpoint()
        self.saved_step = self.global_steps

    def _load_checkpoint(self):
        super()._load_checkpoint()
        if self.global_steps == 0:
            return
        named = self.config.trainer.resume_mode == "resume_path"
        folder = self.config.trainer.resume_from_path if named else self._checkpoint_folder(self.global_steps)
        state = read_state(folder)
        for name, part in self.remembered.items():
            if name in state:
                part.load(state[name])
            else:
                print(f"verl-plugins: {folder} holds no state of {name}, which starts anew", flush=True)

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """verl's advantages, then the methods; ``advantages`` in the TransferQueue are replaced."""
        batch = super()._compute_advantage(batch, metrics)
        where = {"keys": batch.keys, "partition_id": batch.partition_id}
        with marked_timer("entropy_methods", self.timing_raw):
            columns = ["uid", "data_source", "extra_fields"]
            data = tq.kv_batch_get(**where, select_fields=[*columns, *self._tensors_needed()])
            uids, sources, extra_fields = (data.pop(name).tolist() for name in columns)
            infos = [fields.get("reward_extra_info") or {} for fields in extra_fields]
            nested_mask = data["response_mask"]
            padded, groups = _padded(data), group_indices(np.array(uids, dtype=object))
            metrics.update(_reward_metrics(padded, groups, infos, sources))
            if not self.methods:
                return batch
            advantage_batch = _to_advantage_batch(padded, groups, infos, [is_adversarial(key) for key in batch.keys])
            for apply, config in self.methods.values():
                advantages, method_metrics = apply(advantage_batch, config)
                metrics.update(method_metrics)
                advantage_batch = advantage_batch.with_advantages(advantages)
            data = data.select("advantages")
            data["advantages"] = response_to_nested(advantage_batch.advantages, nested_mask)
            batch = tq.kv_batch_put(**where, fields=data)
        if self.counterfactuals and self.counterfactuals.is_written_at(self.global_steps, self.total_training_steps):
            at = self.global_steps, self.total_training_steps
            self.counterfactuals.write_tokens(where, advantage_batch, self.tokenizer, *at)
        return batch

    def _tensors_needed(self) -> list[str]:
        if not self.methods:
            return ["response_mask", "rm_scores"]
        fields = ["response_mask", "rm_scores", "advantages", "old_log_probs", "entropy"]
        fields += ["rollout_log_probs"] if self.config.actor_rollout_ref.rollout.calculate_log_probs else []
        return [*fields, *(SIGNALS if self.counterfactuals and self.counterfactuals.needed else ())]


def _padded(data: TensorDict) -> Any:
    """The TransferQueue's nested rows as (B, T) tensors by name."""
    for name in SIGNALS:
        if name in data:
            data[name] = response_from_nested(data[name], data["response_mask"])
    return DataProto(batch=data.to_padded_tensor()).batch


def _reward_metrics(padded: Any, groups: torch.Tensor, infos: list[dict], sources: list[str]) -> dict[str, float]:
    """What the rewards say of a step's responses, and what its groups have to learn from."""
    real = padded["response_mask"].bool().any(dim=1)
    kept = real.nonzero().flatten().tolist()
    said = reward_metrics([infos[row] for row in kept], [sources[row] for row in kept])
    return {**said, **group_metrics(padded["rm_scores"].sum(dim=-1), groups, real)}


def _to_advantage_batch(
    padded: Any, groups: torch.Tensor, infos: list[dict], adversarial: list[bool]
) -> AdvantageBatch:
    return AdvantageBatch(
        advantages=padded["advantages"],
        response_mask=padded["response_mask"],
        old_log_probs=padded["old_log_probs"],
        rewards=padded["rm_scores"].sum(dim=-1),
        groups=groups,
        reward_components=_reward_components(infos),
        entropy=padded["entropy"],
        adversarial=torch.tensor(adversarial),
        **{name: padded[name] for name in (*SIGNALS, "rollout_log_probs") if name in padded},
    )


def _reward_components(infos: list[dict]) -> dict[str, torch.Tensor]:
    """The numbers that the reward function returned beside the score, each (B,) float."""
    names = {name for info in infos for name, value in info.items() if isinstance(value, int | float)}
    return {name: torch.tensor([float(info.get(name) or 0.0) for info in infos]) for name in sorted(names)}
