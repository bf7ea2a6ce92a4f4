"""The trainer in verl's own training loop, without workers: order of checks, checkpoints and logs, stop and resume."""

import json
from types import SimpleNamespace

import pytest
import torch
import transfer_queue as tq
import verl  # noqa: F401  loads the plugin
import verl.trainer.ppo.v1.trainer_base as trainer_base
from tensordict import NonTensorStack, TensorDict
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from verl_plugins.components.counterfactual import SIGNALS
from verl_plugins.components.requests import REQUEST
from verl_plugins.compose import compose_run
from verl_plugins.health.checks import measures
from verl_plugins.health.watch import RunStopped
from verl_plugins.training import trainer
from verl_plugins.training.checkpoint import NAME, read_state, write_state
from verl_plugins.training.modes import EntropyTrainer
from verl_plugins.vision.perturb import Perturbation


class Loop(EntropyTrainer):
    """The trainer with verl's ``fit``; what needs workers, servers or the TransferQueue is replaced by a script."""

    def __init__(self, folder, entropies, *overrides):
        config = compose_run(
            [
                *([] if any("+method" in override for override in overrides) else ["+method=grpo"]),
                f"trainer.default_local_dir={folder}/checkpoints",
                "trainer.logger=[file]",
                "trainer.val_before_train=false",
                "trainer.test_freq=-1",
                *overrides,
            ]
        )
        super().__init__(config)
        self.entropies, self.events = entropies, []
        self.total_training_steps, self.steps_per_epoch = len(entropies), 1000
        self.checkpoint_manager = SimpleNamespace(update_weights=lambda step: self.events.append(f"weights {step}"))
        self.actor_rollout_wg = SimpleNamespace(
            save_checkpoint=lambda *_, **__: self.events.append(f"save {self.global_steps}"),
            load_checkpoint=lambda **_: None,
        )
        self.train_dataloader = SimpleNamespace(state_dict=dict, load_state_dict=lambda state: None)
        self._init_dump_executor()
        self._load_checkpoint()

    def _build_replay_buffer(self):
        return None

    def prepare_step(self):
        return {}

    def _start_profiling(self):
        pass

    def _stop_profiling(self):
        pass

    def _step_once(self, metrics, timing_raw, sample_batch_size):
        self.events.append(f"step {self.global_steps}")
        metrics["actor/entropy"] = self.entropies[self.global_steps - 1]
        tags = [{"is_padding": False}] * 4 + [{"is_padding": True}] * 2
        return tq.KVBatchMeta(partition_id="train", keys=[f"u_{i}_0" for i in range(6)], tags=tags)

    def _compute_metrics(self, batch, metrics, timing_raw, global_steps, epoch):
        pass


@pytest.fixture(autouse=True)
def no_transfer_queue(monkeypatch):
    monkeypatch.setattr(trainer_base.tq, "kv_clear", lambda **_: None)


@pytest.fixture
def metrics(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", str(path))
    return lambda: {row["step"]: row["data"] for row in map(json.loads, path.read_text().splitlines())}


COLLAPSE = [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1]
ON = ["trainer.health.window=2", "trainer.health.action=stop"]


def test_a_stop_saves_the_step_logs_it_and_ends_before_the_next(tmp_path, metrics):
    loop = Loop(tmp_path, COLLAPSE, *ON)
    with pytest.raises(RunStopped, match=r"at step 5:\n  entropy_collapse: .* got 0.1 .* at least 0.2 \(0.2 x of the"):
        loop.fit(None)
    # the means of two steps are 1, 1, 0.55, 0.1: it rings at step 5; saved where verl saves
    assert loop.events[-3:] == ["step 5", "save 5", "weights 5"]
    assert [row["health/entropy_collapse"] for row in metrics().values()] == [0, 0, 0, 0, 1]
    assert (tmp_path / "checkpoints" / "latest_checkpointed_iteration.txt").read_text() == "5"


def test_a_step_that_verl_saves_itself_is_saved_once(tmp_path, metrics):
    loop = Loop(tmp_path, COLLAPSE, *ON, "trainer.save_freq=5")
    with pytest.raises(RunStopped, match="global_step_5"):
        loop.fit(None)
    assert loop.events.count("save 5") == 1


def test_a_stop_in_the_last_step_is_a_stop_too(tmp_path, metrics):
    loop = Loop(tmp_path, COLLAPSE[:5], *ON)
    with pytest.raises(RunStopped, match="at step 5"):
        loop.fit(None)
    assert metrics()[5]["health/entropy_collapse"] == 1


def test_a_warning_changes_nothing_but_the_log(tmp_path, metrics, capsys):
    loop = Loop(tmp_path, COLLAPSE, "trainer.health.window=2")
    loop.fit(None)
    assert "save 5" not in loop.events
    assert capsys.readouterr().err.count("verl-plugins: step 5: entropy_collapse") == 1


def test_a_resumed_run_judges_as_the_uninterrupted_one(tmp_path, metrics):
    Loop(tmp_path / "whole", COLLAPSE, "trainer.health.window=3").fit(None)
    whole = metrics()
    Loop(tmp_path / "cut", COLLAPSE[:4], "trainer.health.window=3", "trainer.save_freq=4").fit(None)
    resumed = Loop(tmp_path / "cut", COLLAPSE, "trainer.health.window=3")
    assert resumed.global_steps == 4
    resumed.fit(None)
    assert metrics() == {step: whole[step] for step in (5, 6, 7)}
    assert whole[6]["health/entropy_collapse"] == 1


def test_a_checkpoint_is_named_the_latest_only_once_it_has_the_drivers_state(tmp_path, metrics, monkeypatch):
    def breaks(self):
        raise OSError("disk full")

    loop = Loop(tmp_path, COLLAPSE, "trainer.save_freq=1")
    monkeypatch.setattr(PPOTrainerSync, "_save_checkpoint", breaks)
    with pytest.raises(OSError):
        loop.fit(None)
    assert (tmp_path / "checkpoints" / "global_step_1" / NAME).is_file()


def test_a_checkpoint_of_verl_alone_is_resumed_with_a_word(tmp_path, metrics, capsys):
    Loop(tmp_path, COLLAPSE[:2], "trainer.save_freq=2").fit(None)
    (tmp_path / "checkpoints" / "global_step_2" / NAME).unlink()
    loop = Loop(tmp_path, COLLAPSE)
    assert "global_step_2 holds no state of health, which starts anew" in capsys.readouterr().out
    assert loop.global_steps == 2


def scored_rows(statuses):
    """Return rows of the TransferQueue whose rewards have these statuses; the last one fills the batch."""
    rows = [[0.0, 1.0], [0.0, 0.0, 0.0], [0.5], [0.0, 0.5], [0.0]]  # the reward stands at the last token
    masks = [[1, 1], [1, 1, 1], [1], [1, 1], [0]]
    return TensorDict(
        {
            "uid": NonTensorStack(*"aabbb"),
            "data_source": NonTensorStack("x", "x", "y", "y", "y"),
            "extra_fields": NonTensorStack(*({"reward_extra_info": {"status": status}} for status in statuses)),
            "rm_scores": torch.nested.as_nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged),
            "response_mask": torch.nested.as_nested_tensor([torch.tensor(row) for row in masks], layout=torch.jagged),
        },
        batch_size=5,
    )


def test_group_and_reward_metrics_are_read_from_the_queues_nested_rows(tmp_path, monkeypatch):
    data = scored_rows(["bad_gold", "ok", "no_answer", "no_answer", "no_answer"])
    monkeypatch.setattr(tq, "kv_batch_get", lambda select_fields, **_: data.select(*select_fields))
    monkeypatch.setattr(PPOTrainerSync, "_compute_advantage", lambda self, batch, metrics: batch)
    batch = tq.KVBatchMeta(partition_id="train", keys=[f"{i}_0_0" for i in range(5)], tags=[{}] * 5)
    loop, got = Loop(tmp_path, [1.0]), {}
    loop.timing_raw = {}
    loop._compute_advantage(batch, got)
    # a: rewards 1 and 0, std sqrt(0.5); b: 0.5 twice, none
    groups = {"groups/size": 2, "groups/reward_std": pytest.approx(0.5**0.5 / 2), "groups/zero_variance": 0.5}
    counted = {name: count for name, count in got.items() if count and name.startswith("reward/")}
    assert {name: got[name] for name in groups} == groups
    assert counted == {"reward/x/bad_gold": 1, "reward/y/no_answer": 2}


def test_failures_are_counted_over_all_updates_of_a_step_and_each_response_once(tmp_path, monkeypatch):
    class Scored(Loop):
        def _step_once(self, metrics, timing_raw, sample_batch_size):
            rows = ("1_0_0", "1_0_1", "2_0_0", "3_0_0", "4_0_0")  # the first two are outputs of one response
            keys = [f"{self.local_trigger_step}{row}" for row in rows]
            return self._compute_advantage(tq.KVBatchMeta(partition_id="train", keys=keys, tags=[{}] * 5), metrics)

    batches = iter([scored_rows(["ok", "no_answer", "no_answer", "no_answer", "ok"]), scored_rows(["ok"] * 5)])
    data = []

    def get(select_fields, **_):
        data.append(next(batches))
        return data[-1].select(*select_fields)

    monkeypatch.setattr(tq, "kv_batch_get", get)
    monkeypatch.setattr(PPOTrainerSync, "_compute_advantage", lambda self, batch, metrics: batch)
    loop, metrics = Scored(tmp_path, [1.0]), {}
    loop.parameter_sync_step, loop.timing_raw = 2, {}
    measured = []
    monkeypatch.setattr(loop.watch, "look", lambda *looked: measured.append(measures(*looked[1:])) or {})
    loop.step(metrics, {})
    assert metrics["reward/y/no_answer"] == 2.0 and metrics["reward/x/no_answer"] == 1.0  # verl's averages: 1, 0.5
    assert measured[0]["unread"] == 3 / 6  # of three responses in each update


def test_the_state_file_keeps_every_bit(tmp_path):
    state = {"a": {"values": [0.1 + 0.2, 1e-300, 7]}}
    write_state(tmp_path / "new", state)
    assert read_state(tmp_path / "new") == state
    assert [path.name for path in (tmp_path / "new").iterdir()] == [NAME]
    assert read_state(tmp_path) == {}


def test_the_adaptive_r0_is_saved_with_the_checkpoint_and_restored(tmp_path, metrics):
    knobs = ["+method=ecvgpo", "algorithm.ecvgpo.r0=adaptive", "algorithm.ecvgpo.target_entropy=0.2"]
    loop = Loop(tmp_path, COLLAPSE, *knobs, "trainer.save_freq=2")
    driver = loop.drivers["ecvgpo"]
    driver.load(driver.state() | {"steps": 41, "integral": 0.1})
    loop.fit(None)
    driver = Loop(tmp_path, COLLAPSE, *knobs).drivers["ecvgpo"]
    assert (driver.state()["steps"], driver.state()["integral"]) == (41, 0.1)


@pytest.mark.parametrize(
    ("method", "knobs", "has_forward"),
    [
        ("ecvgpo", [], False),
        ("ecvgpo", ["algorithm.ecvgpo.r0=adaptive", "algorithm.ecvgpo.target_entropy=0.2"], True),
        ("vepo", [], True),
        ("vepo", ["algorithm.vepo.score=entropy"], True),
        ("vepo", ["algorithm.vepo.fraction=1"], False),
        ("vepo", ["algorithm.vepo.select=random"], False),
        ("vppo", [], True),
        ("vppo", ["algorithm.vppo.fraction=1", "algorithm.vppo.weight_min=1"], False),
    ],
)
def test_in_bypass_mode_a_forward_is_run_for_methods_that_need_one(tmp_path, monkeypatch, method, knobs, has_forward):
    loop = Loop(tmp_path, [1.0], f"+method={method}", *knobs, "algorithm.rollout_correction.bypass_mode=true")
    for driver in loop.drivers.values():
        perturbs = method in ("vepo", "vppo") and not knobs
        driver.columns = SIGNALS if perturbs else ()  # as setup sets them
        driver.perturbation = Perturbation("gaussian")
    requests = []

    def add_entropy(trainer, batch, metrics):
        requests.append((batch.extra_info or {}).get(REQUEST))
        return batch

    monkeypatch.setattr(PPOTrainerSync, "_compute_old_log_prob", lambda self, batch, metrics: batch)
    monkeypatch.setattr(trainer, "add_entropy", add_entropy)
    batch = loop._compute_old_log_prob(tq.KVBatchMeta(partition_id="train", keys=["u_0_0"], tags=[{}]), {})
    assert bool(requests) == has_forward == ("entropy" in loop._tensor_names())
    assert not has_forward or (requests[0] is not None) == perturbs
    assert REQUEST not in (batch.extra_info or {})


def test_the_order_of_prompts_is_kept_until_their_step_and_no_longer(tmp_path, monkeypatch):
    loop = Loop(tmp_path, [1.0])
    loop.prompt_order = {"second": 1, "evicted": 2, "first": 0, "waits": 3}
    monkeypatch.setattr(tq, "kv_list", lambda partition: {partition: {"waits": {}}})
    monkeypatch.setattr(PPOTrainerSync, "_balance_batch", lambda self, batch, metrics: batch)
    keys = ["second_0_0", "first_1_0", "first_0_0"]
    batch = loop._balance_batch(tq.KVBatchMeta(partition_id="train", keys=keys, tags=[{}] * 3), {})
    assert batch.keys == ["first_0_0", "first_1_0", "second_0_0"]
    assert loop.prompt_order == {"waits": 3}
