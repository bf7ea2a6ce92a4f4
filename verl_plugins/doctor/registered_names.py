"""The doctor on the plugin: whether its names arrive in verl's registries, in the driver and in a Ray worker."""

from __future__ import annotations

import importlib.metadata
import logging

from verl_plugins.config import AGENT_LOOP, IMAGE_LOOP, TRAINER_MODE
from verl_plugins.doctor.doctor_check import DoctorCheck, compared
from verl_plugins.methods import METHODS, load_installed_methods


def check_driver() -> list[DoctorCheck]:
    """Check that verl loads the plugin in this process, and that all names arrive in its registries."""
    try:
        points = importlib.metadata.entry_points(group="verl.plugins")
        if "verl_plugins" not in points.names:
            fix = "install the package (pip install verl-plugins), a checkout on PYTHONPATH is not enough"
            return [compared("entry point verl.plugins", ", ".join(points.names) or "none", "verl_plugins", fix)]
        return [compared("plugin in the driver", registered_names(), _expected_names(), "")]
    except Exception as error:  # any error is what the user wants to know
        fix = "repair this import: python -c 'import verl_plugins.register'"
        return [compared("plugin in the driver", f"{type(error).__name__}: {error}", "a plugin that loads", fix)]


def check_ray_worker() -> list[DoctorCheck]:
    """Check that a Ray worker, which imports verl afresh, has the same names."""
    import ray

    try:
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        ray.init(address="local", num_cpus=1, **quiet)  # not the cluster that a run may be using on this machine
        got = ray.get(ray.remote(registered_names).remote(), timeout=180)
    except Exception as error:
        fix = "install the same environment on every node; see the message for the cause"
        return [compared("plugin in a Ray worker", f"{type(error).__name__}: {error}", "a plugin that loads", fix)]
    finally:
        ray.shutdown()
    return [compared("plugin in a Ray worker", got, _expected_names())]


def registered_names() -> str:
    """Return the names of this package in verl's registries, in this process.

    Raises:
        RuntimeError: a name is missing.
    """
    import verl  # noqa: F401  loads the plugin
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
    from verl.workers.engine import EngineRegistry

    from verl_plugins.training import ENGINE

    missing = [f"estimator {name}" for name in METHODS if name not in ADV_ESTIMATOR_REGISTRY]
    missing += [] if TRAINER_MODE in TRAINER_REGISTRY else [f"trainer {TRAINER_MODE}"]
    missing += [] if ENGINE in EngineRegistry._engines else [f"engine {ENGINE}"]
    loops = [AGENT_LOOP, IMAGE_LOOP, *(name for method in METHODS.values() for name in method.agent_loops)]
    missing += [f"agent loop {name}" for name in loops if name not in _agent_loop_registry]
    if missing:
        raise RuntimeError(f"not registered: {', '.join(missing)}")
    return _expected_names()


def _expected_names() -> str:
    load_installed_methods()
    return f"estimators {', '.join(METHODS)}; trainer {TRAINER_MODE}; engine; agent loop {AGENT_LOOP}"
