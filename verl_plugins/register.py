"""The only module that touches the registries of verl and Hydra; everything that the package adds is listed here.

verl imports this module as a plugin (entry point ``verl.plugins``, or ``VERL_USE_EXTERNAL_MODULES``) in the driver and
in every Ray worker. Each name is registered when verl imports the registry it belongs to, so that processes which never
train (vLLM engines, reward workers) do not import a trainer.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType


def register() -> None:
    """Register Hydra groups and resolvers, estimators, trainer, engines, agent loops and, where selected, the CPU.

    Idempotent.
    """
    import wrapt
    from hydra.core.plugins import Plugins

    from verl_plugins.hydra_plugin import VerlPluginsSearchPath
    from verl_plugins.methods import load_installed_methods  # a broken method fails here, not in a first step
    from verl_plugins.platforms import cpu_bridges
    from verl_plugins.run_folder import register_resolvers

    load_installed_methods()
    Plugins.instance().register(VerlPluginsSearchPath)
    register_resolvers()
    wrapt.register_post_import_hook(_register_estimators, "verl.trainer.ppo.core_algos")
    _register_with("verl.trainer.ppo.v1", "verl_plugins.training.modes", _register_trainers)
    _register_with("verl.workers.engine_workers", "verl_plugins.training.frozen_vision", _register_engines)
    wrapt.register_post_import_hook(_register_agent_loops, "verl.experimental.agent_loop")
    if cpu_bridges.is_selected():
        from verl_plugins.platforms import cpu

        cpu.activate()


def _register_with(verl_module: str, own_module: str, add: Callable[[ModuleType], None]) -> None:
    """Import ``own_module`` once verl imports ``verl_module``, and call ``add`` with it when it is complete.

    Two hooks, because ``own_module`` may be imported first: it imports ``verl_module``, whose hook must not need a
    class of the half-imported ``own_module``. Importing ``verl_plugins.training`` imports verl, so both hooks are set
    by then.
    """
    import wrapt

    wrapt.register_post_import_hook(lambda _: importlib.import_module(own_module), verl_module)
    wrapt.register_post_import_hook(add, own_module)


def _register_estimators(core_algos: ModuleType) -> None:
    from verl_plugins.methods import METHODS
    from verl_plugins.training.estimator import advantage_estimator

    for name in METHODS:
        if name not in core_algos.ADV_ESTIMATOR_REGISTRY:
            core_algos.register_adv_est(name)(advantage_estimator(name))


def _register_trainers(modes: ModuleType) -> None:
    """Register the trainers, under verl's names in the processes of a run with ``+method`` and of no other run, and the
    estimator that hands further columns on."""
    from verl.trainer.ppo.core_algos import register_adv_est
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY, register_trainer

    from verl_plugins.config import OWN_TRAINERS, TRAINER_MODE
    from verl_plugins.training import extra_fields

    register_adv_est(extra_fields.ESTIMATOR)(extra_fields.estimate)

    register_trainer(TRAINER_MODE)(modes.EntropyTrainer)
    if os.environ.get(OWN_TRAINERS) == "1":
        TRAINER_REGISTRY.update(modes.TRAINERS)


def _register_engines(frozen_vision: ModuleType) -> None:
    """Register a twin that runs requests for each of verl's FSDP engines, VeOmni's and FSDP turbo's included, and the
    engine with a frozen tower."""
    from verl.workers.engine import EngineRegistry, FSDPEngineWithLMHead

    from verl_plugins.training import ENGINE, FROZEN_VISION_ENGINE
    from verl_plugins.training.engine import with_requests

    for backend, by_device in EngineRegistry._engines["language_model"].items():
        twins = {
            device: with_requests(engine)
            for device, engine in by_device.items()
            if issubclass(engine, FSDPEngineWithLMHead)
        }
        if twins:
            EngineRegistry._engines.setdefault(ENGINE, {})[backend] = twins
    if FROZEN_VISION_ENGINE not in EngineRegistry._engines:
        frozen = frozen_vision.FrozenVisionEngine
        EngineRegistry.register(model_type=FROZEN_VISION_ENGINE, backend="fsdp2", device=["cuda", "npu"])(frozen)


def _register_agent_loops(package: ModuleType) -> None:
    """Register the agent loops by their paths, as verl's decorator does; verl imports one when a run selects it."""
    from verl_plugins.config import AGENT_LOOP, IMAGE_LOOP
    from verl_plugins.methods import METHODS

    own = "verl_plugins.components.agent_loops"
    loops = {IMAGE_LOOP: f"{own}:ImageSingleTurnAgentLoop", AGENT_LOOP: f"{own}:SeededSingleTurnAgentLoop"}
    for method in METHODS.values():
        loops |= method.agent_loops
    for name, path in loops.items():
        package.agent_loop._agent_loop_registry[name] = {"_target_": path.replace(":", ".")}


try:
    register()
except Exception as error:
    # verl logs a failing plugin at DEBUG and continues without it; the user would only see "could not find method/...".
    print(
        f"verl-plugins: not loaded into verl: {type(error).__name__}: {error}\n"
        "verl-plugins: '+method=...' and '+platform=...' will not be found; run `verl-plugins doctor`",
        file=sys.stderr,
    )
    raise
