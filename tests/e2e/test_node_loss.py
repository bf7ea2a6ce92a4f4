"""A node that is lost during training: one message in bounded time, and the same command goes on."""

import time

import pytest
from two_nodes import two_nodes

from verl_plugins.watchdog import RunFailed

pytestmark = pytest.mark.slow

SAVE = ["trainer.save_freq=1", "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra]"]


def test_a_lost_node_ends_the_run_with_one_message_and_the_same_command_goes_on(train, tmp_path):
    checkpoints, metrics, lost = tmp_path / "checkpoints", tmp_path / "lost" / "metrics.jsonl", []
    latest = checkpoints / "latest_checkpointed_iteration.txt"
    save = [*SAVE, f"trainer.default_local_dir={checkpoints}"]

    with two_nodes() as (on_both, lose_one):

        def lose_one_after_the_second_step():
            if not lost and metrics.exists() and len(metrics.read_text().splitlines()) >= 2:
                lose_one()
                lost.append(time.monotonic())

        with pytest.raises(RunFailed) as failed:
            train("lost", "ecvgpo", 100, *save, *on_both, on_poll=lose_one_after_the_second_step)
    assert time.monotonic() - lost[0] < 120
    assert "ended with exit code 1" in str(failed.value)
    log = (tmp_path / "lost" / "train.log").read_text()  # Ray's own last words of the lost node come after ours
    last_words = log.split("verl-plugins: ")[-1]
    assert last_words.startswith("a process of the run was lost")
    assert f"the same command goes on from {checkpoints / f'global_step_{latest.read_text()}'}" in last_words

    with two_nodes() as (on_both, _):
        step = int(latest.read_text()) + 1
        resumed = train("resumed", "ecvgpo", step, *save, *on_both)
    assert list(resumed) == [step]
