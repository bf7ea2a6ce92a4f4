"""verl's asynchronous trainers under verl's own mode names, with the methods, killed and resumed."""

import json

import distinct_characters
import psutil
import pytest
from crop_tool import tool_overrides
from precision import FEW_PROMPTS

from verl_plugins.demo.watchdog import RunFailed

pytestmark = pytest.mark.slow

ONE_SECOND_FORWARD = ["algorithm.vppo.perturbation=gaussian", "algorithm.vppo.strength=2"]  # VEPO's


def test_colocated_killed_and_resumed(train, tmp_path):
    """Every method that an asynchronous trainer takes, with group filtering and means over sequences."""
    methods = "[ecvgpo,vepo,vppo,noisyrollout]"
    settings = [
        "trainer.v1.trainer_mode=colocate_async",
        "algorithm.filter_groups.enable=true",
        *ONE_SECOND_FORWARD,
        "actor_rollout_ref.rollout.calculate_log_probs=true",
        "actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean",
        "algorithm.ecvgpo.delta=9",
        "algorithm.ecvgpo.r0=10",
        "trainer.save_freq=2",
        f"trainer.default_local_dir={tmp_path / 'checkpoints'}",
        f"trainer.record_dir={tmp_path / 'records'}",
        *FEW_PROMPTS,
    ]
    metrics = tmp_path / "first" / "metrics.jsonl"

    def kill_after_the_third_step():
        if metrics.exists() and len(metrics.read_text().splitlines()) >= 3:
            for process in psutil.Process().children(recursive=True):
                if process.name().startswith("ray::TaskRunner"):
                    process.kill()

    with pytest.raises(RunFailed):
        train("first", methods, 100, *settings, on_poll=kill_after_the_third_step)
    first = [json.loads(line) for line in metrics.read_text().splitlines()]
    saved = int((tmp_path / "checkpoints" / "latest_checkpointed_iteration.txt").read_text())
    resumed = train("resumed", methods, saved + 3, *settings)
    assert [row["step"] for row in first][:3] == [1, 2, 3]
    assert list(resumed) == [saved + 1, saved + 2, saved + 3]
    rows = [*(row["data"] for row in first), *resumed.values()]
    for row in rows:
        check(row)
        assert row["groups/zero_variance"] == 0  # filtered
        assert row["vppo/kl_kept"] > row["vppo/kl_dropped"] > 0
        assert row["vppo/trajectory_weight/mean"] == pytest.approx(1)
        assert row["vppo/trajectory_weight/max"] > 1 > row["vppo/trajectory_weight/min"] > 0.899
        assert row["noisyrollout/noisy_responses"] == 0.5
    staleness = "training/off_policy/trajectory_staleness/max"
    assert max(row[staleness] for row in rows) >= 1  # asynchronous
    # The noise is annealed over the run, and the actor does not see it. An older policy would write a mismatch, too.
    noisy = [row for row in rows if row["noisyrollout/strength"] > 490 and row[staleness] == 0]
    assert noisy
    for row in noisy:
        assert row["noisyrollout/log_prob_mismatch_noisy"] > 2 * row["noisyrollout/log_prob_mismatch_clean"]
    for folder in ("tokens", "vppo_tokens"):  # of VEPO and of VPPO
        records = [json.loads(line) for line in (tmp_path / "records" / folder / "1.jsonl").read_text().splitlines()]
        assert records[0]["picture"] != records[0]["perturbed_picture"]
        kept = [weight > 0 for record in records for weight in record["kept"]]
        assert 0 < sum(kept) < len(kept)


def check(row):
    """Both methods acted on responses of several policy versions."""
    assert row["ecvgpo/reshaped_tokens"] > 0
    assert 0.2 <= row["vepo/selected_tokens"] < 0.3
    assert row["vepo/jsd_kept"] > row["vepo/jsd_dropped"] > 0
    assert row["actor/entropy"] > 0
    assert row["actor/grad_norm"] > 0


def test_separate_devices_and_an_image_from_a_tool_between_two_turns(train, tmp_path):
    """Train in bypass mode, on nothing but what the policy wrote."""
    steps = train(
        "separate",
        "[ecvgpo,vepo]",
        3,
        "trainer.v1.trainer_mode=separate_async",
        "trainer.v1.separate_async.parameter_sync_step=2",
        "algorithm.rollout_correction.bypass_mode=true",
        "data.train_batch_size=8",
        "actor_rollout_ref.actor.ppo_mini_batch_size=4",
        "actor_rollout_ref.rollout.nnodes=1",
        "actor_rollout_ref.rollout.n_gpus_per_node=1",
        "algorithm.ecvgpo.delta=9",
        "algorithm.ecvgpo.r0=10",
        f"reward.custom_reward_function.path={distinct_characters.__file__}",  # whose rewards differ in every group
        *tool_overrides(tmp_path),
    )
    assert list(steps) == [1, 2, 3]
    for row in steps.values():
        check(row)
        assert row["num_turns/mean"] == row["num_turns/min"] == 4  # user, policy, tool, policy
    assert max(row["training/off_policy/trajectory_staleness/max"] for row in steps.values()) >= 1
