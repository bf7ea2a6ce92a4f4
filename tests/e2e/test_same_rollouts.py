"""One training step on recorded rollouts (verl's own ``skip.rollout_tq``), so that runs differ only in the method."""

import pytest
import torch
from two_nodes import two_nodes

pytestmark = pytest.mark.slow

BOTH = "[ecvgpo,vepo]"
OPEN = ["algorithm.ecvgpo.delta=9", "algorithm.ecvgpo.r0=-50"]
NEUTRAL = ["algorithm.ecvgpo.delta=0", "algorithm.vepo.fraction=1.0"]


@pytest.fixture
def step(train, tmp_path):
    """Trains one step; the first call records its rollouts, later calls replay them. Returns (metrics, weights)."""
    replay = [
        "skip.rollout_tq.enable=true",
        "skip.rollout_tq.steps=[1]",
        f"skip.rollout_tq.dump_dir={tmp_path}/rollouts",
    ]
    kept = ["trainer.save_freq=1", "actor_rollout_ref.actor.checkpoint.save_contents=[model]"]

    def run(name, method, *overrides):
        metrics = train(
            name, method, 1, *replay, *kept, "+actor_rollout_ref.actor.checkpoint.load_contents=[]", *overrides
        )
        return metrics[1], tmp_path / name / "checkpoints" / "global_step_1" / "actor"

    return run


def weights(actor):
    shard = torch.load(actor / "model_world_size_1_rank_0.pt", weights_only=False)
    return {name: value.full_tensor() if hasattr(value, "full_tensor") else value for name, value in shard.items()}


def test_neutral_knobs_are_grpo_and_two_nodes_are_one(step):
    reshaped, reshaped_actor = step("both", BOTH, *OPEN)
    grpo, grpo_actor = step("grpo", "grpo")
    neutral, neutral_actor = step("neutral", BOTH, *NEUTRAL)

    # The same rollouts in all three (in another order where they were recorded), and a gate that did something.
    assert grpo["critic/score/mean"] == neutral["critic/score/mean"]
    assert grpo["critic/score/mean"] == pytest.approx(reshaped["critic/score/mean"], rel=1e-6)
    assert reshaped["ecvgpo/reshaped_tokens"] > 0
    assert reshaped["ecvgpo/advantage_after"] > reshaped["ecvgpo/advantage_before"]

    # VEPO saw another image, and kept a fifth of the tokens, of which some are not the most undecided ones.
    assert 0.2 <= reshaped["vepo/selected_tokens"] < 0.3
    assert reshaped["vepo/jsd_kept"] > reshaped["vepo/jsd_dropped"] > 0
    assert reshaped["vepo/kept_missed_by_entropy"] > 0
    assert "vepo/jsd" not in neutral

    # neutral knobs: the advantages, the gradient and every weight after the update are GRPO's, bit for bit.
    for name in ("critic/advantages/mean", "critic/advantages/max", "actor/pg_loss", "actor/grad_norm"):
        assert neutral[name] == grpo[name], name
    grpo_weights, neutral_weights, reshaped_weights = map(weights, (grpo_actor, neutral_actor, reshaped_actor))
    assert all(torch.equal(neutral_weights[name], value) for name, value in grpo_weights.items())
    assert any(not torch.equal(reshaped_weights[name], value) for name, value in grpo_weights.items())

    # Two FSDP ranks on two Ray nodes: statistics are taken over the global batch, so the method's numbers are the same.
    with two_nodes() as (on_both, _):
        two, _ = step("two_nodes", BOTH, *OPEN, *on_both)
    for name in (name for name in reshaped if name.startswith(("ecvgpo/", "vepo/"))):
        assert two[name] == pytest.approx(reshaped[name], rel=1e-4, abs=1e-6), name
    assert two["actor/grad_norm"] == pytest.approx(reshaped["actor/grad_norm"], rel=1e-3)
