"""All three methods in one run: what each did, the same on two nodes, of which one is lost, and resumed."""

import json
import shutil
import time

import pytest
from two_nodes import two_nodes

from verl_plugins.demo.watchdog import RunFailed

pytestmark = pytest.mark.slow

EVERY = "[ecvgpo,vepo,saei]"
SAME = ("critic/score/mean", "actor/entropy", "actor/pg_loss", "actor/grad_norm", "response_length/mean")


def test_on_one_node_on_two_of_which_one_is_lost_and_resumed(train, tmp_path):
    save = ["trainer.save_freq=1", "trainer.max_actor_ckpt_to_keep=100"]
    save += ["actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra]"]
    settings = [*save, "algorithm.saei.update=adversarial", "actor_rollout_ref.rollout.calculate_log_probs=true"]
    settings += ["algorithm.ecvgpo.delta=9", "algorithm.ecvgpo.r0=-50"]
    one = train("one_node", EVERY, 2, *settings)
    for metrics in one.values():
        assert metrics["saei/adversarial_responses"] == 0.5
        assert metrics["saei/raised_prompts"] >= 0.95
        assert metrics["saei/selective_entropy_adversarial"] > metrics["saei/selective_entropy_clean"]
        assert 1 < metrics["saei/pixel_change"] <= 2
        # The actor's log-probabilities given the attacked pixel_values are those that the rollout engine sampled from:
        # its own processing of the picture led to the very same pixels.
        assert metrics["saei/log_prob_mismatch_adversarial"] < 1e-5
        # ECVGPO's gate is open, and r0 < 0 adds.
        assert metrics["ecvgpo/reshaped_tokens"] > 0
        assert metrics["ecvgpo/advantage_after"] > metrics["ecvgpo/advantage_before"]
        # VEPO saw another image, and kept a fifth of the tokens, of which some are not the most undecided ones.
        assert 0.2 <= metrics["vepo/selected_tokens"] < 0.3
        assert metrics["vepo/jsd_kept"] > metrics["vepo/jsd_dropped"] > 0
        assert metrics["vepo/kept_missed_by_entropy"] > 0
        # What verl trains on is what the methods wrote: GRPO gives none of eight responses more than 7 / sqrt(8).
        assert metrics["critic/advantages/max"] > 7 / 8**0.5

    # Two FSDP ranks on two Ray nodes: statistics are taken over the global batch, so the methods' numbers are the same.
    two = lose_a_node(train, tmp_path / "two_nodes", settings)
    for name in of_the_methods(one[1]):
        assert two[1][name] == pytest.approx(one[1][name], rel=1e-4, abs=1e-6), name

    # From the checkpoint before the last step that was logged, that step comes out the same.
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(tmp_path / "two_nodes" / "checkpoints" / "global_step_2", checkpoints / "global_step_2")
    (checkpoints / "latest_checkpointed_iteration.txt").write_text("2")
    with two_nodes() as (on_both, _):
        resumed = train("resumed", EVERY, 3, *settings, f"trainer.default_local_dir={checkpoints}", *on_both)
    assert list(resumed) == [3]
    for name in of_the_methods(two[3]):
        if "self_information_" in name or "mismatch" in name:  # of the rollout engine, whose batches differ
            assert resumed[3][name] == pytest.approx(two[3][name], rel=1e-6, abs=1e-6), name
        else:
            assert resumed[3][name] == two[3][name], name


def of_the_methods(metrics):
    return [*SAME, *(name for name in metrics if name.startswith(("saei/", "vepo/", "ecvgpo/")))]


def lose_a_node(train, run_dir, overrides):
    """Train on two nodes, of which one is lost after the third step: one message in bounded time, which names the
    checkpoint that the same command goes on from. Returns the metrics of the three steps."""
    metrics, lost = run_dir / "metrics.jsonl", []
    with two_nodes() as (on_both, lose_one):

        def lose_one_after_the_third_step():
            if not lost and metrics.exists() and len(metrics.read_text().splitlines()) >= 3:
                lose_one()
                lost.append(time.monotonic())

        with pytest.raises(RunFailed) as failed:
            train(run_dir.name, EVERY, 100, *overrides, *on_both, on_poll=lose_one_after_the_third_step)
    assert time.monotonic() - lost[0] < 120
    assert "ended with exit code 1" in str(failed.value)
    log = (run_dir / "train.log").read_text()  # Ray's own last words of the lost node come after ours
    last_words = log.split("verl-plugins: ")[-1]
    assert last_words.startswith("a process of the run was lost")
    latest = (run_dir / "checkpoints" / "latest_checkpointed_iteration.txt").read_text()
    assert f"the same command goes on from {run_dir / 'checkpoints' / f'global_step_{latest}'}" in last_words
    return {row["step"]: row["data"] for row in map(json.loads, metrics.read_text().splitlines()[:3])}
