"""Each alarm is raised on a run with its failure, and none on healthy runs."""

import json
import math
from pathlib import Path

import pytest
import torch
from checked_run import ENOUGH, IMAGE, write_parquet
from omegaconf import OmegaConf

from verl_plugins.compose import compose_run
from verl_plugins.health.checks import ALARMS, CHECKS, NO_HISTORY, look, measures, watched
from verl_plugins.health.health_config import HealthConfig, health_from_node
from verl_plugins.health.watch import RunStopped, Watch
from verl_plugins.preflight.installation import WITHOUT_FLASH_ATTN
from verl_plugins.training.step_metrics import group_metrics

HEALTHY = sorted((Path(__file__).parent / "healthy").glob("*.jsonl"))  # recorded: 25 to 40 steps of the demo
RESPONSES = 64


def rings(series, config=None, responses=RESPONSES):
    """Map each alarm to the steps (from 1) at which it is on, given the metrics of each step."""
    watch = Watch(config or HealthConfig(action="log"))
    result = {}
    for step, metrics in enumerate(series, start=1):
        logged = watch.look(step, metrics, responses)
        for name in (name for name, value in logged.items() if value):
            result.setdefault(name.removeprefix("health/"), []).append(step)
    return result


@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.stem)
def test_healthy_runs_are_silent(path):
    series = [json.loads(line)["data"] for line in path.read_text().splitlines()]
    assert len(series) >= 25
    assert rings(series) == {}


def test_a_healthy_run_shows_its_alarms_at_zero_on_every_step():
    watch = Watch(HealthConfig())
    series = [json.loads(line)["data"] for line in (HEALTHY[0].parent / "saei.jsonl").read_text().splitlines()]
    for step, metrics in enumerate(series, start=1):
        logged = watch.look(step, metrics, RESPONSES)
        assert logged == dict.fromkeys(
            [f"health/{alarm}" for alarm in ALARMS if alarm not in ("selection_degenerate", "reward_failures")], 0.0
        )


def falling(start, end, steps=40):
    return [{"actor/entropy": start * (end / start) ** (i / (steps - 1))} for i in range(steps)]


FAILING = {
    # 0.3 to 0.003: the mean of five steps falls below a fifth of the mean of the first five
    "entropy_collapse": falling(0.3, 0.003),
    "entropy_blowup": falling(0.3, 3.0),
    # 5 of 8 groups at first, then all
    "zero_variance_groups": [{"groups/zero_variance": min(1.0, 0.6 + i / 20)} for i in range(20)],
    # the image no longer matters
    "selection_degenerate": [{"vepo/jsd": 1e-2 / 10**i, "vepo/kept_missed_by_entropy": 0.2} for i in range(20)],
    "adversarial_rewards": [{"saei/reward_clean": 0.7, "saei/reward_adversarial": 0.7 - i / 30} for i in range(20)],
    "rollout_mismatch": [{"training/rollout_probs_diff_mean": 0.002 * 1.3**i} for i in range(30)],
    "reward_failures": [{"reward/a/no_answer": 64 * min(1, i / 10), "reward/a/error": 0} for i in range(20)],
}  # fmt: skip


@pytest.mark.parametrize("alarm", ALARMS)
def test_each_alarm_rings_on_its_failing_run_alone_and_goes_on_ringing(alarm):
    result = rings(FAILING[alarm])
    assert set(result) == {alarm}
    first, last = result[alarm][0], len(FAILING[alarm])
    assert first > 5  # not before the first window was healthy
    assert result[alarm] == list(range(first, last + 1))


def test_the_first_step_of_an_alarm_by_hand():
    # window 2, limit 0.2 x mean(1, 1) = 0.2: means of two are 1, 0.6, 0.15 at steps 2, 3, 4
    config = health_from_node({"window": 2, "action": "log"})
    assert rings([{"actor/entropy": h} for h in (1.0, 1.0, 0.2, 0.1)], config) == {"entropy_collapse": [4]}
    assert rings([{"actor/entropy": h} for h in (1.0, 1.0, 0.2, 0.2)], config) == {}  # 0.2 itself is not below


def test_an_alarm_ends_when_the_measure_recovers():
    config = health_from_node({"window": 1})
    shares = (0.5, 1.0, 1.0, 0.5, 1.0)
    assert rings([{"groups/zero_variance": s} for s in shares], config) == {"zero_variance_groups": [2, 3, 5]}


def test_selection_by_entropy_alone_is_degenerate_but_not_for_the_baseline_that_means_it():
    config = health_from_node({"window": 1})
    alone = {"vepo/kept_missed_by_entropy": 0.0}
    assert rings([alone | {"vepo/jsd": 0.01}], config) == {"selection_degenerate": [1]}
    assert rings([alone], config) == {}


def test_a_perturbation_that_changes_nothing_leaves_vppo_nothing_to_select_by():
    config = health_from_node({"window": 1})
    assert rings([{"vppo/kl": kl} for kl in (1e-2, 1e-6)], config) == {"selection_degenerate": [2]}


def test_faults_of_the_reward_ring_earlier_than_answers_that_cannot_be_read():
    config = health_from_node({"window": 1})
    # 4 of 64 = 0.0625 > 0.05; 56 of 64 = 0.875 <= 0.9
    assert rings([{"reward/a/b/timeout": 2, "reward/c/bad_gold": 2}], config) == {"reward_failures": [1]}
    assert rings([{"reward/a/no_answer": 50, "reward/a/bad_format": 6}], config) == {}
    assert rings([{"reward/a/no_answer": 50, "reward/a/bad_format": 8}], config) == {"reward_failures": [1]}
    assert rings([{"reward/a/seconds": 64}], config) == {}


def test_saeis_off_policy_half_is_no_mismatch():
    config = health_from_node({"window": 1})
    metrics = {"training/rollout_probs_diff_mean": 0.2, "saei/log_prob_mismatch_clean": 1e-6}
    assert rings([metrics], config) == {}
    assert rings([metrics | {"saei/log_prob_mismatch_clean": 0.2}], config) == {"rollout_mismatch": [1]}


def test_rewards_at_or_below_zero_are_no_measure_of_a_share():
    config = health_from_node({"window": 1})
    assert rings([{"saei/reward_clean": 0.0, "saei/reward_adversarial": -1.0}], config) == {}


@pytest.mark.parametrize(
    "metrics",
    [{"actor/entropy": math.nan}, {"training/rollout_probs_diff_mean": math.nan}],
    ids=lambda m: next(iter(m)),
)
def test_what_is_no_number_rings(metrics):
    assert rings([metrics] * 5, HealthConfig(action="log")) != {}


def test_a_missing_measure_is_left_out_and_too_few_steps_are_not_judged():
    assert measures({}, RESPONSES) == {}
    assert measures({"reward/a/error": 3}, 0) == {}
    history = NO_HISTORY
    for _ in range(4):
        history = look(history, {"zero_variance": 1.0}, 5, HealthConfig().limits)
    assert (history.on, watched(history)) == ({}, ["zero_variance_groups"])


@pytest.mark.parametrize("alarm", ALARMS)
def test_a_resumed_watch_goes_on_as_if_it_had_not_been_interrupted(alarm):
    series = FAILING[alarm]
    whole, first, second = (Watch(HealthConfig(action="log")) for _ in range(3))
    expected = [whole.look(step, metrics, RESPONSES) for step, metrics in enumerate(series, 1)]
    got = [first.look(step, metrics, RESPONSES) for step, metrics in enumerate(series[:9], 1)]
    second.load(json.loads(json.dumps(first.state())))
    got += [second.look(step, metrics, RESPONSES) for step, metrics in enumerate(series[9:], 10)]
    assert got == expected
    assert json.dumps(second.state()) == json.dumps(whole.state())


# -- actions -----------------------------------------------------------------------------------------------------------


def test_warn_tells_once_what_rang_log_nothing(capsys):
    for action, lines in (("warn", 1), ("log", 0), ("stop", 0)):
        watch = Watch(health_from_node({"window": 1, "action": action}))
        for step in (1, 2, 3):
            watch.look(step, {"groups/zero_variance": 0.9}, RESPONSES)
        told = capsys.readouterr().err.splitlines()
        assert len(told) == lines
        assert (watch.stopping is not None) == (action == "stop")
    watch = Watch(health_from_node({"window": 1}))
    watch.look(7, {"groups/zero_variance": 0.9}, RESPONSES)
    assert capsys.readouterr().err == (
        "verl-plugins: step 7: zero_variance_groups: share of groups without an advantage: got 0.9 in the mean of "
        "1 steps, expected at most 0.8; the limit is trainer.health.zero_variance_groups.share\n"
    )


def test_an_alarm_may_have_an_action_of_its_own():
    watch = Watch(health_from_node({"window": 1, "action": "log", "rollout_mismatch": {"action": "stop"}}))
    watch.look(1, {"groups/zero_variance": 1.0}, RESPONSES)
    assert watch.stopping is None
    watch.look(2, {"groups/zero_variance": 1.0, "training/rollout_probs_diff_mean": 0.5}, RESPONSES)
    message = str(watch.end("checkpoints/global_step_2"))
    assert "stopped the run at step 2:\n  rollout_mismatch: distance" in message
    assert "zero_variance" not in message
    assert "checkpoint: checkpoints/global_step_2" in message


def test_the_driver_ends_with_one_message_where_ray_would_show_a_traceback(tmp_path):
    from types import SimpleNamespace

    from ray.exceptions import RayTaskError

    from verl_plugins.hydra_plugin import LastMessage

    error = RunStopped("verl-plugins: a health check stopped the run at step 2")
    wrapped = RayTaskError("run", "Traceback ...", error).as_instanceof_cause()
    callback = LastMessage()
    callback.on_job_start(OmegaConf.create())
    for raised in (wrapped, error):
        with pytest.raises(SystemExit) as ended:
            callback.on_job_end(OmegaConf.create(), job_return=SimpleNamespace(_return_value=raised))
        assert ended.value.code == str(error)  # a text: the interpreter prints it and exits with 1
    for other in (None, ValueError("x"), RayTaskError("run", "Traceback ...", ValueError("x")).as_instanceof_cause()):
        callback.on_job_end(OmegaConf.create(), job_return=SimpleNamespace(_return_value=other))


@pytest.mark.slow
def test_verls_own_entry_point_ends_with_the_message_and_exit_code_1(tmp_path):
    import subprocess
    import sys

    code = (
        "import verl.trainer.main_ppo as main_ppo\n"
        "from ray.exceptions import RayTaskError\n"
        "from verl_plugins.health.watch import RunStopped\n"
        "def run(*_, **__):\n"
        "    error = RunStopped('verl-plugins: stopped at step 2')\n"
        "    raise RayTaskError('run', 'Traceback: ray', error).as_instanceof_cause()\n"
        "main_ppo.run_ppo, main_ppo.validate_config = run, lambda **_: None\n"
        "main_ppo.main()\n"
    )
    path = write_parquet(tmp_path / "rows.parquet", [[IMAGE]] * ENOUGH)
    files = [f"data.train_files={path}", f"data.val_files={path}"]
    method = [
        "+method=grpo",
        "actor_rollout_ref.rollout.name=vllm",
        "actor_rollout_ref.rollout.n=8",
        *WITHOUT_FLASH_ATTN.split(),
    ]
    command = [sys.executable, "-c", code, *method, *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "verl-plugins: stopped at step 2"
    assert "Traceback" not in done.stderr


# -- settings ----------------------------------------------------------------------------------------------------------


def test_the_yaml_holds_the_defaults():
    node = compose_run(["+method=grpo"]).trainer.health
    assert health_from_node(node) == HealthConfig() == health_from_node({})
    assert [check.key for check in CHECKS] == [
        f"{alarm}.{name}" for alarm in ALARMS for name in node[alarm] if name != "action"
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.health.action=halt", "trainer.health.action: got 'halt', expected one of log, warn, stop; set"),
        ("trainer.health.window=0", "trainer.health.window: got 0, expected a whole number of steps >= 1"),
        ("trainer.health.window=2.5", "trainer.health.window: got 2.5"),
        ("trainer.health.entropy_collapse=0.1", "trainer.health.entropy_collapse: got 0.1, expected settings (action,"),
        ("trainer.health.entropy_collapse.action=end", "trainer.health.entropy_collapse.action: got 'end'"),
        ("trainer.health.entropy_collapse.share_of_start=low", "share_of_start: got 'low', expected a number >= 0"),
        ("trainer.health.rollout_mismatch.distance=nan", "rollout_mismatch.distance: got nan, expected a number"),
        ("+trainer.health.entropy_colapse.share=1", "trainer.health.entropy_colapse: unknown setting, expected one of"),
        ("+trainer.health.reward_failures.fault=1", "reward_failures.fault: unknown setting, expected one of action,"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_one_line_of_the_preflight(override, message):
    from verl_plugins.preflight import check_run

    result = [line for line in check_run(compose_run(["+method=grpo", override])) if "health" in line]
    assert len(result) == 1 and message in result[0], result


# -- what the checks stand on ------------------------------------------------------------------------------------------


def test_group_metrics_by_hand():
    rewards = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.5, 9.0])
    groups = torch.tensor([0, 0, 1, 1, 2, 2])
    real = torch.tensor([True, True, True, True, True, False])
    # std of (0, 1) is sqrt(0.5); (1, 1) has none; (0.5) alone has none: mean 0.7071 / 3, 2 of 3 without an advantage
    got = group_metrics(rewards, groups, real)
    assert got == {
        "groups/size": pytest.approx(5 / 3),
        "groups/reward_std": pytest.approx(0.5**0.5 / 3),
        "groups/zero_variance": pytest.approx(2 / 3),
    }
    assert group_metrics(rewards, groups, ~real & False) == {}


def test_health_imports_no_framework():
    import subprocess
    import sys

    code = "import sys, verl_plugins.health.watch; print(sorted({'torch', 'verl', 'ray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
