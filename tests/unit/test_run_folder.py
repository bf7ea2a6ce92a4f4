"""One run folder: what ``run_dir`` sets, which folders are refused, and what is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from verl_plugins.compose import compose_run
from verl_plugins.hydra_plugin import RunFolder
from verl_plugins.preflight.other_runs import check_run_folder, other_settings, shared_tensorboard
from verl_plugins.report.run_files import load_run, merge_attempts
from verl_plugins.run_folder import DERIVED, settle

FILE, TENSORBOARD = "VERL_FILE_LOGGER_PATH", "TENSORBOARD_DIR"


@pytest.fixture(autouse=True)
def no_paths_in_the_environment(monkeypatch):
    monkeypatch.delenv(FILE, raising=False)
    monkeypatch.delenv(TENSORBOARD, raising=False)


def start(folder, *overrides, method="ecvgpo"):
    """Return the settled config of a run, and write what Hydra writes at its start."""
    config = compose_run([f"+method={method}", f"run_dir={folder}", *overrides])
    settle(config)
    path = Path(config.run_dir) / "hydra" / ".hydra" / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OmegaConf.to_yaml(config))
    return config


def log(config, *steps):
    """Write steps as verl's file logger does, which empties its file."""
    path = Path(config.ray_kwargs.ray_init.runtime_env.env_vars[FILE])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"step": step, "data": {"r": step}}) + "\n" for step in steps))


def save(config):
    folder = Path(config.trainer.default_local_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest_checkpointed_iteration.txt").write_text("2")


def next_start(folder, *overrides, method="ecvgpo"):
    return compose_run([f"+method={method}", f"run_dir={folder}", *overrides])


def test_one_key_gives_everything_a_place_and_the_run_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = compose_run(["+method=ecvgpo", "run_dir=outputs/first"])
    settle(config)
    run = tmp_path / "outputs" / "first"
    trainer, variables = config.trainer, config.ray_kwargs.ray_init.runtime_env.env_vars
    assert (config.run_dir, trainer.experiment_name) == (str(run), "first")
    assert trainer.logger == ["console", "tensorboard", "file"]
    assert (trainer.default_local_dir, trainer.validation_data_dir) == (f"{run}/checkpoints", f"{run}/validation")
    assert (trainer.record_dir, trainer.save_freq, trainer.test_freq) == (str(run), 50, 50)
    assert (trainer.max_actor_ckpt_to_keep, trainer.log_val_generations) == (2, 8)
    assert (variables[FILE], variables[TENSORBOARD]) == (f"{run}/attempts/000.jsonl", f"{run}/tensorboard")
    raw = OmegaConf.to_container(config, resolve=False)  # another process may run elsewhere, without the resolvers
    assert not any("${" in str(OmegaConf.select(OmegaConf.create(raw), key)) for key in DERIVED)


def test_a_number_is_a_name_like_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = start(2026)
    assert config.run_dir == str(tmp_path / "2026") and config.trainer.experiment_name == "2026"
    assert config.trainer.default_local_dir == str(tmp_path / "2026" / "checkpoints")
    assert start(0).run_dir == str(tmp_path / "0")


@pytest.mark.parametrize("text", ["a: [1", "- 1", "", "a: b: c"])
def test_a_config_that_was_cut_off_is_no_config(tmp_path, text):
    config = start(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "hydra" / ".hydra" / "config.yaml").write_text(text)
    (line,) = check_run_folder(config)
    assert "another run (hydra/.hydra/config.yaml, its config: cut off there" in line


def test_without_it_verls_own_defaults_stay(monkeypatch):
    ours, verls = compose_run(["+method=grpo"]), compose_run([])
    for key in set(DERIVED) - {"trainer.record_dir", "trainer.logger"}:
        assert OmegaConf.select(ours, key) == OmegaConf.select(verls, key), key
    settle(ours)
    assert FILE not in ours.ray_kwargs.ray_init.runtime_env.env_vars
    assert ours.trainer.logger == ["console", "tensorboard"]


def test_what_is_set_by_hand_wins(tmp_path, monkeypatch):
    monkeypatch.setenv(TENSORBOARD, "/elsewhere")
    by_hand = ["trainer.default_local_dir=/c", "trainer.save_freq=7", "trainer.logger=[console,wandb]"]
    by_hand += ["trainer.experiment_name=mine", f"+ray_kwargs.ray_init.runtime_env.env_vars.{FILE}=/m.jsonl"]
    config = start(tmp_path / "run", *by_hand)
    trainer, variables = config.trainer, config.ray_kwargs.ray_init.runtime_env.env_vars
    assert (trainer.default_local_dir, trainer.save_freq, trainer.experiment_name) == ("/c", 7, "mine")
    assert trainer.logger == ["console", "wandb"] and trainer.validation_data_dir == f"{tmp_path}/run/validation"
    assert (variables[FILE], variables[TENSORBOARD]) == ("/m.jsonl", "/elsewhere")


def test_a_resumed_run_keeps_the_metrics_of_its_first_start(tmp_path):
    first = start(tmp_path)
    log(first, 1, 2, 3)
    save(first)  # at step 2
    second = start(tmp_path)
    log(second, 3, 4)
    assert load_run(tmp_path).repeated == [3]
    merge_attempts(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("method", "overrides", "named"),
    [
        ("vepo", [], "method: ecvgpo there, vepo now"),
        ("ecvgpo", ["actor_rollout_ref.model.path=other"], "actor_rollout_ref.model.path: "),
        ("ecvgpo", ["data.train_files=other.parquet"], "data.train_files: "),
        ("ecvgpo", ["algorithm.ecvgpo.r0=25"], "algorithm.ecvgpo.r0: 10.0 there, 25 now"),
        ("ecvgpo", ["data.train_batch_size=7"], "data.train_batch_size: 1024 there, 7 now"),
    ],
)
def test_another_runs_folder_is_refused(tmp_path, method, overrides, named):
    log(start(tmp_path), 1, 2)
    (problem,) = check_run_folder(next_start(tmp_path, *overrides, method=method))
    assert problem.startswith(f"run_dir: got {tmp_path}, which holds the metrics of another run ({named}")
    assert problem.endswith("expected a folder of its own; set run_dir, or remove that one")


@pytest.mark.parametrize("overrides", [[], ["trainer.health.action=log"], ["trainer.save_freq=3"]])
def test_the_same_run_may_start_anew_where_nothing_was_saved(tmp_path, overrides):
    log(start(tmp_path), 1, 2)
    assert check_run_folder(next_start(tmp_path, *overrides)) == []


def test_a_run_that_logged_nothing_leaves_its_folder_free(tmp_path):
    log(start(tmp_path))
    assert check_run_folder(next_start(tmp_path, method="vepo")) == []


def test_from_a_checkpoint_other_knobs_are_told_and_another_method_refused(tmp_path):
    first = start(tmp_path)
    log(first, 1, 2)
    save(first)
    again = next_start(tmp_path, "algorithm.ecvgpo.r0=25", "trainer.total_training_steps=9")
    assert check_run_folder(again) == []
    assert other_settings(again) == (
        f"{tmp_path}: goes on with other settings: algorithm.ecvgpo.r0: 10.0 there, 25 now; "
        "trainer.total_training_steps: None there, 9 now"
    )
    assert other_settings(next_start(tmp_path)) == ""
    (problem,) = check_run_folder(next_start(tmp_path, method="grpo"))
    assert "method: ecvgpo there, grpo now" in problem
    (problem,) = check_run_folder(next_start(tmp_path, "algorithm.ecvgpo.r0=25", "trainer.resume_mode=disable"))
    assert "algorithm.ecvgpo.r0" in problem


def test_another_runs_checkpoint_is_refused_without_metrics_too(tmp_path):
    """As with `trainer.logger=[console,wandb]`, which leaves none in the folder."""
    save(start(tmp_path))
    assert check_run_folder(next_start(tmp_path, "algorithm.ecvgpo.r0=25")) == []
    (problem,) = check_run_folder(next_start(tmp_path, method="vepo"))
    assert f"got {tmp_path}, which holds the checkpoint of another run (method: ecvgpo there, vepo now" in problem


def test_metrics_without_a_config_are_another_runs_unless_it_is_resumed(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "data": {}}\n')
    config = next_start(tmp_path)
    (problem,) = check_run_folder(config)
    assert "hydra/.hydra/config.yaml, its config: missing there" in problem
    save(config)  # started by an older version, which wrote no config there
    assert check_run_folder(config) == []


def test_tensorboards_shared_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = compose_run(["+method=grpo"])
    assert shared_tensorboard(config, {}) == ""
    folder = tmp_path / "tensorboard_log" / "verl_examples" / "gsm8k"
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1.host").write_bytes(b"")
    assert "tensorboard_log/verl_examples/gsm8k holds the curves of another run" in shared_tensorboard(config, {})
    assert shared_tensorboard(config, {TENSORBOARD: str(tmp_path / "new")}) == ""
    assert shared_tensorboard(compose_run(["+method=grpo", "trainer.logger=[console]"]), {}) == ""
    assert shared_tensorboard(compose_run(["+method=grpo", "run_dir=outputs/x"]), {}) == ""


def test_the_callback_ends_the_run_before_hydra_writes(tmp_path):
    log(start(tmp_path), 1)
    with pytest.raises(SystemExit, match=r"this run cannot start:\n  run_dir: got"):
        RunFolder().on_run_start(next_start(tmp_path, method="vepo"))


@pytest.mark.slow
def test_verls_own_command_writes_into_the_folder_and_leaves_another_runs_alone(tmp_path):
    """Without data it is refused by the preflight, after Hydra has written the config."""
    run = [sys.executable, "-m", "verl.trainer.main_ppo", "run_dir=outputs/a", "data.train_files=none.parquet"]
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "VERL_USE_EXTERNAL_MODULES": "verl_plugins.register",
    }

    def main_ppo(method):
        done = subprocess.run(
            [*run, f"+method={method}"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        return done.stderr

    folder = tmp_path / "outputs" / "a"
    assert "data.train_files: got none.parquet" in main_ppo("ecvgpo")
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == ["a"]
    saved = yaml.safe_load((folder / "hydra" / ".hydra" / "config.yaml").read_text())
    assert saved["run_dir"] == str(folder) and saved["trainer"]["record_dir"] == str(folder)
    assert saved["ray_kwargs"]["ray_init"]["runtime_env"]["env_vars"][FILE] == str(folder / "attempts" / "000.jsonl")
    (folder / "attempts" / "000.jsonl").write_text('{"step": 1, "data": {"r": 1}}\n')
    assert "method: ecvgpo there, vepo now" in main_ppo("vepo")
    assert yaml.safe_load((folder / "hydra" / ".hydra" / "config.yaml").read_text()) == saved
