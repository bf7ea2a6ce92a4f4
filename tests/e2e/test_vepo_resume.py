"""A run with VEPO that goes on from a checkpoint: the same samples, the same perturbed images, the same numbers."""

import shutil

import pytest

pytestmark = pytest.mark.slow

SAME = ("critic/score/mean", "actor/entropy", "actor/pg_loss", "actor/grad_norm", "response_length/mean")


def test_a_resumed_run_repeats_the_uninterrupted_one(train, tmp_path):
    save = ["trainer.save_freq=2", "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra]"]
    whole = train("whole", "vepo", 3, *save)
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(tmp_path / "whole" / "checkpoints" / "global_step_2", checkpoints / "global_step_2")
    (checkpoints / "latest_checkpointed_iteration.txt").write_text("2")
    resumed = train("resumed", "vepo", 3, *save, f"trainer.default_local_dir={checkpoints}")
    assert list(resumed) == [3] and list(whole) == [1, 2, 3]
    names = [*SAME, *(name for name in whole[3] if name.startswith("vepo/"))]
    assert len(names) > 15
    for name in names:
        # rows may stand in another order, which moves the last bits of a sum
        assert resumed[3][name] == pytest.approx(whole[3][name], rel=1e-3, abs=1e-6), name
