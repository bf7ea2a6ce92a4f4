"""The papers' baselines: what BASELINE sets, and where it is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from verl_plugins.compose import compose_run, problems_of

ROOT = Path(__file__).parents[3]
DATASETS = ("refcoco", "geometry3k_mmk12", "geometry3k", "mm_eureka")
EXPECTED = {
    "kl_cov": {
        "policy_loss.loss_mode": "kl_cov",
        "policy_loss.kl_cov_ratio": 0.002,
        "policy_loss.ppo_kl_coef": 1,
        "entropy_coeff": 0,
    },
    "clip_cov": {
        "policy_loss.loss_mode": "clip_cov",
        "policy_loss.clip_cov_ratio": 0.0002,
        "policy_loss.clip_cov_lb": 1.0,
        "policy_loss.clip_cov_ub": 5.0,
        "clip_ratio_low": 1,
        "clip_ratio_high": 1,
        "entropy_coeff": 0,
    },
    "clip_higher": {"policy_loss.loss_mode": "vanilla", "clip_ratio_low": 0.2, "clip_ratio_high": 0.28},
    "entropy_bonus": {"policy_loss.loss_mode": "vanilla", "entropy_coeff": 1e-3},
    "dapo": {
        "clip_ratio_low": 0.2,
        "clip_ratio_high": 0.28,
        "clip_ratio_c": 10.0,
        "loss_agg_mode": "token-mean",
        "use_kl_loss": False,
        "entropy_coeff": 0,
    },
    "gspo": {
        "policy_loss.loss_mode": "gspo",
        "loss_agg_mode": "seq-mean-token-mean",
        "clip_ratio_low": 3e-4,
        "clip_ratio_high": 4e-4,
    },
}
"""Settings of ``actor_rollout_ref.actor`` that the papers and their scripts have, by baseline."""


@pytest.mark.parametrize(
    ("baseline", "dataset"),
    [
        (baseline, dataset)
        for baseline in EXPECTED
        for dataset in DATASETS
        if (baseline, dataset) != ("entropy_bonus", "geometry3k_mmk12")  # refused, below
    ],
)
def test_every_baseline_runs_on_every_data_set(baseline, dataset, overrides_of):
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_7b_grpo.sh"
    config = compose_run(overrides_of(recipe, DATASET=dataset, BASELINE=baseline))
    assert problems_of(config) == []
    actor = config.actor_rollout_ref.actor
    assert {key: OmegaConf.select(actor, key) for key in EXPECTED[baseline]} == EXPECTED[baseline]
    acts_off_policy = baseline in ("kl_cov", "clip_higher", "dapo", "gspo")
    updates = config.data.train_batch_size / actor.ppo_mini_batch_size
    assert updates == (4 if acts_off_policy or dataset == "geometry3k_mmk12" else 1)
    metric = "reward" if dataset == "refcoco" else "accuracy"
    groups = config.algorithm.filter_groups
    assert (groups.enable, groups.metric) == ((True, metric) if baseline == "dapo" else (False, "reward"))
    # a run on other data or with another loss does not go on from the checkpoints of the plain run
    assert config.trainer.experiment_name == f"run_qwen2_5_vl_7b_grpo_{dataset}_{baseline}"


def test_a_baseline_beside_a_method_is_accepted_where_it_is_meaningful(overrides_of):
    def problems(method, baseline):
        return problems_of(
            compose_run(overrides_of(ROOT / "recipes" / f"run_qwen2_5_vl_7b_{method}.sh", BASELINE=baseline))
        )

    assert problems("saei", "kl_cov") == problems("vepo", "clip_higher") == problems("ecvgpo", "gspo") == []
    for method in ("ecvgpo", "vepo"):
        (problem,) = problems(method, "clip_cov")
        assert f"expected another policy loss with {method}" in problem


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"BASELINE": "ppo"},
            "BASELINE: got ppo, expected one of: kl_cov clip_cov clip_higher entropy_bonus dapo gspo",
        ),
        ({"BASE": "trl"}, "BASE: got trl, expected one of: vlm_r1 verl"),
        (
            {"BASELINE": "entropy_bonus", "DATASET": "geometry3k_mmk12"},
            "every run on this data set has VEPO's bonus of 1e-3 already",
        ),
    ],
)
def test_a_variable_without_a_meaning_is_one_line(variables, message, tmp_path):
    assert_refused("run_qwen2_5_vl_3b_grpo", variables, message, tmp_path)


@pytest.mark.parametrize("method", ["VPPO", "NoisyRollout"])
def test_a_method_with_settings_of_its_own_takes_no_baseline(method, tmp_path):
    message = f"BASELINE: got dapo, expected none with {method}"
    assert_refused(f"run_qwen2_5_vl_7b_{method.lower()}", {"BASELINE": "dapo"}, message, tmp_path)


def assert_refused(name, variables, message, tmp_path):
    recipe = ROOT / "recipes" / f"{name}.sh"
    env = {**os.environ, "OUT": str(tmp_path), **variables}
    process = subprocess.run(["bash", recipe], env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert [line for line in process.stderr.splitlines() if message in line and not line.startswith("+")]
