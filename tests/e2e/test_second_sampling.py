"""SaEI on the whole stack: what it reduces to, what the rollout engine saw, how it composes, repeats and is resumed."""

import json
import shutil
import time

import pytest
import torch
from test_same_rollouts import weights
from two_nodes import two_nodes

from verl_plugins.watchdog import RunFailed

pytestmark = pytest.mark.slow

SAME = ("critic/score/mean", "actor/entropy", "actor/pg_loss", "actor/grad_norm", "response_length/mean")
WEIGHTS_ONLY = [
    "actor_rollout_ref.actor.checkpoint.save_contents=[model]",
    "+actor_rollout_ref.actor.checkpoint.load_contents=[]",
]


def test_alpha_zero_is_grpo_with_as_many_responses(train, tmp_path):
    keep = ["trainer.save_freq=2", *WEIGHTS_ONLY]
    grpo = train("grpo", "grpo", 2, *keep)
    # the check before the start refuses alpha=0; everything else runs: two samplings, gradients, joined groups
    unchecked = ["algorithm.saei.alpha=0", "~hydra.callbacks.verl_plugins_preflight"]
    saei = train("saei", "saei", 2, *keep, *unchecked)
    for step in (1, 2):
        assert saei[step]["saei/adversarial_responses"] == 0.5
        assert saei[step]["saei/pixel_change"] == 0
        assert saei[step]["saei/selective_entropy_clean"] == saei[step]["saei/selective_entropy_adversarial"] > 0
        for name in (*SAME, "critic/advantages/max", "critic/rewards/max"):
            assert saei[step][name] == grpo[step][name], (step, name)
    ours, theirs = (weights(tmp_path / name / "checkpoints" / "global_step_2" / "actor") for name in ("saei", "grpo"))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def images(folder, step):
    lines = (folder / "adversarial" / f"{step}.jsonl").read_text().splitlines()
    return [(record["prompt"], record["picture"], record["adversarial_picture"]) for record in map(json.loads, lines)]


def test_composed_resumed_and_on_two_nodes_of_which_one_is_lost(train, tmp_path):
    save = ["trainer.save_freq=2", "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra]"]
    settings = ["algorithm.saei.update=adversarial", "actor_rollout_ref.rollout.calculate_log_probs=true"]
    settings += ["algorithm.ecvgpo.delta=9", "algorithm.ecvgpo.r0=-50"]
    every = "[ecvgpo,vepo,saei]"
    whole = train("whole", every, 3, *save, *settings)
    for metrics in whole.values():
        assert metrics["saei/adversarial_responses"] == 0.5
        assert metrics["saei/raised_prompts"] >= 0.95
        assert metrics["saei/selective_entropy_adversarial"] > metrics["saei/selective_entropy_clean"]
        assert 1 < metrics["saei/pixel_change"] <= 2
        # The actor's log-probabilities given the attacked pixel_values are those that the rollout engine sampled from:
        # its own processing of the picture led to the very same pixels.
        assert metrics["saei/log_prob_mismatch_adversarial"] < 1e-5
        assert metrics["vepo/jsd"] > 0 and metrics["ecvgpo/reshaped_tokens"] > 0

    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(tmp_path / "whole" / "checkpoints" / "global_step_2", checkpoints / "global_step_2")
    (checkpoints / "latest_checkpointed_iteration.txt").write_text("2")
    resumed = train("resumed", every, 3, *save, *settings, f"trainer.default_local_dir={checkpoints}")
    assert list(resumed) == [3]
    assert images(tmp_path / "resumed", 3) == images(tmp_path / "whole", 3)
    for name in [*SAME, *(name for name in whole[3] if name.startswith(("saei/", "vepo/", "ecvgpo/")))]:
        if "self_information_" in name or "mismatch" in name:  # of the rollout engine, whose batches differ
            assert resumed[3][name] == pytest.approx(whole[3][name], rel=1e-6, abs=1e-6), name
        else:
            assert resumed[3][name] == whole[3][name], name

    # Two FSDP ranks on two Ray nodes attack alike. Conditioned on the clean image, the adversarial responses are
    # off-policy, and the log says by how much.
    saved = tmp_path / "two_nodes" / "checkpoints"
    clean = [*settings, "algorithm.saei.update=clean", f"trainer.default_local_dir={saved}"]
    clean += ["trainer.save_freq=1", "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra]"]
    two = lose_a_node(train, tmp_path / "two_nodes", every, saved, clean)
    assert two["saei/log_prob_mismatch_adversarial"] > 100 * two["saei/log_prob_mismatch_clean"]
    for name in ("saei/selective_entropy_clean", "saei/selective_entropy_adversarial", "saei/pixel_change"):
        assert two[name] == pytest.approx(whole[1][name], rel=1e-2), name
    assert two["saei/raised_prompts"] >= 0.95


def lose_a_node(train, run_dir, method, checkpoints, overrides):
    """Train on two nodes, of which one is lost after the second step: one message in bounded time, and the same command
    goes on. Returns the metrics of the first step."""
    metrics, lost = run_dir / "metrics.jsonl", []
    latest = checkpoints / "latest_checkpointed_iteration.txt"
    with two_nodes() as (on_both, lose_one):

        def lose_one_after_the_second_step():
            if not lost and metrics.exists() and len(metrics.read_text().splitlines()) >= 2:
                lose_one()
                lost.append(time.monotonic())

        with pytest.raises(RunFailed) as failed:
            train(run_dir.name, method, 100, *overrides, *on_both, on_poll=lose_one_after_the_second_step)
    assert time.monotonic() - lost[0] < 120
    assert "ended with exit code 1" in str(failed.value)
    log = (run_dir / "train.log").read_text()  # Ray's own last words of the lost node come after ours
    last_words = log.split("verl-plugins: ")[-1]
    assert last_words.startswith("a process of the run was lost")
    assert f"the same command goes on from {checkpoints / f'global_step_{latest.read_text()}'}" in last_words

    with two_nodes() as (on_both, _):
        step = int(latest.read_text()) + 1
        assert list(train(f"{run_dir.name}_resumed", method, step, *overrides, *on_both)) == [step]
    return json.loads(metrics.read_text().splitlines()[0])["data"]
