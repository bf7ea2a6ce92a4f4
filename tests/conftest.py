"""Fixtures for runs of the whole stack. They need about 11 GiB each, so a lock lets one run at a time."""

import fcntl
import json
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "demo"  # data of the demo


def pytest_addoption(parser):
    parser.addoption("--renew-golden", action="store_true", help="write tests/golden anew, from this machine's runs")


@pytest.fixture(scope="session")
def one_run_at_a_time():
    with open(Path(tempfile.gettempdir()) / "verl_plugins_e2e.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def demo_assets(one_run_at_a_time):
    """(model directory, data directory) of the demo's grounding task; the data are made once."""
    from verl_plugins.demo.assets import ensure_demo_assets
    from verl_plugins.demo.tasks import TASKS

    return ensure_demo_assets(CACHE, TASKS["grounding"])


@pytest.fixture
def train(demo_assets, tmp_path):
    """Runs a few steps through ``verl.trainer.main_ppo`` under the watchdog; returns the metrics by step."""
    from verl_plugins.demo.tasks import TASKS
    from verl_plugins.demo.training_command import training_command
    from verl_plugins.demo.watchdog import run_watched

    def run(name, method, steps, *overrides, on_poll=lambda: None):
        run_dir = tmp_path / name
        run_dir.mkdir()
        metrics = run_dir / "metrics.jsonl"
        defaults = ["trainer.val_before_train=false", "trainer.test_freq=-1", "trainer.experiment_name=test"]
        defaults += ["actor_rollout_ref.actor.freeze_vision_tower=false", "actor_rollout_ref.actor.optim.lr=3e-4"]
        # by Ray's runtime environment and not by this process's, which a cluster that is there has not inherited
        defaults += [f"+ray_kwargs.ray_init.runtime_env.env_vars.VERL_FILE_LOGGER_PATH={metrics}"]
        command = training_command(*demo_assets, run_dir, TASKS["grounding"], method, steps, [*defaults, *overrides])
        run_watched(command, run_dir / "train.log", limit_s=600, silence_s=240, on_poll=on_poll)
        return {row["step"]: row["data"] for row in map(json.loads, metrics.read_text().splitlines())}

    return run
