"""What Hydra learns from the package: where its config groups are, and what to do before and after a run."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.experimental.callback import Callback
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig


class VerlPluginsSearchPath(SearchPathPlugin):
    """Makes ``+method=...`` and ``+platform=...`` available to every Hydra application that imports verl."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append(provider="verl-plugins", path="pkg://verl_plugins.config")


def ends_the_run(callback: Callable[..., None]) -> Callable[..., None]:
    """Let any exception of a callback before the run end it: Hydra lets SystemExit through, makes a warning of every
    other exception, and starts."""

    @wraps(callback)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            callback(*args, **kwargs)
        except Exception as error:
            traceback.print_exc()
            raise SystemExit(
                f"verl-plugins: the check itself failed, and the run does not start: {type(error).__name__}: {error}"
            ) from error

    return guarded


class Preflight(Callback):
    """Checks the composed config in the driver, before Ray starts. Put into the run by each ``config/method`` yaml."""

    @ends_the_run
    def on_job_start(self, config: DictConfig, **kwargs) -> None:
        """End the run with one message that lists every problem; Hydra would swallow any other exception here."""
        from verl_plugins.preflight import check_run
        from verl_plugins.preflight.installation import check_installation

        problems = [*check_run(config), *check_installation(config)]
        if problems:
            raise SystemExit("verl-plugins: this run cannot start:\n" + "\n".join(f"  {line}" for line in problems))


class LastMessage(Callback):
    """Ends the driver with one message, and exit code 1, where a health check stopped the run or a process was lost.

    The trainer runs in a Ray worker: what it raises comes here wrapped, and would be shown as a traceback of Ray's.
    """

    @ends_the_run
    def on_job_start(self, config: DictConfig, **kwargs) -> None:
        from verl_plugins.training.lost_processes import LossWatch

        self.watch = LossWatch(config)
        self.watch.start()

    def on_job_end(self, config: DictConfig, job_return, **kwargs) -> None:
        from verl_plugins.health.watch import RunStopped
        from verl_plugins.training import lost_processes as losses

        self.watch.stop()
        error = job_return._return_value  # the property would raise it
        error = getattr(error, "cause", error)
        if isinstance(error, RunStopped):
            raise SystemExit(str(error))
        if isinstance(error, Exception):
            lost = losses.noticed()
            if lost or isinstance(error, losses.ERRORS):
                raise SystemExit(losses.message([*lost, f"seen as {type(error).__name__}: {error}"], config))


class SelectCPU(Callback):
    """Switches the driver to the CPU platform. Put into the run by ``config/platform/cpu.yaml``.

    The driver has imported verl, and with it chosen a platform, before Hydra has read ``+platform=cpu``.
    """

    @ends_the_run
    def on_job_start(self, config: DictConfig, **kwargs) -> None:
        from verl_plugins.platforms import cpu

        missing = cpu.missing_requirements()
        if missing:
            lines = [f"  {what}: got {got}, expected {expected}; {fix}" for what, got, expected, fix in missing]
            raise SystemExit("verl-plugins: +platform=cpu cannot run here:\n" + "\n".join(lines))
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # idle workers, in a run that starts its own
        cpu.activate()
