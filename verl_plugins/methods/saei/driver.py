"""SaEI in the trainer: the second sampling of a step, on images made by the actor's gradient.

verl samples n1 responses to each prompt, which carries its own ``__rollout_n__``. While the rollout engine is asleep,
the actor makes adversarial images (``verl_plugins.methods.saei.attack``). The engine wakes up with the same weights and
samples n2 responses on these images, which join the prompt's group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from tensordict import TensorDict
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.utils import tensordict_utils as tu
from verl.utils.debug import marked_timer

from verl_plugins.components.records import PICTURES, Recorder, picture, png
from verl_plugins.components.requests import REQUEST
from verl_plugins.components.transfer_queue import PARTITION, labelled_uid, pad_rows, parse_key
from verl_plugins.methods.method import Driver
from verl_plugins.methods.saei.attack import AttackRequest
from verl_plugins.methods.saei.second_sampling import (
    ADVERSARIAL,
    PIXELS,
    SECOND_LOOPS,
    SECOND_SAMPLING,
    SIZES,
    STATISTICS,
    SecondSampling,
)
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.pixels import check_invertible


@dataclass
class AttackedPrompt:
    """Result of the attack on a prompt's images.

    Args:
        key: TransferQueue row that holds the images.
        before, after: H_sel of each response, in nats, given the clean and the adversarial images.
        change: mean absolute pixel change, in 8-bit levels.
    """

    key: str
    before: list[float]
    after: list[float]
    change: float


class SaEIDriver(Driver):
    """Samples n1 responses on the clean images, attacks the images, and samples n2 responses on the attacked ones."""

    def setup(self, processor: Any) -> None:
        """Check the model's processor.

        Raises:
            ValueError: a processor whose ``pixel_values`` cannot be inverted to the image.
        """
        self.rollout = self.run_config.actor_rollout_ref.rollout
        self.recorder = Recorder(self.run_config)
        self.processor = processor
        settings = self.run_config.data.get("mm_processor_kwargs")
        self.processor_settings: Any = OmegaConf.to_container(settings, resolve=True) if settings else {}
        self.prompts: list[TensorDict] = []  # of this step
        check_invertible(processor, self.processor_settings)

    def begin_step(self) -> None:
        """Forget the prompts of the previous step."""
        self.prompts = []

    def before_sampling(self, prompts: TensorDict) -> TensorDict:
        """Remember the prompts for the second sampling, and ask for n1 responses to each."""
        self.prompts.append(prompts)
        prompts = prompts.copy()
        tu.assign_non_tensor_data(prompts, "__rollout_n__", self.config.n1)
        return prompts

    def after_sampling(
        self, trainer: Any, submit: Callable[[Any], int], batch: KVBatchMeta, metrics: dict[str, Any]
    ) -> KVBatchMeta:
        """Attack the images of the n1 responses in ``batch``, and add n2 responses on the adversarial images."""
        with marked_timer("saei_attack", trainer.timing_raw):
            attacked = self._attack(trainer, batch, metrics)
        with marked_timer("saei_wake", trainer.timing_raw):
            if self.rollout.free_cache_engine:  # otherwise nothing was freed, and the weights are still in place
                trainer.checkpoint_manager.update_weights(trainer.global_steps - 1)
        with marked_timer("saei_gen", trainer.timing_raw):
            prompts = self._prompts_to_sample_again({parse_key(key).uid for key in batch.keys}, attacked)
            trainer.on_sample_begin()
            submit(prompts)
            with _every_group(trainer.replay_buffer):
                adversarial, _ = trainer.replay_buffer.sample(
                    global_steps=trainer.global_steps, partition_id=PARTITION, batch_size=len(prompts)
                )
            trainer.on_sample_end()
        adversarial.extra_info = dict(batch.extra_info or {})
        uids = [parse_key(key).uid for key in adversarial.keys]  # the uid of the group
        tq.kv_batch_put(adversarial.keys, PARTITION, fields=tu.get_tensordict({"uid": uids}))
        if trainer.reward_loop_manager.reward_loop_worker_handles is None:
            adversarial = trainer._compute_reward_colocate(adversarial, metrics=metrics)
        if self.recorder.wants(trainer.global_steps, trainer.total_training_steps):
            self._record_images(trainer, adversarial, attacked)
        return KVBatchMeta(
            keys=batch.keys + adversarial.keys,
            tags=batch.tags + adversarial.tags,
            partition_id=PARTITION,
            extra_info=batch.extra_info,
        )

    def row_columns(self, keys: list[str]) -> dict[str, Tensor]:
        """Mark the rows that were sampled on an adversarial image, (B,) bool."""
        return {ADVERSARIAL: torch.tensor([parse_key(key).sampling == ADVERSARIAL for key in keys])}

    def _attack(self, trainer: Any, batch: KVBatchMeta, metrics: dict[str, Any]) -> dict[str, AttackedPrompt]:
        """Attack the prompts' images; returns the results by uid. Prompts without an image, or with a video, are left
        out and counted."""
        attackable = {
            uid for prompts in self.prompts for uid, row in _messages(prompts).items() if _has_only_images(row)
        }
        uids = [parse_key(key).uid for key in batch.keys]
        metrics["saei/prompts_without_image"] = float(len(set(uids) - attackable))
        keys = [key for key, uid in zip(batch.keys, uids, strict=True) if uid in attackable]
        if not keys:
            return {}
        ranks = max(trainer.actor_rollout_wg._query_dispatch_info("actor")) + 1
        padding = pad_rows(keys, ranks)
        request = AttackRequest(self.config, self.rollout.seed, trainer.global_steps, self.processor_settings)
        padded_batch = KVBatchMeta(
            keys=keys + padding,
            tags=[{}] * len(keys + padding),
            partition_id=PARTITION,
            extra_info={**(batch.extra_info or {}), "compute_loss": False, REQUEST: request},
        )
        trainer.actor_rollout_wg.compute_log_prob(padded_batch)
        results: Any = tq.kv_batch_get(keys, PARTITION, select_fields=[SIZES, STATISTICS])
        if padding:
            tq.kv_clear(keys=padding, partition_id=PARTITION)
        attacked: dict[str, AttackedPrompt] = {}
        for key, sizes, (before, after, change) in zip(keys, results[SIZES], results[STATISTICS], strict=True):
            prompt = attacked.setdefault(parse_key(key).uid, AttackedPrompt(key, [], [], change.item()))
            prompt.before.append(before.item())
            prompt.after.append(after.item())
            if len(sizes):
                prompt.key = key  # this row holds the images
        metrics["saei/selective_entropy_clean"] = fmean(fmean(prompt.before) for prompt in attacked.values())
        metrics["saei/selective_entropy_adversarial"] = fmean(fmean(prompt.after) for prompt in attacked.values())
        metrics["saei/raised_prompts"] = fmean(sum(prompt.after) > sum(prompt.before) for prompt in attacked.values())
        metrics["saei/pixel_change"] = fmean(prompt.change for prompt in attacked.values())
        return attacked

    def _prompts_to_sample_again(self, uids: set[str], attacked: dict[str, AttackedPrompt]) -> TensorDict:
        """Build the prompts of the second sampling from those of the first that came back.

        Args:
            uids: prompts that came back.
            attacked: results of the attack by uid; the other prompts are sampled again on their clean images.
        """
        prompts = tu.concat_tensordict(self.prompts)
        names = [_plain(uid) for uid in prompts["uid"]]
        prompts = tu.index_select_tensor_dict(prompts, [index for index, uid in enumerate(names) if uid in uids])
        names = [uid for uid in names if uid in uids]
        n1, update = self.config.n1, self.config.update
        keys = {uid: prompt.key for uid, prompt in attacked.items()}
        second_samplings = [SecondSampling(key=keys.get(uid), first_session=n1, update=update) for uid in names]
        tu.assign_non_tensor_stack(prompts, "uid", [labelled_uid(uid, ADVERSARIAL) for uid in names])
        tu.assign_non_tensor_stack(prompts, SECOND_SAMPLING, second_samplings)
        tu.assign_non_tensor_data(prompts, "__rollout_n__", self.config.n2)
        tu.assign_non_tensor_data(prompts, "agent_name", SECOND_LOOPS[self.rollout.agent.default_agent_loop])
        return prompts

    def _record_images(self, trainer: Any, adversarial: KVBatchMeta, attacked: dict[str, AttackedPrompt]) -> None:
        """Write the clean and the adversarial image of the first prompts, with one response to each."""
        layout = layout_of(self.processor)
        records = []
        for uid, prompt in list(attacked.items())[:PICTURES]:
            adversarial_key = next((key for key in adversarial.keys if parse_key(key).uid == uid), None)
            if adversarial_key is None:
                continue
            fields = ["prompts", "responses", "rm_scores"]
            rows: Any = tq.kv_batch_get([prompt.key, adversarial_key], PARTITION, select_fields=fields)
            images: Any = tq.kv_batch_get([prompt.key], PARTITION, select_fields=["multi_modal_inputs", PIXELS, SIZES])
            inputs = {name: torch.as_tensor(value) for name, value in _plain(images["multi_modal_inputs"][0]).items()}
            height, width = images[SIZES][0][:2].tolist()
            pixels = images[PIXELS][0][: 3 * height * width].view(3, height, width)
            texts = [trainer.tokenizer.decode(row, skip_special_tokens=True) for row in rows["responses"].unbind()]
            rewards = [round(row.sum().item(), 5) for row in rows["rm_scores"].unbind()]
            records.append(
                {
                    "prompt": trainer.tokenizer.decode(rows["prompts"].unbind()[0], skip_special_tokens=True),
                    "picture": picture(inputs, layout),
                    "adversarial_picture": png(pixels),
                    "selective_entropy": [round(fmean(prompt.before), 5), round(fmean(prompt.after), 5)],
                    "responses": texts,
                    "rewards": rewards,
                }
            )
        self.recorder.write("adversarial", trainer.global_steps, records)


@contextmanager
def _every_group(replay_buffer: Any) -> Iterator[None]:
    """Let the replay buffer return each group once: verl has filtered by the responses to the clean images, and would
    replace a group that it evicts by another prompt."""
    filtering = replay_buffer.filter_groups_metric, replay_buffer.sync_refill_failed_groups
    replay_buffer.filter_groups_metric, replay_buffer.sync_refill_failed_groups = None, False
    yield
    replay_buffer.filter_groups_metric, replay_buffer.sync_refill_failed_groups = filtering


def _messages(prompts: TensorDict) -> dict[str, list[dict]]:
    """Return the chat messages of each prompt by uid."""
    return {_plain(uid): _plain(row) for uid, row in zip(prompts["uid"], prompts["raw_prompt"], strict=True)}


def _has_only_images(messages: list[dict]) -> bool:
    """Tell whether a prompt has images and no video."""
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    kinds = {part.get("type") for part in parts}
    return "image" in kinds and "video" not in kinds


def _plain(value: Any) -> Any:
    return tu.unwrap_non_tensor_data(value)
