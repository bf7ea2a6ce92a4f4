"""The second sampling, with a queue, a trainer and a rollout engine that only keep a record."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from tensordict import TensorDict
from tiny_families import PROCESSORS
from transfer_queue import KVBatchMeta
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.utils import tensordict_utils as tu

from verl_plugins.components.requests import REQUEST
from verl_plugins.components.transfer_queue import parse_key
from verl_plugins.methods.saei.adversarial_loops import AdversarialSeededSingleTurnAgentLoop, fetch_images
from verl_plugins.methods.saei.apply import apply
from verl_plugins.methods.saei.attack import AttackRequest
from verl_plugins.methods.saei.driver import SaEIDriver
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import PIXELS, SIZES, STATISTICS
from verl_plugins.seeds import seed_of

LIMITS = {"min_pixels": 28 * 28, "max_pixels": 500 * 500}
IMAGE = [{"role": "user", "content": [{"type": "image", "image": "x.png"}, {"type": "text", "text": "?"}]}]
TEXT = [{"role": "user", "content": "?"}]
VIDEO = [{"role": "user", "content": [{"type": "video", "video": "x.mp4"}]}]


class Queue:
    """The TransferQueue as a dictionary of rows."""

    def __init__(self):
        self.rows = {}

    def kv_batch_put(self, keys, partition_id, fields=None, tags=None):
        for place, key in enumerate(keys):
            values = {} if fields is None else {name: fields[name][place] for name in list(fields.keys())}
            self.rows.setdefault(key, {}).update(values)

    def kv_batch_get(self, keys, partition_id, select_fields=None):
        rows = [self.rows[key] for key in keys]
        names = select_fields or set.intersection(*(set(row) for row in rows))
        result = TensorDict({}, batch_size=[len(keys)])
        for name in names:
            values = [row[name] for row in rows]
            if isinstance(values[0], torch.Tensor):
                result[name] = torch.nested.as_nested_tensor(values, layout=torch.jagged)
            else:
                tu.assign_non_tensor_stack(result, name, [tu.unwrap_non_tensor_data(value) for value in values])
        return result

    def kv_clear(self, keys, partition_id):
        for key in keys:
            del self.rows[key]


class Trainer:
    """Answers as verl's does; ``events`` holds what was asked of it, in order."""

    def __init__(self, queue, ranks):
        self.events, self.queue, self.ranks = [], queue, ranks
        self.timing_raw, self.global_steps, self.total_training_steps = {}, 3, 9
        self.actor_rollout_wg = self.replay_buffer = self.checkpoint_manager = self
        self.filter_groups_metric, self.sync_refill_failed_groups = "reward", True  # of the replay buffer
        self.reward_loop_manager = SimpleNamespace(reward_loop_worker_handles=["a worker"])

    def _query_dispatch_info(self, role):
        return list(range(self.ranks))

    def compute_log_prob(self, batch):
        self.events.append(("attack", list(batch.keys), batch.extra_info[REQUEST]))
        seen = set()
        for key in batch.keys:
            row, uid = self.queue.rows[key], tu.unwrap_non_tensor_data(self.queue.rows[key]["uid"])
            row[SIZES] = torch.tensor([] if uid in seen else [28, 56], dtype=torch.int64)
            row[PIXELS] = torch.arange(0 if uid in seen else 3 * 28 * 56).to(torch.uint8)
            row[STATISTICS] = torch.tensor([0.5, 0.75 if uid == "a" else 0.25, 1.5])
            seen.add(uid)

    def update_weights(self, version):
        self.events.append(("wake", version))

    def on_sample_begin(self):
        self.events.append("begin")

    def on_sample_end(self):
        self.events.append("end")

    def submit(self, prompts):
        self.prompts = prompts
        self.events.append("submit")

    def sample(self, global_steps, partition_id, batch_size):
        self.events.append(("sample", batch_size))
        assert (self.filter_groups_metric, self.sync_refill_failed_groups) == (None, False)  # each group comes back
        keys = [f"{uid}_{session}_0" for uid in values(self.prompts, "uid") for session in (0, 1)]
        for key in keys:
            self.queue.rows[key] = {"uid": key.split("_")[0]}
        return KVBatchMeta(keys=keys, tags=[{}] * len(keys), partition_id=partition_id), {}


def values(prompts, name):
    return [tu.unwrap_non_tensor_data(value) for value in prompts[name]]


@pytest.fixture
def queue(monkeypatch):
    queue = Queue()
    for module in ("methods.saei.driver", "components.transfer_queue"):
        monkeypatch.setattr(sys.modules[f"verl_plugins.{module}"], "tq", queue)
    return queue


def adversary(**changes):
    rollout = {"seed": 7, "free_cache_engine": True, "agent": {"default_agent_loop": "seeded_single_turn_agent"}}
    config = {"actor_rollout_ref": {"rollout": rollout | changes}, "trainer": {"test_freq": -1}}
    config["data"] = {"mm_processor_kwargs": LIMITS}
    driver = SaEIDriver(OmegaConf.create(config), SaEIConfig(n1=3, n2=2), apply)
    driver.setup(PROCESSORS["qwen2_5_vl"])
    return driver


def sampled(queue, messages, ranks=1, **changes):
    """One step over prompts a, b, c, ... with these messages; each has come back with two of its three responses."""
    ours = adversary(**changes)
    ours.begin_step()
    uids = "abcdef"[: len(messages)]
    batch = tu.get_tensordict({"uid": np.array(list(uids), dtype=object)})
    tu.assign_non_tensor_stack(batch, "raw_prompt", messages)
    tu.assign_non_tensor_data(batch, "global_steps", 3)
    first = ours.before_sampling(batch)
    assert first["__rollout_n__"] == 3 and "__rollout_n__" not in batch
    keys = [f"{uid}_{session}_0" for uid in uids for session in (0, 2)]
    for key in keys:
        queue.rows[key] = {"uid": key[0]}
    trainer, metrics = Trainer(queue, ranks), {}
    meta = KVBatchMeta(keys=keys, tags=[{}] * len(keys), partition_id="train", extra_info={"temperature": 1.0})
    return trainer, ours.after_sampling(trainer, trainer.submit, meta, metrics), metrics


def test_the_engine_sleeps_while_images_are_made_and_wakes_with_the_same_weights(queue):
    trainer, joined, metrics = sampled(queue, [IMAGE, IMAGE])
    rows = ["a_0_0", "a_2_0", "b_0_0", "b_2_0"]
    request = AttackRequest(SaEIConfig(n1=3, n2=2), seed=7, step=3, processor_settings=LIMITS)
    assert trainer.events == [("attack", rows, request), ("wake", 2), "begin", "submit", ("sample", 2), "end"]
    assert set(trainer.timing_raw) == {"saei_attack", "saei_wake", "saei_gen"}
    assert metrics == {
        "saei/prompts_without_image": 0.0,
        "saei/selective_entropy_clean": 0.5,
        "saei/selective_entropy_adversarial": 0.5,
        "saei/raised_prompts": 0.5,
        "saei/pixel_change": 1.5,
    }


def test_an_engine_whose_memory_was_not_freed_is_not_woken(queue):
    trainer, _, _ = sampled(queue, [IMAGE], free_cache_engine=False)
    assert "wake" not in [event[0] for event in trainer.events]


def test_prompts_go_out_again_under_another_uid_and_come_back_into_their_group(queue):
    trainer, joined, _ = sampled(queue, [IMAGE, IMAGE])
    assert values(trainer.prompts, "uid") == ["a~adversarial", "b~adversarial"]
    assert trainer.prompts["__rollout_n__"] == 2
    assert trainer.prompts["agent_name"] == "adversarial_seeded_single_turn_agent"
    again = values(trainer.prompts, "second_sampling")
    assert again == [{"key": f"{uid}_0_0", "first_session": 3, "update": "clean"} for uid in "ab"]
    assert joined.keys[:4] == ["a_0_0", "a_2_0", "b_0_0", "b_2_0"]
    assert [parse_key(key).sampling for key in joined.keys] == [""] * 4 + ["adversarial"] * 4
    assert adversary().row_columns(joined.keys)["adversarial"].tolist() == [False] * 4 + [True] * 4
    assert [tu.unwrap_non_tensor_data(queue.rows[key]["uid"]) for key in joined.keys] == list("aabbaabb")
    assert joined.extra_info == {"temperature": 1.0}


def test_prompts_without_an_image_or_with_a_video_are_sampled_again_as_they_are_and_counted(queue):
    trainer, joined, metrics = sampled(queue, [TEXT, IMAGE, VIDEO])
    assert trainer.events[0][:2] == ("attack", ["b_0_0", "b_2_0"])
    assert [row["key"] for row in values(trainer.prompts, "second_sampling")] == [None, "b_0_0", None]
    assert metrics["saei/prompts_without_image"] == 2
    assert len(joined) == 12
    trainer, joined, metrics = sampled(queue, [TEXT])
    assert trainer.events[0] == ("wake", 2) and len(joined) == 4
    assert metrics == {"saei/prompts_without_image": 1.0}


def test_rows_are_filled_up_to_a_multiple_of_the_ranks_and_the_filling_is_thrown_away(queue):
    trainer, joined, metrics = sampled(queue, [IMAGE], ranks=4)
    assert trainer.events[0][1] == ["a_0_0", "a_2_0", "padding0_0_0", "padding1_0_0"]
    assert not [key for key in queue.rows if key.startswith("padding")]
    assert metrics["saei/raised_prompts"] == 1.0  # the filling is no prompt


def test_the_agent_loop_samples_on_the_pictures_and_gives_the_actor_the_clean_ones(monkeypatch):
    pictures = torch.arange(2 * 3 * 28 * 56).to(torch.uint8)
    queue = TensorDict({PIXELS: pictures[None], SIZES: torch.tensor([[28, 56, 28, 56]])}, batch_size=[1])

    async def get(keys, partition_id, select_fields):
        assert keys == ["a_0_0"] and partition_id == "train"
        return queue

    monkeypatch.setattr(
        sys.modules["verl_plugins.methods.saei.adversarial_loops"], "tq", SimpleNamespace(async_kv_batch_get=get)
    )
    seen = []

    async def run(self, sampling_params, priority=0, **kwargs):
        seen.append((await self.process_multi_modal_info(kwargs["raw_prompt"]), sampling_params["seed"]))
        return SimpleNamespace(multi_modal_data=seen[-1][0])

    async def clean(self, messages):
        return {"images": ["clean"]}

    monkeypatch.setattr(SingleTurnAgentLoop, "run", run)
    monkeypatch.setattr(SingleTurnAgentLoop, "process_multi_modal_info", clean)
    for key, update in (("a_0_0", "clean"), ("a_0_0", "adversarial"), (None, "clean")):
        loop = object.__new__(AdversarialSeededSingleTurnAgentLoop)
        loop.rollout_config = SimpleNamespace(seed=7)
        again = {"key": key, "first_session": 3, "update": update}
        arguments = {"raw_prompt": IMAGE, "global_steps": 5, "index": 2, "session_id": 1, "second_sampling": again}
        output = asyncio.run(loop.run({"temperature": 1.0}, **arguments))
        data, seed = seen[-1]
        assert seed == seed_of(7, 5, 2, 4)  # goes on after the three clean responses
        if key is None:
            assert data == {"images": ["clean"]}
            continue
        first, second = data["images"]
        assert isinstance(first, Image.Image) and first.size == (56, 28) and first.mode == "RGB"
        assert np.array_equal(np.array(second).transpose(2, 0, 1).ravel(), pictures[3 * 28 * 56 :].numpy())
        assert output.multi_modal_data == ({"images": ["clean"]} if update == "clean" else data)
    assert [picture.size for picture in asyncio.run(fetch_images("a_0_0"))] == [(56, 28)] * 2


def test_the_responses_to_a_prompt_share_one_fetch(monkeypatch):
    fetched = []

    async def fetch(key):
        fetched.append(key)
        await asyncio.sleep(0)
        return [f"picture of {key}"]

    async def run(self, sampling_params, priority=0, **kwargs):
        return SimpleNamespace(multi_modal_data=await self.process_multi_modal_info(kwargs["raw_prompt"]))

    monkeypatch.setattr(sys.modules["verl_plugins.methods.saei.adversarial_loops"], "fetch_images", fetch)
    monkeypatch.setattr(SingleTurnAgentLoop, "run", run)

    def response(key, session):
        loop = object.__new__(AdversarialSeededSingleTurnAgentLoop)
        loop.rollout_config = SimpleNamespace(seed=7)
        again = {"key": key, "first_session": 3, "update": "adversarial"}
        arguments = {"raw_prompt": IMAGE, "global_steps": 5, "index": 2, "session_id": session}
        return loop.run({}, **arguments, second_sampling=again)

    async def both_prompts():
        return await asyncio.gather(*(response(key, session) for key in ("a", "b") for session in range(3)))

    outputs = asyncio.run(both_prompts())
    assert fetched == ["a", "b"]
    pictures = [output.multi_modal_data["images"] for output in outputs]
    assert pictures == [["picture of a"]] * 3 + [["picture of b"]] * 3
