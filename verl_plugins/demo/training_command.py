"""The demo's training command: an ordinary run of ``verl.trainer.main_ppo`` for a tiny model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from verl_plugins.demo.tasks import Task
from verl_plugins.methods import methods_in


def training_command(
    model_dir: Path,
    data_dir: Path,
    run_dir: Path,
    task: Task,
    method: str,
    steps: int,
    overrides: Sequence[str] = (),
    platform: Sequence[str] = ("+platform=cpu",),
) -> list[str]:
    """Build the command that trains for ``steps`` steps of 8 prompts x 8 responses; ``overrides`` come last.

    ``platform`` are the overrides that the machine asks for, instead of those of the CPU platform.

    Validation samples at temperature 1, as training does, so that its images show the policy that is trained.
    """
    data = [
        f"data.train_files={data_dir / 'train.parquet'}",
        f"data.val_files={data_dir / 'val.parquet'}",
        "data.train_batch_size=8",
        "data.max_prompt_length=256",
        f"data.max_response_length={task.max_response_length}",
        "data.seed=1",
    ]
    model = [f"actor_rollout_ref.model.path={model_dir}"]
    actor = [
        "actor_rollout_ref.actor.ppo_mini_batch_size=8",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=32",
        f"actor_rollout_ref.actor.optim.lr={task.learning_rate}",
        "actor_rollout_ref.actor.freeze_vision_tower=true",  # it sees all there is to see
        "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra,hf_model]",
        "actor_rollout_ref.actor.checkpoint.load_contents=[model,optimizer,extra]",
    ]
    rollout = [
        "actor_rollout_ref.rollout.n=8",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=32",
        "actor_rollout_ref.rollout.max_model_len=512",
        "actor_rollout_ref.rollout.val_kwargs.do_sample=true",
        "actor_rollout_ref.rollout.val_kwargs.temperature=1.0",
    ]
    reward = [f"reward.custom_reward_function.path=pkg://{task.reward}"]
    trainer = [
        f"run_dir={run_dir}",
        "trainer.project_name=demo",
        f"trainer.experiment_name={method}",
        f"trainer.total_training_steps={steps}",
        f"trainer.test_freq={steps}",
        "trainer.save_freq=10",
    ]
    rollout += [override for each in methods_in(method) for override in each.demo_overrides]
    program = [sys.executable, "-m", "verl.trainer.main_ppo", f"+method={method}"]
    return [*program, *platform, *data, *model, *actor, *rollout, *reward, *trainer, *overrides]
