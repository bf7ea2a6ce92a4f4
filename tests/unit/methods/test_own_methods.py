"""The worked examples of docs/extending.md: three methods in a package of their own, found by their entry points."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from own_methods import entropy_shaping, image_reliance, noisy_rollout
from own_methods_installed import SOURCE, install_own_methods
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

from verl_plugins.cli import main
from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.config import OWN_TRAINERS
from verl_plugins.methods import METHODS, load_installed_methods
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.method import Driver, Method
from verl_plugins.training.drivers import shared_request
from verl_plugins.training.estimator import advantage_estimator

PAGE = (Path(__file__).parents[3] / "docs" / "extending.md").read_text()
UIDS = np.array(["a", "a", "b", "b"], dtype=object)
FILES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.suffix in (".py", ".yaml", ".toml"))


def batch(advantages, mask=None, entropy=None, **columns):
    advantages = torch.tensor(advantages)
    mask = torch.ones_like(advantages) if mask is None else torch.tensor(mask)
    return AdvantageBatch(
        advantages=advantages,
        response_mask=mask,
        old_log_probs=torch.zeros_like(advantages),
        rewards=advantages[:, 0],
        groups=torch.zeros(len(advantages), dtype=torch.int64),
        entropy=None if entropy is None else torch.tensor(entropy),
        columns={name: torch.tensor(values) for name, values in columns.items()},
    )


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "__init__.py"], ids=str)
def test_the_page_shows_the_files_that_are_tested_here(path):
    assert (SOURCE / path).read_text() in re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_lists_every_file_of_the_package():
    (listed,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert sorted(listed.split()) == sorted(map(str, FILES))


# -- the methods -------------------------------------------------------------------------------------------------------


def test_entropy_shaping_by_hand():
    # 0.4 * 0.5 = 0.2 <= 0.5; 0.4 * 2 = 0.8 is cut to 0.5; -0.2 gets 0.1; no advantage, no credit
    shaped = batch([[1.0, 1.0, -0.2, 0.0]], entropy=[[0.5, 2.0, 2.0, 2.0]])
    advantages, metrics = entropy_shaping.apply(shaped, entropy_shaping.EntropyShapingConfig())
    torch.testing.assert_close(advantages, torch.tensor([[1.2, 1.5, -0.1, 0.0]]))
    assert metrics["entropy_shaping/added"] == pytest.approx((0.2 + 0.5 + 0.1 + 0.0) / 4)
    assert metrics["entropy_shaping/capped_tokens"] == pytest.approx(0.75)


def test_entropy_shaping_with_alpha_zero_is_grpo_bit_for_bit_and_padding_stays():
    config = entropy_shaping.EntropyShapingConfig(alpha=0.0)
    padded = batch([[0.1, -0.7, 0.0]], mask=[[1.0, 1.0, 0.0]], entropy=[[1.0, 2.0, float("nan")]])
    assert torch.equal(entropy_shaping.apply(padded, config)[0], torch.tensor([[0.1, -0.7, 0.0]]))
    assert entropy_shaping.apply(batch([[0.0]], mask=[[0.0]], entropy=[[1.0]]), config)[1] == {}


def test_image_reliance_by_hand():
    # of three valid tokens ceil(0.4 * 3) = 2 are kept, those with kl 0.9 and 0.5; the fourth is padding
    kl = batch([[1.0, 1.0, 1.0, 0.0]], mask=[[1.0, 1.0, 1.0, 0.0]], kl=[[0.5, 0.1, 0.9, 7.0]])
    advantages, metrics = image_reliance.apply(kl, image_reliance.ImageRelianceConfig())
    assert advantages.tolist() == [[1.0, 0.0, 1.0, 0.0]]
    assert metrics == pytest.approx({"image_reliance/kl": 0.5, "image_reliance/kl_kept": 0.7})
    whole, _ = image_reliance.apply(kl, image_reliance.ImageRelianceConfig(fraction=1.0))
    assert torch.equal(whole, kl.advantages)


def test_noisy_rollout_tells_clean_and_noisy_responses_apart():
    driver = noisy_rollout.METHOD.build_driver({}, noisy_rollout.NoisyRolloutConfig())
    marks = driver.row_columns(["a_0_0", "a_1_0", "b_0_0", "b_1_0"])["noisy"]
    assert marks.tolist() == [False, True, False, True]
    rows = batch([[1.0], [-1.0], [0.5], [0.0]], mask=[[1.0], [1.0], [1.0], [0.0]], noisy=marks.tolist())
    advantages, metrics = driver.apply(rows)
    assert torch.equal(advantages, rows.advantages)
    assert metrics == {"noisy_rollout/reward_clean": 0.75, "noisy_rollout/reward_noisy": -1.0}


def test_it_is_an_estimator_for_other_trainers(monkeypatch):
    monkeypatch.setitem(METHODS, "entropy_shaping", entropy_shaping.METHOD)
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


# -- the contract ------------------------------------------------------------------------------------------------------


class Requests(Driver):
    """A driver that makes one request in every step."""

    def log_prob_request(self, step, total_steps, metrics):
        return self.config


def test_two_methods_share_one_second_forward_and_different_ones_are_refused():
    first, same, other = (Requests({}, Counterfactual("gaussian", s, 1, 1), None) for s in (2.0, 2.0, 3.0))
    assert shared_request({"vepo": first, "mine": same, "ecvgpo": Driver({}, None, None)}, 1, 9, {}) == first.config
    assert shared_request({}, 1, 9, {}) is None
    with pytest.raises(ValueError, match="vepo Counterfactual.* mine Counterfactual.*one that all of them share"):
        shared_request({"vepo": first, "mine": other}, 1, 9, {})


class EntryPoint:
    def __init__(self, name, target):
        self.name, self.value, self.target = name, f"somewhere:{name}", target

    def load(self):
        if isinstance(self.target, Exception):
            raise self.target
        return self.target


@pytest.mark.parametrize(
    "point, problem",
    [
        (EntryPoint("vepo", Method(config=dict, apply=dict)), "expected a name that no other method has"),
        (EntryPoint("mine", dict), "a type, expected a verl_plugins.methods.method.Method"),
        (EntryPoint("mine", ImportError("no module x")), r"cannot be imported \(ImportError: no module x\)"),
    ],
    ids=["taken", "no method", "broken"],
)
def test_an_entry_point_that_cannot_be_used_is_one_clear_error(monkeypatch, point, problem):
    monkeypatch.setattr("verl_plugins.methods.installed_methods", lambda: [point])
    with pytest.raises(ValueError, match=f"entry point {point.name} of verl_plugins.methods: .*{problem}"):
        load_installed_methods()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a method, whose files a test may take away; it is imported afresh in each test."""
    shutil.copytree(SOURCE / "own_methods", tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("entropy_shaping", entropy_shaping.METHOD)
    point.module = "mine.entropy_shaping"
    monkeypatch.setattr("verl_plugins.methods.installed_methods", lambda: [point])
    monkeypatch.setattr("verl_plugins.methods.METHODS", {})
    yield tmp_path / "mine"
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def test_a_package_with_its_yaml_is_loaded_and_listed(package, capsys):
    load_installed_methods()
    assert main(["methods", "entropy_shaping"]) == 0 and "added advantage per nat" in capsys.readouterr().out


def test_a_method_without_its_yaml_is_one_clear_error(package):
    (package / "config" / "method" / "entropy_shaping.yaml").unlink()
    with pytest.raises(
        ValueError, match="entry point entropy_shaping of .*: got no entropy_shaping.yaml in its package's"
    ):
        load_installed_methods()


def test_a_package_without_yamls_is_one_clear_error(package, capsys):
    shutil.rmtree(package / "config")
    with pytest.raises(
        ValueError, match="package mine, .*: got no folder config/method .* beside mine/config/__init__.py"
    ):
        load_installed_methods()
    assert main(["methods"]) == 1 and capsys.readouterr().err.startswith("methods: package mine, which adds methods")


INSTALLED = """
import verl  # loads the plugin
from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
from verl.trainer.ppo.v1 import get_trainer_cls
from verl_plugins.compose import compose_run
from verl_plugins.demo.tasks import task_of
from verl_plugins.plan.workload import workload_of
from verl_plugins.preflight import check_run

own = ["entropy_shaping", "image_reliance", "noisy_rollout"]
run = ["actor_rollout_ref.rollout.n=8", "actor_rollout_ref.actor.strategy=fsdp2", "+platform=cpu"]
run += ["actor_rollout_ref.rollout.max_model_len=1024"]

config = compose_run([f"+method=[{','.join(own)}]", *run, "algorithm.image_reliance.fraction=0.5"])
assert config.algorithm.image_reliance.fraction == 0.5
assert [problem for problem in check_run(config) if not problem.startswith("data.")] == []
assert workload_of(compose_run(["+method=image_reliance", *run])).has_second_forward
assert not workload_of(compose_run(["+method=noisy_rollout", *run])).has_second_forward
assert set(own) < set(ADV_ESTIMATOR_REGISTRY) and "noisy_single_turn_agent" in _agent_loop_registry

problems = check_run(compose_run(["+method=entropy_shaping", *run, "algorithm.entropy_shaping.kappa=1"]))
assert "algorithm.entropy_shaping.kappa: got 1, expected a number > 1; set algorithm.entropy_shaping.kappa" in problems
loop = "actor_rollout_ref.rollout.agent.default_agent_loop"
problems = check_run(compose_run(["+method=noisy_rollout", *run, f"{loop}=tool_agent"]))
assert any(problem.startswith(f"{loop}: got tool_agent") for problem in problems)

trainer = get_trainer_cls("sync")
assert trainer.__module__ == "verl_plugins.training.modes"
trainer._build_replay_buffer = lambda self: None
both = trainer(compose_run(["+method=[ecvgpo,entropy_shaping]", *run]))
assert list(both.drivers) == ["ecvgpo", "entropy_shaping"] and both.config.algorithm.adv_estimator == "grpo"
"""


@pytest.mark.slow
def test_the_installed_package_is_found_by_every_part(tmp_path):
    site = install_own_methods(tmp_path)
    env = {**os.environ, OWN_TRAINERS: "1", "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", INSTALLED], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
