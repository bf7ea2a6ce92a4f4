"""Hydra's plugin and callbacks: where the config groups are, and the checks before and after a run."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.experimental.callback import Callback
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig

from verl_plugins.methods import config_packages


class VerlPluginsSearchPath(SearchPathPlugin):
    """Makes ``+method=...`` and ``+platform=...`` available to every Hydra application that imports verl."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append this package's ``config`` folder, and that of each package with a method of its own."""
        for package in config_packages():
            search_path.append(provider="verl-plugins", path=f"pkg://{package}.config")


def ends_the_run(callback: Callable[..., None]) -> Callable[..., None]:
    """Make every exception of a callback end the run. Hydra passes SystemExit on, but turns other exceptions into a
    warning and starts the run."""

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


class RunFolder(Callback):
    """Gives the run its folder, and refuses that of another run. Acts before Hydra writes its files there."""

    @ends_the_run
    def on_run_start(self, config: DictConfig, **kwargs) -> None:
        """Put the values of ``run_dir`` into the config; end the run if the folder holds the metrics of another."""
        from verl_plugins.preflight.other_runs import check_run_folder, other_settings, shared_tensorboard
        from verl_plugins.run_folder import create_folders, settle

        settle(config)
        if problems := check_run_folder(config):
            raise SystemExit("verl-plugins: this run cannot start:\n" + "\n".join(f"  {line}" for line in problems))
        for line in (other_settings(config), shared_tensorboard(config, dict(os.environ))):
            if line:
                print(f"verl-plugins: {line}", file=sys.stderr)
        create_folders(config)

    def on_job_end(self, config: DictConfig, **kwargs) -> None:
        """Write the metrics of all starts as one file."""
        from verl_plugins.report.run_files import merge_attempts
        from verl_plugins.run_folder import folder_named

        if run_dir := folder_named(config):
            merge_attempts(Path(run_dir))


class Preflight(Callback):
    """Checks the composed config in the driver, before Ray starts. Each ``config/method`` yaml adds it to the run."""

    @ends_the_run
    def on_job_start(self, config: DictConfig, **kwargs) -> None:
        """End the run with one message that lists every problem."""
        from verl_plugins.preflight import check_run
        from verl_plugins.preflight.installation import check_installation

        problems = [*check_run(config), *check_installation(config)]
        if problems:
            raise SystemExit("verl-plugins: this run cannot start:\n" + "\n".join(f"  {line}" for line in problems))


class LastMessage(Callback):
    """Ends the driver with one message and exit code 1 if a health check stopped the run or a process was lost.

    The trainer runs in a Ray worker: its exceptions arrive here wrapped, and would be shown as Ray's traceback.
    """

    @ends_the_run
    def on_job_start(self, config: DictConfig, **kwargs) -> None:
        from verl_plugins.training.lost_processes import LostProcessWatch

        self.watch = LostProcessWatch(config)
        self.watch.start()

    def on_job_end(self, config: DictConfig, job_return, **kwargs) -> None:
        from verl_plugins.health.watch import RunStopped
        from verl_plugins.training import lost_processes

        self.watch.stop()
        error = job_return._return_value  # the property would raise it
        error = getattr(error, "cause", error)
        if isinstance(error, RunStopped):
            raise SystemExit(str(error))
        if isinstance(error, Exception):
            lost = lost_processes.wait_for_lost_processes()
            if lost or isinstance(error, lost_processes.ERRORS):
                lines = [*lost, f"seen as {type(error).__name__}: {error}"]
                raise SystemExit(lost_processes.lost_process_message(lines, config))


class SelectCPU(Callback):
    """Switches the driver to the CPU platform. ``config/platform/cpu.yaml`` adds it to the run.

    The driver has imported verl, which chooses a platform, before Hydra reads ``+platform=cpu``.
    """

    @ends_the_run
    def on_job_start(self, config: DictConfig, **kwargs) -> None:
        from verl_plugins.platforms import cpu

        missing = cpu.missing_requirements()
        if missing:
            lines = [f"  {what}: got {got}, expected {expected}; {fix}" for what, got, expected, fix in missing]
            raise SystemExit("verl-plugins: +platform=cpu cannot run here:\n" + "\n".join(lines))
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # they would stay idle: the run starts its own
        cpu.activate()
