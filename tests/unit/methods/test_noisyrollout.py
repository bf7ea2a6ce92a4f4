"""NoisyRollout: schedule and noise by hand, what its agent loop samples on, what the update gets, and the reduction."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from checked_run import ENOUGH, problems, write_parquet
from checked_run import IMAGE as CELL
from omegaconf import OmegaConf
from PIL import Image
from tensordict import NonTensorData, NonTensorStack
from tiny_families import PROCESSORS
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu

from verl_plugins.components.agent_loops import SeededSingleTurnAgentLoop
from verl_plugins.methods import METHODS
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.noisyrollout import noisy_loops
from verl_plugins.methods.noisyrollout.apply import apply
from verl_plugins.methods.noisyrollout.maths import NoisyRolloutConfig, noisy_pictures
from verl_plugins.methods.noisyrollout.noisy_loops import NoisySeededSingleTurnAgentLoop
from verl_plugins.seeds import seed_of
from verl_plugins.training.estimator import advantage_estimator
from verl_plugins.training.modes import EntropyTrainer
from verl_plugins.vision import noise
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.perturb import perturb
from verl_plugins.vision.pixels import as_processed

SETTINGS = {"internvl3": {"crop_to_patches": False}}
LIMITS = {"min_pixels": 28 * 28, "max_pixels": 100 * 100}
MESSAGES = [{"role": "user", "content": [{"type": "image", "image": "x.png"}, {"type": "text", "text": "?"}]}]


def image(number, size=(90, 61)):
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


# -- the formulas ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "strength"),
    [
        (0, 499.999999),  # exponent 30 (0 - 40) / 60 = -20: 500 / (1 + 2.06e-9)
        (20, 499.97730),  # exponent -10: 500 / (1 + 4.53999e-5)
        (40, 250.0),  # exponent 0
        (60, 0.022698934),  # exponent 10: 500 / (1 + 22026.466)
    ],
)
def test_the_schedule_by_hand(step, strength):
    assert NoisyRolloutConfig().strength_at(step, 60) == pytest.approx(strength, rel=1e-6)


def test_the_schedule_is_the_papers_formula_for_another_data_set():
    config = NoisyRolloutConfig(strength=450.0, schedule_steepness=60.0, schedule_midpoint=40 / 120)
    for step in range(1, 121):
        sigmoid = 1 / (1 + math.exp(-60 * (step - 40) / 120))
        assert config.strength_at(step, 120) == pytest.approx(450 * (1 - sigmoid), rel=1e-6, abs=1e-9)
    assert config.strength_at(130, 120) == config.strength_at(120, 120)  # a prompt sampled for a step after the last
    assert NoisyRolloutConfig(schedule="constant").strength_at(60, 60) == 500
    assert NoisyRolloutConfig(schedule_steepness=500).strength_at(60, 60) < 1e-60


def test_the_noise_is_the_forward_process_written_out():
    picture = torch.randint(0, 256, (3, 12, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    betas = 1 / (1 + np.exp(-np.linspace(-6, 6, 1000))) * (5e-3 - 1e-5) + 1e-5
    kept = np.cumprod(1 - betas)[250]
    drawn = noise.normal(seed_of(3, 5, "17", 0), (3, 12, 8), "cpu").double().numpy()
    expected = np.sqrt(kept) * picture.numpy() / 255 + np.sqrt(1 - kept) * drawn
    (noisy,) = noisy_pictures([picture], 250.2, (3, 5, "17"))
    assert noisy.dtype == torch.uint8
    assert np.abs(noisy.numpy() - expected.clip(0, 1) * 255).max() <= 0.5 + 1e-3  # rounded to 8 bits, nothing else


@pytest.mark.parametrize("family", PROCESSORS)
def test_the_pixels_are_those_of_the_perturbation_and_reach_the_model_unresized(family):
    processor, settings = PROCESSORS[family], SETTINGS.get(family, {})
    images = [image(0), image(1, (200, 120))]
    inputs = processor(text=[processor.image_token * 2], images=images, return_tensors="pt", **settings)
    key, layout = (7, 5, "2"), layout_of(processor)
    expected = perturb(inputs, layout, "diffusion", 300.0, key)
    grids = [None] * 2 if layout.tiled else inputs["image_grid_thw"].tolist()
    noisy = noisy_pictures(as_processed(images, processor, settings), 300.0, key)
    for rows, grid, picture in zip(layout.images(inputs), grids, noisy, strict=True):
        levels = layout.to_pictures(expected["pixel_values"][rows], grid)[0] * 255
        assert (picture - levels).abs().max() <= 0.5 + 1e-3
    sent = [Image.fromarray(picture.permute(1, 2, 0).numpy()) for picture in noisy]
    assert all(map(torch.equal, as_processed(sent, processor, settings), noisy))


# -- the sampling ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sample(monkeypatch):
    """Sample one prompt's four responses; returns its media, and of each response what it was sampled on, and more."""
    clean = {}

    async def run(self, sampling_params, priority=0, **kwargs):
        data = await self.process_multi_modal_info(kwargs["raw_prompt"])
        await asyncio.sleep(0)
        return SimpleNamespace(sampled_on=data, multi_modal_data=data, seed=sampling_params["seed"])

    async def media_of(self, messages):
        assert messages == MESSAGES
        return dict(clean)

    monkeypatch.setattr(SingleTurnAgentLoop, "run", run)
    monkeypatch.setattr(SingleTurnAgentLoop, "process_multi_modal_info", media_of)

    def sample(loop_class=NoisySeededSingleTurnAgentLoop, strength=300.0, uid="a", media=None, **fields):
        clean.clear()
        clean.update({"images": [image(0), image(1, (200, 120))]} if media is None else media)

        async def respond(session):
            loop = object.__new__(loop_class)
            loop.rollout_config, loop.processor = SimpleNamespace(seed=7), PROCESSORS["qwen2_5_vl"]
            loop.mm_processor_kwargs = OmegaConf.create(LIMITS)
            loop.config = OmegaConf.create({"algorithm": {"noisyrollout": {"n1": 2}}})
            prompt = {"raw_prompt": MESSAGES, "global_steps": 5, "index": 2, "uid": uid, "noise_strength": strength}
            return await loop.run({"temperature": 1.0}, session_id=session, **(prompt | fields))

        async def respond_all():
            return await asyncio.gather(*(respond(session) for session in range(4)))

        return clean, asyncio.run(respond_all())

    return sample


def pixels(images):
    return [np.asarray(each).tolist() for each in images]


def everything(outputs):
    return [(pixels(o.sampled_on["images"]), pixels(o.multi_modal_data["images"]), o.seed) for o in outputs]


def test_the_last_n2_responses_see_one_noisy_draw_and_the_update_gets_the_clean_images(sample, monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return as_processed(*arguments)

    monkeypatch.setattr(noisy_loops, "as_processed", counted)
    clean, outputs = sample()
    assert len(calls) == 1
    pictures = as_processed(clean["images"], PROCESSORS["qwen2_5_vl"], LIMITS)
    assert [tuple(picture.shape) for picture in pictures] == [(3, 56, 84), (3, 56, 112)]  # by the run's own limits
    expected = [picture.permute(1, 2, 0).tolist() for picture in noisy_pictures(pictures, 300.0, (7, 5, "2"))]
    for session, output in enumerate(outputs):
        assert pixels(output.sampled_on["images"]) == (expected if session >= 2 else pixels(clean["images"]))
        assert output.multi_modal_data["images"] == clean["images"]
        assert output.seed == seed_of(7, 5, 2, session)


def test_the_noise_depends_on_step_and_prompt_alone(sample):
    first, again, later, other = (
        pixels(sample(uid=uid, **fields)[1][3].sampled_on["images"])
        for uid, fields in (("a", {}), ("b", {}), ("c", {"global_steps": 6}), ("d", {"index": 3}))
    )
    assert first == again
    assert first != later and first != other and later != other


@pytest.mark.parametrize("strength", [0.0, torch.tensor(0.0)], ids=["number", "as the TransferQueue may return it"])
def test_without_noise_the_responses_are_grpos_bit_for_bit(sample, strength):
    _, ours = sample(strength=strength)
    _, grpo = sample(SeededSingleTurnAgentLoop)
    assert everything(ours) == everything(grpo)


@pytest.mark.parametrize("media", [{}, {"images": [image(0)], "videos": ["a video"]}], ids=["text", "video"])
def test_prompts_of_other_media_are_sampled_as_they_are(sample, media):
    _, outputs = sample(media=media)
    assert [output.sampled_on for output in outputs] == [media] * 4


def driver(**knobs):
    rollout = {"agent": {"default_agent_loop": "seeded_single_turn_agent"}}
    run = OmegaConf.create({"actor_rollout_ref": {"rollout": rollout}})
    ours = METHODS["noisyrollout"].build_driver(run, NoisyRolloutConfig(**knobs))
    ours.total_steps = 60
    return ours


def test_each_prompt_has_its_own_agent_loop_and_strength_which_asynchronous_checkpoints_keep():
    batch = tu.get_tensordict({"uid": np.array(["a", "b"], dtype=object)})
    tu.assign_non_tensor_data(batch, "global_steps", 40)
    prompts = driver().before_sampling(batch)
    assert set(batch.keys()) == {"uid", "global_steps"}
    kept = [name for name, value in prompts.items() if not isinstance(value, NonTensorData)]  # as verl chooses
    assert set(kept) == {"uid", "agent_name", "noise_strength"}
    kept = prompts.select(*kept)
    assert all(isinstance(value, NonTensorStack) for value in kept.values())  # as verl's agent loop worker expects
    assert [kept.get("noise_strength")[row].data for row in (0, 1)] == [250.0, 250.0]
    assert [kept.get("agent_name")[row].data for row in (0, 1)] == ["noisyrollout_seeded_single_turn_agent"] * 2
    assert "noisyrollout_seeded_single_turn_agent" in METHODS["noisyrollout"].agent_loops


def test_the_driver_logs_the_strength_and_marks_the_noisy_rows():
    metrics = {}
    assert driver().log_prob_request(40, 60, metrics) is None
    assert metrics == {"noisyrollout/strength": 250.0}
    marks = driver(n1=1, n2=2).row_columns(["a_0_0", "a_1_0", "a_2_0", "b_0_0", "b_2_0"])
    assert marks["noisy"].tolist() == [False, True, True, False, True]


def test_the_trainer_tells_the_drivers_its_number_of_steps(monkeypatch):
    trainer, seen = object.__new__(EntropyTrainer), []
    ours = driver()
    ours.total_steps, ours.setup = 0, lambda processor: seen.append(ours.total_steps)
    trainer.drivers, trainer.processor, trainer.total_training_steps = {"noisyrollout": ours}, None, 60
    monkeypatch.setattr(PPOTrainerSync, "_init_dataloader", lambda self: None)
    trainer._init_dataloader()
    assert seen == [60]


# -- the batch ---------------------------------------------------------------------------------------------------------


def test_the_advantages_are_grpos_over_clean_and_noisy_responses_together():
    rewards = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 0.5], [0.0, 0.5], [0.0, 0.2], [0.0, 0.9]])
    uids, mask = np.array(["a", "a", "a", "a", "b", "b"], dtype=object), torch.ones(6, 2)
    given = {"response_mask": mask, "index": uids, "old_log_probs": torch.full((6, 2), -1.0)}
    grpo, _ = compute_grpo_outcome_advantage(rewards, mask, uids)
    noisy = torch.tensor([False, False, True, True, False, True])
    advantages, _ = advantage_estimator("noisyrollout")(rewards, **given, noisy=noisy)
    assert torch.equal(advantages, grpo)
    # group a: mean 0.5, std sqrt((0.25 + 0.25) / 3) = 0.408: (1 - 0.5) / 0.408 = 1.2247; the noisy two are at the mean
    torch.testing.assert_close(advantages[:4, 0], torch.tensor([1.2247, -1.2247, 0, 0]), rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match=r"algorithm.noisyrollout: got no noisy.*\+method=noisyrollout"):
        advantage_estimator("noisyrollout")(rewards, **given)


def batch(**changes):
    values = {
        "advantages": torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.5, 0.0], [0.0, 0.0]]),
        "response_mask": torch.tensor([[1, 1], [1, 1], [1, 0], [0, 0]]),  # the last fills the batch
        "old_log_probs": torch.tensor([[-1.0, -1.0], [-1.0, -1.0], [-1.0, 9.0], [9.0, 9.0]]),
        "rewards": torch.tensor([1.0, 0.5, 0.25, 9.0]),
        "groups": torch.tensor([0, 0, 0, 1]),
        "columns": {"noisy": torch.tensor([False, True, True, True])},
    }
    return AdvantageBatch(**(values | changes))


def test_metrics_part_clean_and_noisy_responses():
    advantages, metrics = apply(batch(), NoisyRolloutConfig())
    assert torch.equal(advantages, batch().advantages)
    assert metrics == pytest.approx(
        {
            "noisyrollout/noisy_responses": 2 / 3,
            "noisyrollout/reward_clean": 1.0,
            "noisyrollout/reward_noisy": 0.375,
            "noisyrollout/mixed_groups_clean": 0.0,
            "noisyrollout/mixed_groups_noisy": 1.0,  # 0.5 and 0.25
        }
    )
    rollout = torch.tensor([[-1.0, -1.5], [-2.0, -1.0], [-3.0, 0.0], [0.0, 0.0]])
    _, metrics = apply(batch(rollout_log_probs=rollout), NoisyRolloutConfig())
    assert metrics["noisyrollout/log_prob_mismatch_clean"] == pytest.approx(0.25)
    assert metrics["noisyrollout/log_prob_mismatch_noisy"] == pytest.approx(1.0)  # (1 + 0 + 2) / 3
    assert apply(batch(response_mask=torch.zeros(4, 2)), NoisyRolloutConfig())[1] == {}


# -- the settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"n1": 0}, "algorithm.noisyrollout.n1: got 0, expected a whole number >= 1; set algorithm.noisyrollout.n1"),
        ({"n1": True}, "algorithm.noisyrollout.n1: got True"),
        ({"n2": True}, "algorithm.noisyrollout.n2: got True"),
        ({"n2": 1.5}, "algorithm.noisyrollout.n2: got 1.5"),
        ({"strength": 1000}, r"strength: got 1000, expected a diffusion step in \[0, 999\]"),
        ({"strength": math.nan}, "strength: got nan"),
        ({"schedule": "linear"}, "schedule: got 'linear', expected 'sigmoid' or 'constant'"),
        ({"schedule_midpoint": 40}, r"schedule_midpoint: got 40, expected a number in \[0, 1\]"),
        ({"schedule_steepness": 0}, r"schedule_steepness: got 0, expected a number in \(0, 500\]"),
    ],
)
def test_bad_settings_are_refused_by_name(knobs, message):
    with pytest.raises(ValueError, match=message):
        NoisyRolloutConfig(**knobs)


@pytest.fixture
def data(tmp_path):
    path = write_parquet(tmp_path / "rows.parquet", [[CELL]] * ENOUGH)
    return [f"data.train_files={path}", f"data.val_files={path}"]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["+platform=cpu"],
        ["trainer.v1.trainer_mode=colocate_async"],
        ["algorithm.filter_groups.enable=true", "algorithm.noisyrollout.n1=1", "algorithm.noisyrollout.n2=11"],
        ["model_engine=megatron"],
        ["algorithm.noisyrollout.strength=0"],
        ["actor_rollout_ref.rollout.n=16", "algorithm.noisyrollout.n1=10"],
    ],
    ids=lambda overrides: " ".join(overrides) or "defaults",
)
def test_a_good_run_passes(data, overrides):
    assert problems(["+method=noisyrollout", *data, *overrides]) == []


AGENT_LOOP = "actor_rollout_ref.rollout.agent.default_agent_loop"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("actor_rollout_ref.rollout.n=8", "noisyrollout.n1 + n2: got 6 + 6, expected actor_rollout_ref.rollout.n = 8"),
        (
            "algorithm.noisyrollout.schedule_midpoint=40",
            "algorithm.noisyrollout.schedule_midpoint: got 40, expected a number in [0, 1]",
        ),
        (f"{AGENT_LOOP}=tool_agent", "expected single_turn_agent or image_single_turn_agent or seeded_single_turn_ag"),
        ("algorithm.rollout_correction.bypass_mode=true", "bypass_mode: got true, expected false with noisyrollout"),
    ],
)
def test_what_it_cannot_work_with_is_one_line(data, override, message):
    (problem,) = problems(["+method=noisyrollout", *data, override])
    assert message in problem and "; set " in problem


def test_two_methods_that_choose_the_images_of_the_sampling_are_refused_together(data):
    (problem,) = problems(["+method=[saei,noisyrollout]", "actor_rollout_ref.actor.strategy=fsdp2", *data])
    assert problem.startswith("method: got saei and noisyrollout, expected one of them (each sends the prompts to")
    assert problem.endswith("set +method=saei or +method=noisyrollout")
    assert problems(["+method=[ecvgpo,vepo,noisyrollout]", *data]) == []
