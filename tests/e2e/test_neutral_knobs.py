"""Every method at once with knobs that ask nothing of it: GRPO with as many responses, bit for bit, in bf16.

SaEI's attack is the first forward of the actor there, so that FSDP2 must not take its gradients' dtypes from it.
"""

import pytest
import torch
from precision import BF16, FEW_PROMPTS

pytestmark = pytest.mark.slow

NEUTRAL = [
    "algorithm.ecvgpo.delta=0",
    "algorithm.vepo.fraction=1.0",
    "algorithm.vppo.fraction=1.0",
    "algorithm.vppo.weight_min=1.0",
    # the check before the start refuses alpha=0; everything else runs: two samplings, gradients, joined groups
    "algorithm.saei.alpha=0",
    "~hydra.callbacks.verl_plugins_preflight",
]
WEIGHTS = [
    "trainer.save_freq=2",
    "actor_rollout_ref.actor.checkpoint.save_contents=[model]",
    "+actor_rollout_ref.actor.checkpoint.load_contents=[]",
]
SAME = (
    "critic/score/mean",
    "critic/rewards/max",
    "critic/advantages/mean",
    "critic/advantages/max",
    "response_length/mean",
    "actor/entropy",
    "actor/pg_loss",
    "actor/grad_norm",
)


def test_neutral_knobs_are_grpo(train, tmp_path):
    grpo = train("grpo", "grpo", 2, *BF16, *FEW_PROMPTS, *WEIGHTS)
    neutral = train("neutral", "[ecvgpo,vepo,vppo,saei]", 2, *BF16, *FEW_PROMPTS, *WEIGHTS, *NEUTRAL)
    for step in (1, 2):
        for name in SAME:
            assert neutral[step][name] == grpo[step][name], (step, name)
        assert neutral[step]["actor/grad_norm"] > 0
        assert neutral[step]["ecvgpo/gated_groups"] == 0
        assert "vepo/jsd" not in neutral[step]
        assert neutral[step]["saei/adversarial_responses"] == 0.5
        assert neutral[step]["saei/pixel_change"] == 0
        assert neutral[step]["saei/selective_entropy_clean"] == neutral[step]["saei/selective_entropy_adversarial"] > 0
    ours, theirs = (weights(tmp_path / name) for name in ("neutral", "grpo"))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def weights(run_dir):
    actor = run_dir / "checkpoints" / "global_step_2" / "actor"
    shard = torch.load(actor / "model_world_size_1_rank_0.pt", weights_only=False)
    return {name: value.full_tensor() if hasattr(value, "full_tensor") else value for name, value in shard.items()}
