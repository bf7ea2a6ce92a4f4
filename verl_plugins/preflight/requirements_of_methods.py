"""Checks that the methods of a run declare themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_plugins.components.local_processor import local_processor
from verl_plugins.methods import METHODS
from verl_plugins.methods.knobs import config_from_node
from verl_plugins.methods.run_checks import RunChecks
from verl_plugins.preflight.model import UNTRAINABLE, model_type


def check_requirements(config: DictConfig, methods: list[str]) -> list[str]:
    """Collect the problems that the methods' ``requirements`` report, in the order of ``methods``.

    If there are none, also those that ``check_processor`` finds in the model's processor, as far as it is on this
    machine; loading it takes a second.
    """
    run = RunChecks(partial(OmegaConf.select, config), model_type(str(config.actor_rollout_ref.model.path)))
    knobs_of: dict[str, Any] = {}
    for name in methods:
        try:
            knobs_of[name] = config_from_node(METHODS[name].config, config.algorithm[name], f"algorithm.{name}")
        except ValueError:
            continue  # reported by check_knobs
        requirements = METHODS[name].requirements
        if requirements is not None:
            requirements(run, knobs_of[name])
    _check_second_forwards(run, knobs_of)
    if run.problems or run.model_type in UNTRAINABLE:
        return run.problems
    return _problems_with_processor(config, knobs_of)


def _check_second_forwards(run: RunChecks, knobs_of: Mapping[str, Any]) -> None:
    """Report methods whose second forwards perturb the images in different ways, by the knobs that differ."""
    perturbations = {name: METHODS[name].perturbation_of(knobs) for name, knobs in knobs_of.items()}
    first, *others = [(name, each.knobs()) for name, each in perturbations.items() if each] or [("", {})]
    for name, knobs in others:
        for knob in dict.fromkeys([*first[1], *knobs]):
            got, expected = (
                each.get(knob, f"none, as its schedule is {each['schedule']}") for each in (knobs, first[1])
            )
            if got != expected:
                key = f"algorithm.{name}.{knob}"
                reason = f"that of algorithm.{first[0]}.{knob} (the engine computes one second forward a step for both)"
                run.refuse(key, got, f"{expected}, {reason}", f"set {key}, or start the run with one of the methods")


def _problems_with_processor(config: DictConfig, knobs_of: Mapping[str, Any]) -> list[str]:
    """Call the methods' ``check_processor``; problems that several methods have are listed once.

    Args:
        knobs_of: the config of each method.
    """
    checks = {check: knobs for name, knobs in knobs_of.items() if (check := METHODS[name].check_processor)}
    if not checks:
        return []
    model = config.actor_rollout_ref.model
    path = str(model.get("tokenizer_path") or model.path)
    try:
        processor = local_processor(path)
    except (OSError, ValueError) as error:
        got = " ".join(f"{path}, whose processor cannot be loaded ({type(error).__name__}: {error})".split())
        return [
            f"actor_rollout_ref.model.path: got {got[:300]}, expected one that can; set actor_rollout_ref.model.path"
        ]
    if processor is None:
        return []  # not on this machine yet; the methods' drivers check it once verl has downloaded it
    settings: Any = OmegaConf.to_container(config.data.get("mm_processor_kwargs") or OmegaConf.create({}), resolve=True)
    problems = []
    for check, knobs in checks.items():
        try:
            check(processor, settings, knobs)
        except ValueError as error:
            problems.append(str(error))
    return list(dict.fromkeys(problems))
