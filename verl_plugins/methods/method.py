"""The contract of a method: what it declares (``Method``), and what it may do during a run (``Driver``).

The trainer calls the hooks of each configured method in the order of ``METHODS`` and knows no method by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.vision.perturb import Perturbation

Apply = Callable[[AdvantageBatch, Any], tuple[Tensor, dict[str, float]]]
"""(global batch, the method's config) to (advantages (B, T), metrics ``<method>/<quantity>``)."""


@dataclass(frozen=True)
class Method:
    """Declaration of a method. Only ``config`` and ``apply`` are required.

    Args:
        config: frozen dataclass of the knobs ``algorithm.<method>.*``; validates itself in ``__post_init__``.
        apply: the method on a global batch. Torch only.
        driver: ``"module:Class"`` of a ``Driver``, imported in the trainer's process alone.
        requirements: ``(RunChecks, config) -> None`` reports what the run's config must have for the method.
        check_processor: ``(processor, data.mm_processor_kwargs, config) -> None`` raises ValueError if the method
            cannot work with the model's processor; the preflight calls it where the processor is on this machine.
        agent_loops: name to ``"module:Class"`` of agent loops, registered with verl under that name. The driver sends
            the prompts to them, so the preflight refuses a run of two methods that have some.
        takes_videos: whether training rows may hold videos; the preflight refuses them otherwise.
        needs_entropy: whether a config reads ``AdvantageBatch.entropy``. verl computes it except in bypass mode, in
            which a forward is run for it.
        samples_again: the driver's ``after_sampling`` samples further rows, for which the rollout engine must be idle;
            the preflight refuses the asynchronous trainers.
        weighs_tokens: ``apply`` gives the tokens of one response different advantages; the preflight refuses the policy
            losses that select tokens by their advantages.
        has_second_forward: the driver requests a second forward beside the old log-probabilities (memory plan).
        perturbation_of: the perturbation of the images in the second forward that a config requests, None for none;
            the engine computes one a step, so the preflight refuses methods whose perturbations differ.
        has_pixel_gradient: the method takes gradients with respect to the images' pixels (memory plan).
        attack: ``"module:Class"`` of an attack on images along the model's gradient, for ``python -m
            verl_plugins.evaluate --attack NAME``. An instance, made of (model folder, processor, its settings, dtype,
            strength in 8-bit levels, steps), maps (prompt's token ids, processor's output, response's token ids) to
            (images (3, H, W) uint8, objective before, objective after).
        demo_task: synthetic task that ``verl-plugins demo`` trains the method on.
        demo_overrides: Hydra overrides that the demo's 8 responses per prompt, or its tiny model, need.
        demo_metrics: metrics, without the method's name, in which the demo shows that the method acts.
    """

    config: type
    apply: Apply
    driver: str | None = None
    requirements: Callable[..., None] | None = None
    check_processor: Callable[..., None] | None = None
    agent_loops: Mapping[str, str] = field(default_factory=dict)
    takes_videos: bool = True
    needs_entropy: Callable[[Any], bool] = lambda config: False
    samples_again: bool = False
    weighs_tokens: bool = False
    has_second_forward: bool = False
    perturbation_of: Callable[[Any], Perturbation | None] = lambda config: None
    has_pixel_gradient: bool = False
    attack: str | None = None
    demo_task: str = "grounding"
    demo_overrides: tuple[str, ...] = ()
    demo_metrics: tuple[str, ...] = ()

    def build_driver(self, run_config: Any, config: Any) -> Driver:
        """Create the driver of a run, or the base class where the method declares none."""
        driver_class = Driver if self.driver is None else imported(self.driver)
        return driver_class(run_config, config, self.apply)


class Driver:
    """Hooks of one method in the trainer's process. Every hook may be left as it is.

    Args:
        run_config: verl's config of the run.
        config: the method's config.
        method_apply: ``Method.apply``.
    """

    columns: tuple[str, ...] = ()
    """Names of the per-token tensors that the driver's request adds to each row, read by ``AdvantageBatch.signals``."""

    total_steps: int = 0
    """Steps of the run; the trainer sets it before ``setup``."""

    def __init__(self, run_config: Any, config: Any, method_apply: Apply):
        self.run_config, self.config, self.method_apply = run_config, config, method_apply

    def setup(self, processor: Any) -> None:
        """Prepare the run once the model's processor is loaded; raise ValueError if the method cannot work with it."""

    def begin_step(self) -> None:
        """Start a training step."""

    def before_sampling(self, prompts: Any) -> Any:
        """Return the prompts to sample: a TensorDict of rows that the agent loops will get."""
        return prompts

    def after_sampling(self, trainer: Any, submit: Callable[[Any], int], batch: Any, metrics: dict[str, Any]) -> Any:
        """Return the rows of the step, perhaps with further samples.

        Args:
            trainer: the running trainer. verl has put its rollout engine to sleep.
            submit: verl's ``_submit_batch_to_rollout``; sends prompts to the agent loops.
            batch: ``KVBatchMeta`` of the sampled rows, those of one prompt together.
            metrics: of the step; add to it.
        """
        return batch

    def log_prob_request(self, step: int, total_steps: int, metrics: dict[str, Any]) -> Any:
        """Return a ``ForwardRequest`` that the engine computes together with the old log-probabilities, or None.

        Args:
            step: current step, from 1.
            total_steps: steps of the run.
            metrics: of the step; add to it.
        """
        return None

    def row_columns(self, keys: list[str]) -> dict[str, Tensor]:
        """Return further columns of the batch, each with one entry per row, from the rows' TransferQueue keys."""
        return {}

    def apply(self, batch: AdvantageBatch) -> tuple[Tensor, dict[str, float]]:
        """Return the new advantages (B, T) and the method's metrics."""
        return self.method_apply(batch, self.config)

    def record(self, trainer: Any, batch: Any, advantage_batch: AdvantageBatch) -> None:
        """Write the examples of this step that the report shows; ``batch`` is the ``KVBatchMeta`` of the rows."""

    def state(self) -> dict[str, Any] | None:
        """Return what a checkpoint must keep, as JSON values; None if the method remembers nothing between steps."""
        return None

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a checkpoint's ``state()``."""


def imported(path: str) -> Any:
    """Import the object at ``"module:name"``."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
