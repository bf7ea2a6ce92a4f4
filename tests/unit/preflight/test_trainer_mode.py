"""Trainer modes, group filtering and bypass mode: what verl would assert once Ray is up is told before."""

import pytest
from checked_run import problems

from verl_plugins.preflight.trainer_mode import MODES
from verl_plugins.training.modes import TRAINERS


def test_the_modes_that_are_accepted_are_those_that_have_a_trainer():
    assert set(MODES) == TRAINERS.keys()


def test_groups_are_filtered_by_the_clean_half_of_which_there_must_be_two(data):
    one = ["+method=saei", *data[:2], "algorithm.saei.n1=1", "algorithm.saei.n2=11"]
    assert problems(one) == []
    filtered = "algorithm.filter_groups.enable=true"
    (problem,) = problems([*one, filtered])
    assert "algorithm.saei.n1: got 1, expected at least 2 with algorithm.filter_groups.enable" in problem
    assert problems(["+method=saei", *data[:2], filtered]) == []


SEPARATE = [
    "trainer.v1.trainer_mode=separate_async",
    "trainer.v1.separate_async.parameter_sync_step=4",
    "data.train_batch_size=32",
    "actor_rollout_ref.actor.ppo_mini_batch_size=8",
    "actor_rollout_ref.rollout.nnodes=1",
    "actor_rollout_ref.rollout.n_gpus_per_node=1",
    "actor_rollout_ref.rollout.tensor_model_parallel_size=1",
    "actor_rollout_ref.rollout.checkpoint_engine.backend=nccl",
]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.train_batch_size=64", "data.train_batch_size: got 64, expected 32 (parameter_sync_step 4 x ppo_"),
        ("actor_rollout_ref.rollout.nnodes=0", "rollout.nnodes: got 0, expected > 0 (the rollout has devices"),
        ("actor_rollout_ref.rollout.n_gpus_per_node=0", "rollout.n_gpus_per_node: got 0, expected > 0"),
        ("actor_rollout_ref.hybrid_engine=false", "hybrid_engine: got False, expected true (with false, a line"),
        ("actor_rollout_ref.rollout.checkpoint_engine.backend=naive", "backend: got naive, expected nccl, or another"),
    ],
)  # fmt: skip
def test_what_separate_async_asserts_once_ray_is_up_is_told_before(data, override, message):
    assert problems(["+method=[ecvgpo,vepo]", *data, *SEPARATE]) == []
    (problem,) = problems(["+method=[ecvgpo,vepo]", *data, *SEPARATE, override])
    assert message in problem and problem.endswith(f"set {override.partition('=')[0]}")


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.v1.trainer_mode=colocate_async"],
        ["algorithm.filter_groups.enable=true"],
        ["algorithm.rollout_correction.bypass_mode=true"],
        ["actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean"],
        ["trainer.v1.trainer_mode=verl_plugins_sync"],  # its earlier name
    ],
)
@pytest.mark.parametrize("method", ["grpo", "[ecvgpo,vepo]"])
def test_what_production_runs_set_is_accepted(data, method, overrides):
    assert problems([f"+method={method}", *data, *overrides]) == []


def test_groups_are_not_filtered_by_a_reward_that_comes_later(data):
    filtered = ["algorithm.filter_groups.enable=true", "algorithm.filter_groups.metric=null"]
    model = ["reward.reward_model.enable=true", "reward.reward_model.enable_resource_pool=false"]
    metric, pool = problems(["+method=grpo", *data, *filtered, *model])
    assert "algorithm.filter_groups.metric: got None, expected reward, or the name of a number" in metric
    assert "reward.reward_model.enable_resource_pool: got False, expected true" in pool
