"""The only place that touches the registries of verl and Hydra; everything the package adds is listed here.

verl imports this module as a plugin (entry point ``verl.plugins``, or ``VERL_USE_EXTERNAL_MODULES``) in the driver and
in every Ray worker. Estimators and trainers are registered when verl imports the registry they belong to, so that
processes which never train (vLLM engines, reward workers) do not pay for importing a trainer.
"""

from __future__ import annotations

import sys


def register() -> None:
    """Register Hydra groups, estimators, trainer, engine, agent loops and, where selected, the CPU. Idempotent."""
    import wrapt
    from hydra.core.plugins import Plugins

    import verl_plugins.methods  # noqa: F401  a broken method is to be seen here, not in the first step
    from verl_plugins.hydra_plugin import VerlPluginsSearchPath
    from verl_plugins.platforms import cpu_bridges

    Plugins.instance().register(VerlPluginsSearchPath)
    wrapt.register_post_import_hook(_register_estimators, "verl.trainer.ppo.core_algos")
    wrapt.register_post_import_hook(_register_trainer, "verl.trainer.ppo.v1")
    wrapt.register_post_import_hook(_register_engine, "verl.workers.engine_workers")
    wrapt.register_post_import_hook(_register_agent_loop, "verl.experimental.agent_loop")
    if cpu_bridges.is_selected():
        from verl_plugins.platforms import cpu

        cpu.activate()


def _register_estimators(core_algos) -> None:
    from verl_plugins.methods import METHODS
    from verl_plugins.training.estimator import advantage_estimator

    for name in METHODS:
        if name not in core_algos.ADV_ESTIMATOR_REGISTRY:
            core_algos.register_adv_est(name)(advantage_estimator(name))


def _register_trainer(v1) -> None:
    from verl_plugins.config import TRAINER_MODE
    from verl_plugins.training.trainer import EntropyTrainer

    v1.register_trainer(TRAINER_MODE)(EntropyTrainer)


def _register_engine(_) -> None:
    from verl.workers.engine import EngineRegistry

    from verl_plugins.training import ENGINE, FROZEN_VISION_ENGINE
    from verl_plugins.training.engine import EntropyEngine
    from verl_plugins.training.frozen_vision import FrozenVisionEngine

    for name, engine in ((ENGINE, EntropyEngine), (FROZEN_VISION_ENGINE, FrozenVisionEngine)):
        if name not in EngineRegistry._engines:
            EngineRegistry.register(model_type=name, backend=["fsdp", "fsdp2"], device=["cuda", "npu"])(engine)


def _register_agent_loop(agent_loop) -> None:
    from verl_plugins.components import agent_loops as rollout
    from verl_plugins.config import AGENT_LOOP, IMAGE_LOOP, SECOND_LOOPS

    register_loop = agent_loop.agent_loop.register
    register_loop(IMAGE_LOOP)(rollout.ImageSingleTurnAgentLoop)
    register_loop(AGENT_LOOP)(rollout.SeededSingleTurnAgentLoop)
    for name in ("single_turn_agent", IMAGE_LOOP):
        register_loop(SECOND_LOOPS[name])(rollout.AdversarialSingleTurnAgentLoop)
    register_loop(SECOND_LOOPS[AGENT_LOOP])(rollout.AdversarialSeededSingleTurnAgentLoop)


try:
    register()
except Exception as error:
    # verl logs a failing plugin at DEBUG and goes on without it; the user would only see "could not find method/...".
    print(
        f"verl-plugins: not loaded into verl: {type(error).__name__}: {error}\n"
        "verl-plugins: '+method=...' and '+platform=...' will not be found; run `verl-plugins doctor`",
        file=sys.stderr,
    )
    raise
