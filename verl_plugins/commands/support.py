"""``verl-plugins support``: which of verl's settings each installed method trains with, asked of the preflight.

``docs/support.md`` holds the output; a test compares the two.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

ON_DISK = ("data.train_files", "data.val_files", "actor_rollout_ref.model.path")
"""Problems of a run's files, which are not there when the table is made."""


class Setting(NamedTuple):
    """A row of the table.

    Args:
        name: what the overrides choose.
        overrides: of a run that is accepted with GRPO.
        was_run: how it was tried with the methods, and on what.
    """

    name: str
    overrides: tuple[str, ...]
    was_run: str


MODEL, ACTOR, ROLLOUT = (f"actor_rollout_ref.{part}" for part in ("model", "actor", "rollout"))
EACH = "CPU stack: ECVGPO, VEPO and SaEI, each alone"
EVERY = "CPU stack: ECVGPO, VEPO and SaEI at once"
TWO = "CPU stack: ECVGPO with VEPO"
PAIRS = "CPU stack: ECVGPO with VEPO, SaEI with VEPO"
UNIT = "unit tests"
NEVER = "not run"
HEIR = "VEPO: a stand-in engine, unit tests"
SETTINGS = (
    Setting("FSDP2", (f"{ACTOR}.strategy=fsdp2",), EACH),
    Setting("FSDP1", (f"{ACTOR}.strategy=fsdp",), NEVER),
    Setting(
        "rows packed, micro-batches by tokens",
        (f"{MODEL}.use_remove_padding=true", f"{ACTOR}.use_dynamic_bsz=true"),
        EVERY,
    ),
    Setting("LoRA", (f"{MODEL}.lora_rank=16",), "CPU stack: ECVGPO alone; ECVGPO, VEPO and SaEI at once"),
    Setting("KL loss to a reference policy", (f"{ACTOR}.use_kl_loss=true",), EVERY),
    Setting("loss: seq-mean-token-mean", (f"{ACTOR}.loss_agg_mode=seq-mean-token-mean",), PAIRS),
    Setting("loss: seq-mean-token-sum", (f"{ACTOR}.loss_agg_mode=seq-mean-token-sum",), UNIT),
    Setting("loss: seq-mean-token-sum-norm", (f"{ACTOR}.loss_agg_mode=seq-mean-token-sum-norm",), UNIT),
    Setting("policy loss: gspo", (f"{ACTOR}.policy_loss.loss_mode=gspo",), NEVER),
    Setting("policy loss: kl_cov", (f"{ACTOR}.policy_loss.loss_mode=kl_cov",), NEVER),
    Setting("policy loss: clip_cov", (f"{ACTOR}.policy_loss.loss_mode=clip_cov",), NEVER),
    Setting("policy loss: geo_mean", (f"{ACTOR}.policy_loss.loss_mode=geo_mean",), NEVER),
    Setting("fused kernels", (f"{MODEL}.use_fused_kernels=true",), "CPU stack: SaEI with VEPO; unit tests"),
    Setting(
        "Ulysses sequence parallelism",
        (
            f"{ACTOR}.fsdp_config.ulysses_sequence_parallel_size=2",
            f"{MODEL}.use_remove_padding=true",
            "trainer.n_gpus_per_node=8",
        ),
        "two gloo ranks, unit tests",
    ),
    Setting("rollout correction: bypass mode", ("algorithm.rollout_correction.bypass_mode=true",), PAIRS),
    Setting("group filtering (DAPO's dynamic sampling)", ("algorithm.filter_groups.enable=true",), PAIRS),
    Setting(
        "colocate_async",
        ("trainer.v1.trainer_mode=colocate_async",),
        "CPU stack: ECVGPO, VEPO, VPPO and NoisyRollout at once",
    ),
    Setting(
        "separate_async",
        (
            "trainer.v1.trainer_mode=separate_async",
            "trainer.v1.separate_async.parameter_sync_step=4",
            "data.train_batch_size=1024",
            f"{ACTOR}.ppo_mini_batch_size=256",
            f"{ROLLOUT}.nnodes=1",
            f"{ROLLOUT}.n_gpus_per_node=8",
            f"{ROLLOUT}.checkpoint_engine.backend=nccl",
        ),
        TWO,
    ),
    Setting("Megatron", ("model_engine=megatron",), NEVER),
    Setting("VeOmni", ("model_engine=veomni",), HEIR),
    Setting("torchtitan", ("model_engine=torchtitan",), NEVER),
    Setting("FSDP turbo", (f"{ACTOR}.strategy=fsdp_turbo",), HEIR),
    Setting(
        "tool agent loop, several turns",
        (f"{ROLLOUT}.agent.default_agent_loop=tool_agent", f"{ROLLOUT}.multi_turn.enable=true"),
        TWO,
    ),
    Setting("SGLang", (f"{ROLLOUT}.name=sglang",), NEVER),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: none."""


def run(arguments: argparse.Namespace) -> int:
    """Print the table of every installed method as Markdown; returns 0."""
    from verl_plugins.methods import METHODS

    print(table(list(METHODS)))
    return 0


def table(methods: list[str]) -> str:
    """Return the table as Markdown, and under it the reason of each refusal, which the preflight gives."""
    lines = [f"| setting | {' | '.join(methods)} | with the methods |", f"|---|{'---|' * len(methods)}---|"]
    reasons: list[str] = []
    for setting in SETTINGS:
        problems = refusals(setting, methods)
        cells = ("refused" if problems[method] else "yes" for method in methods)
        lines.append(f"| {setting.name} | {' | '.join(cells)} | {setting.was_run} |")
        reasons += [f"- {setting.name}, {method}: {line}" for method in methods for line in problems[method]]
    return "\n".join([*lines, "", *reasons])


def refusals(setting: Setting, methods: list[str]) -> dict[str, list[str]]:
    """Return what the preflight says of a run with each method and ``setting``, without what it says of files."""
    from omegaconf import open_dict

    from verl_plugins.compose import compose_run
    from verl_plugins.preflight import check_run

    every = compose_run(
        [f"+method=[{','.join(methods)}]", f"{ROLLOUT}.name=vllm", f"{ROLLOUT}.n=12", *setting.overrides]
    )
    problems = {}
    for method in methods:
        config = every.copy()
        with open_dict(config):
            for other in set(methods) - {method}:
                config.algorithm[other] = None
            config.algorithm.adv_estimator = method
        problems[method] = [line for line in check_run(config) if not line.startswith(ON_DISK)]
    return problems
