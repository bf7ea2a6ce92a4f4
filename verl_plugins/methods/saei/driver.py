"""The driver's side of SaEI: the second sampling inside a step, on images that the actor's gradient made.

A step samples n1 responses to each prompt as verl does, for which the prompts carry their own ``__rollout_n__``. With
the rollout engine asleep, the actor makes adversarial images from them (``verl_plugins.methods.saei.attack``); awake
again, with the same weights, it samples n2 responses on these, which then belong to the prompt's group like the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
import transfer_queue as tq
from omegaconf import DictConfig, OmegaConf
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.utils import tensordict_utils as tu
from verl.utils.debug import marked_timer

from verl_plugins.components.records import PICTURES, Recorder, picture, png
from verl_plugins.config import SECOND_LOOPS
from verl_plugins.methods.saei.attack import ADVERSARIAL, Adversarial
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import SECOND_SAMPLING, SecondSampling
from verl_plugins.training import PIXELS, SIZES, STATISTICS
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.pixels import check_invertible

PARTITION = "train"  # of the TransferQueue: validation is never attacked
SUFFIX = "-adversarial"  # of a prompt's uid while it is sampled for the second time


@dataclass
class Attacked:
    """What became of a prompt's images.

    Args:
        key: the row of the TransferQueue that holds them.
        before, after: H_sel of each response, in nats, given the clean and the adversarial images.
        change: mean absolute change of a pixel, in levels.
    """

    key: str
    before: list[float]
    after: list[float]
    change: float


def uid_of(key: str) -> str:
    """The prompt's uid in a key of the TransferQueue, ``{uid}_{session}_{output}``."""
    return key.split("_")[0]


def is_adversarial(key: str) -> bool:
    """Whether a row of the TransferQueue was sampled on an adversarial image."""
    return uid_of(key).endswith(SUFFIX)


class Adversary:
    """What a run with SaEI needs beside the method itself.

    Args:
        config: verl's config of the run.
        saei: settings of the method.
        processor: of the model.

    Raises:
        ValueError: a processor whose ``pixel_values`` do not lead back to the picture.
    """

    def __init__(self, config: DictConfig, saei: SaEIConfig, processor: Any):
        self.saei = saei
        self.rollout = config.actor_rollout_ref.rollout
        self.recorder = Recorder(config)
        self.processor = processor
        settings = config.data.get("mm_processor_kwargs")
        self.processor_settings: Any = OmegaConf.to_container(settings, resolve=True) if settings else {}
        self.prompts: list[TensorDict] = []  # of this step
        check_invertible(processor, self.processor_settings)

    def begin_step(self) -> None:
        """Forget the prompts of the step before."""
        self.prompts = []

    def first_sampling(self, batch: TensorDict) -> TensorDict:
        """The prompts to sample n1 responses of; they are remembered for the second sampling."""
        self.prompts.append(batch)
        batch = batch.copy()
        tu.assign_non_tensor_data(batch, "__rollout_n__", self.saei.n1)
        return batch

    def second_sampling(self, trainer: Any, submit: Callable, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """The n1 responses of ``batch`` and n2 more of each prompt, on the image that the actor's gradient makes.

        Args:
            trainer: verl's, with its rollout engine asleep.
            submit: verl's ``_submit_batch_to_rollout``.
            batch: the rows of the first sampling, those of one prompt together.
            metrics: of the step; grows.
        """
        with marked_timer("saei_attack", trainer.timing_raw):
            attacked = self._attack(trainer, batch, metrics)
        with marked_timer("saei_wake", trainer.timing_raw):
            if self.rollout.free_cache_engine:  # else nothing was freed, and the weights are still there
                trainer.checkpoint_manager.update_weights(trainer.global_steps - 1)
        with marked_timer("saei_gen", trainer.timing_raw):
            prompts = self._prompts_again({uid_of(key) for key in batch.keys}, attacked)
            trainer.on_sample_begin()
            submit(prompts)
            again, _ = trainer.replay_buffer.sample(
                global_steps=trainer.global_steps, partition_id=PARTITION, batch_size=len(prompts)
            )
            trainer.on_sample_end()
        again.extra_info = dict(batch.extra_info or {})
        uids = [uid_of(key).removesuffix(SUFFIX) for key in again.keys]
        tq.kv_batch_put(again.keys, PARTITION, fields=tu.get_tensordict({"uid": uids}))
        if trainer.reward_loop_manager.reward_loop_worker_handles is None:
            again = trainer._compute_reward_colocate(again, metrics=metrics)
        if self.recorder.wants(trainer.global_steps, trainer.total_training_steps):
            self._record(trainer, again, attacked)
        return KVBatchMeta(
            keys=batch.keys + again.keys,
            tags=batch.tags + again.tags,
            partition_id=PARTITION,
            extra_info=batch.extra_info,
        )

    def _attack(self, trainer: Any, batch: KVBatchMeta, metrics: dict) -> dict[str, Attacked]:
        """The attacked prompts by uid; those that have no image, or a video, are left out and counted."""
        attackable = {
            uid for prompts in self.prompts for uid, row in _messages(prompts).items() if _has_only_images(row)
        }
        uids = [uid_of(key) for key in batch.keys]
        metrics["saei/prompts_without_image"] = float(len(set(uids) - attackable))
        keys = [key for key, uid in zip(batch.keys, uids, strict=True) if uid in attackable]
        if not keys:
            return {}
        ranks = max(trainer.actor_rollout_wg._query_dispatch_info("actor")) + 1
        padding = pad_rows(keys, ranks)
        request = Adversarial(self.saei, self.rollout.seed, trainer.global_steps, self.processor_settings)
        asked = KVBatchMeta(
            keys=keys + padding,
            tags=[{}] * len(keys + padding),
            partition_id=PARTITION,
            extra_info={**(batch.extra_info or {}), "compute_loss": False, ADVERSARIAL: request},
        )
        trainer.actor_rollout_wg.compute_log_prob(asked)
        found: Any = tq.kv_batch_get(keys, PARTITION, select_fields=[SIZES, STATISTICS])
        if padding:
            tq.kv_clear(keys=padding, partition_id=PARTITION)
        attacked: dict[str, Attacked] = {}
        for key, sizes, (before, after, change) in zip(keys, found[SIZES], found[STATISTICS], strict=True):
            prompt = attacked.setdefault(uid_of(key), Attacked(key, [], [], change.item()))
            prompt.before.append(before.item())
            prompt.after.append(after.item())
            if len(sizes):
                prompt.key = key  # this row holds the pictures
        metrics["saei/selective_entropy_clean"] = fmean(fmean(prompt.before) for prompt in attacked.values())
        metrics["saei/selective_entropy_adversarial"] = fmean(fmean(prompt.after) for prompt in attacked.values())
        metrics["saei/raised_prompts"] = fmean(sum(prompt.after) > sum(prompt.before) for prompt in attacked.values())
        metrics["saei/pixel_change"] = fmean(prompt.change for prompt in attacked.values())
        return attacked

    def _prompts_again(self, uids: set[str], attacked: dict[str, Attacked]) -> TensorDict:
        """The prompts of the first sampling that came back, under a uid of their own, with the key of their images."""
        prompts = tu.concat_tensordict(self.prompts)
        names = [_plain(uid) for uid in prompts["uid"]]
        prompts = tu.index_select_tensor_dict(prompts, [place for place, uid in enumerate(names) if uid in uids])
        names = [uid for uid in names if uid in uids]
        n1, update = self.saei.n1, self.saei.update
        keys = {uid: prompt.key for uid, prompt in attacked.items()}
        again = [SecondSampling(key=keys.get(uid), first_session=n1, update=update) for uid in names]
        tu.assign_non_tensor_stack(prompts, "uid", [uid + SUFFIX for uid in names])
        tu.assign_non_tensor_stack(prompts, SECOND_SAMPLING, again)
        tu.assign_non_tensor_data(prompts, "__rollout_n__", self.saei.n2)
        tu.assign_non_tensor_data(prompts, "agent_name", SECOND_LOOPS[self.rollout.agent.default_agent_loop])
        return prompts

    def _record(self, trainer: Any, again: KVBatchMeta, attacked: dict[str, Attacked]) -> None:
        """Write the images of the first prompts, with one response to each of the two."""
        layout = layout_of(self.processor)
        records = []
        for uid, prompt in list(attacked.items())[:PICTURES]:
            other = next((key for key in again.keys if key.startswith(f"{uid}{SUFFIX}_")), None)
            if other is None:
                continue
            fields = ["prompts", "responses", "rm_scores"]
            rows: Any = tq.kv_batch_get([prompt.key, other], PARTITION, select_fields=fields)
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


def pad_rows(keys: list[str], multiple: int) -> list[str]:
    """Keys of copies of the first row, as a prompt of its own, that make the number of rows divisible."""
    missing = -len(keys) % multiple
    if not missing:
        return []
    row = tq.kv_batch_get([keys[0]], PARTITION)
    padding = [f"attack{place}_0_0" for place in range(missing)]
    for key in padding:
        tu.assign_non_tensor_stack(row, "uid", [uid_of(key)])
        tq.kv_batch_put([key], PARTITION, fields=row)
    return padding


def _messages(prompts: TensorDict) -> dict[str, list[dict]]:
    """The messages of each prompt by uid."""
    return {_plain(uid): _plain(row) for uid, row in zip(prompts["uid"], prompts["raw_prompt"], strict=True)}


def _has_only_images(messages: list[dict]) -> bool:
    """Whether a prompt has images and no video."""
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    kinds = {part.get("type") for part in parts}
    return "image" in kinds and "video" not in kinds


def _plain(value: Any) -> Any:
    return tu.unwrap_non_tensor_data(value)
