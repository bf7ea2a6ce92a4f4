"""The worked example of docs/extending.md, done for real: a fourth method by its file, one line and one yaml."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from fourth_method import entropy_shaping
from hydra import compose, initialize_config_module
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage
from verl.trainer.ppo.v1 import get_trainer_cls

from verl_plugins.config import TRAINER_MODE
from verl_plugins.methods import METHODS
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.method import Method
from verl_plugins.preflight import check_run
from verl_plugins.training.estimator import advantage_estimator

HERE = Path(__file__).parent / "fourth_method"
PAGE = (Path(__file__).parents[3] / "docs" / "extending.md").read_text()
LINE = '    "entropy_shaping": Method(config=entropy_shaping.EntropyShapingConfig, apply=entropy_shaping.apply),'
UIDS = np.array(["a", "a", "b", "b"], dtype=object)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The one line, as docs/extending.md gives it."""
    assert LINE in PAGE
    for name, method in eval("{" + LINE + "}", {"entropy_shaping": entropy_shaping, "Method": Method}).items():
        monkeypatch.setitem(METHODS, name, method)


def composed(*overrides):
    """In the package the yaml stands beside the others; here Hydra is told where it is."""
    import verl_plugins.register  # noqa: F401

    search_path = f"hydra.searchpath=[file://{HERE / 'config'}]"
    with initialize_config_module(config_module="verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=[search_path, *overrides])


def shaped(advantages, entropy, mask=None, **knobs):
    advantages = torch.tensor([advantages])
    mask = torch.ones_like(advantages) if mask is None else torch.tensor([mask])
    batch = AdvantageBatch(
        advantages=advantages,
        response_mask=mask,
        old_log_probs=torch.zeros_like(advantages),
        rewards=torch.zeros(1),
        groups=torch.zeros(1, dtype=torch.int64),
        entropy=torch.tensor([entropy]),
    )
    return entropy_shaping.apply(batch, entropy_shaping.EntropyShapingConfig(**knobs))


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["entropy_shaping.py", "config/method/entropy_shaping.yaml"])
def test_the_page_shows_the_files_that_are_tested_here(name):
    blocks = re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert (HERE / name).read_text() in blocks


# -- the method --------------------------------------------------------------------------------------------------------


def test_the_formula_by_hand():
    # 0.4 * 0.5 = 0.2 <= 0.5; 0.4 * 2 = 0.8 is cut to 0.5; -0.2 gets 0.1; no advantage, no credit
    advantages, metrics = shaped([1.0, 1.0, -0.2, 0.0], [0.5, 2.0, 2.0, 2.0])
    torch.testing.assert_close(advantages, torch.tensor([[1.2, 1.5, -0.1, 0.0]]))
    assert metrics["entropy_shaping/added"] == pytest.approx((0.2 + 0.5 + 0.1 + 0.0) / 4)
    assert metrics["entropy_shaping/capped_tokens"] == pytest.approx(0.75)


def test_alpha_zero_is_grpo_bit_for_bit_and_padding_stays():
    advantages, _ = shaped([0.1, -0.7, 0.0], [1.0, 2.0, float("nan")], mask=[1.0, 1.0, 0.0], alpha=0.0)
    assert torch.equal(advantages, torch.tensor([[0.1, -0.7, 0.0]]))
    advantages, metrics = shaped([0.0], [1.0], mask=[0.0])
    assert (advantages.tolist(), metrics) == ([[0.0]], {})


# -- what the one line and the yaml give it ----------------------------------------------------------------------------


def test_hydra_composes_it_and_the_preflight_knows_its_knobs():
    run = ["+method=entropy_shaping", "algorithm.entropy_shaping.alpha=0.1", "actor_rollout_ref.rollout.n=8"]
    config = composed(*run)
    assert config.trainer.v1.trainer_mode == "verl_plugins_sync"
    assert [problem for problem in check_run(config) if not problem.startswith("data.")] == []
    bad = check_run(composed(*run, "algorithm.entropy_shaping.kappa=1"))
    assert "algorithm.entropy_shaping.kappa: got 1, expected a number > 1; set algorithm.entropy_shaping.kappa" in bad


def test_the_trainer_runs_it_alone_and_after_the_others(monkeypatch):
    trainer = get_trainer_cls(TRAINER_MODE)
    monkeypatch.setattr(trainer, "_build_replay_buffer", lambda self: None)
    alone = trainer(composed("+method=entropy_shaping"))
    assert list(alone.drivers) == ["entropy_shaping"]
    assert alone.config.algorithm.adv_estimator == "grpo"
    both = trainer(composed("+method=[ecvgpo,entropy_shaping]"))
    assert list(both.drivers) == ["ecvgpo", "entropy_shaping"]


def test_it_is_an_estimator_for_other_trainers():
    rewards = torch.tensor([[0.0, 1.0], [0.0, 0.2], [0.0, 0.5], [0.0, 0.5]])
    mask = torch.ones(4, 2)
    entropy = torch.full((4, 2), 0.5)
    grpo, returns = compute_grpo_outcome_advantage(rewards, mask, UIDS)
    given = {"response_mask": mask, "index": UIDS, "old_log_probs": -entropy, "entropy": entropy}
    advantages, same_returns = advantage_estimator("entropy_shaping")(rewards, **given)
    torch.testing.assert_close(advantages, grpo + torch.minimum(torch.tensor(0.2), grpo.abs() / 2))
    assert torch.equal(returns, same_returns)
    with pytest.raises(ValueError, match="algorithm.entropy_shaping: got no entropy"):
        advantage_estimator("entropy_shaping")(rewards, **given | {"entropy": None})
