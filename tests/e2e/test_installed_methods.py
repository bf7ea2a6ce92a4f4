"""Three methods of somebody else's package, installed beside this one, train together on the real stack."""

import os

import pytest
from own_methods_installed import install_own_methods

pytestmark = pytest.mark.slow


def test_methods_of_another_package_train(train, tmp_path, monkeypatch):
    site = install_own_methods(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    settings = ["algorithm.noisy_rollout.noise=100", "actor_rollout_ref.rollout.calculate_log_probs=true"]
    (metrics,) = train("own", "[entropy_shaping,image_reliance,noisy_rollout]", 1, *settings).values()
    assert metrics["entropy_shaping/added"] > 0
    assert metrics["image_reliance/kl_kept"] > metrics["image_reliance/kl"] > 0
    assert {"noisy_rollout/reward_clean", "noisy_rollout/reward_noisy"} < set(metrics)
    # Half of the responses were sampled on an image that the actor does not see; without noise this is below 1e-6.
    assert metrics["training/rollout_probs_diff_mean"] > 1e-4
