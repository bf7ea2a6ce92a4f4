"""Checks of a run's composed config, collected as messages: what, got, expected, which key to set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from verl_plugins.components.single_turn_loops import SINGLE_TURN_LOOPS


class RunChecks:
    """The problems of one run's config.

    Args:
        get: returns the value at a dotted key, None where the config has none.
        model_type: Transformers' ``model_type`` of the run's model; "" if unknown.
    """

    def __init__(self, get: Callable[[str], Any], model_type: str = ""):
        self.get, self.model_type = get, model_type
        self.problems: list[str] = []

    def expect(self, key: str, accepts: Callable[[Any], bool], expected: str) -> None:
        """Report a problem unless ``accepts`` the value at ``key``."""
        value = self.get(key)
        if not accepts(value):
            self.refuse(key, value, expected, f"set {key}")

    def refuse(self, what: str, got: Any, expected: str, fix: str) -> None:
        """Report a problem."""
        self.problems.append(f"{what}: got {got}, expected {expected}; {fix}")


def expect_advantages_per_token(run: RunChecks, method: str) -> None:
    """Report a policy loss that averages the advantages of a response, which undoes the weights of ``method``."""
    run.expect(
        "actor_rollout_ref.actor.policy_loss.loss_mode",
        lambda mode: mode != "geo_mean",
        f"another policy loss (geo_mean averages the advantages of a response, which undoes {method}'s weights)",
    )


FSDP_STRATEGIES = ("fsdp", "fsdp2", "fsdp_turbo", "veomni")
"""Values of ``actor.strategy`` whose engine is verl's ``FSDPEngineWithLMHead`` or inherits it, and so runs requests."""


def expect_fsdp_engine(run: RunChecks, strategies: tuple[str, ...], reason: str) -> None:
    """Report everything that keeps a method's own forwards from running in verl's FSDP engine.

    Args:
        strategies: values of ``actor.strategy`` that the method can work with, of ``FSDP_STRATEGIES``.
        reason: why, as a clause with the method's name, e.g. "vepo reads the hidden states of verl's FSDP engine".
    """
    engine = run.get("model_engine") or "dp"  # "dp" chooses by actor.strategy; of the others, the strategy is the name
    if engine != "dp":
        also = " or veomni" if "veomni" in strategies else ""
        run.expect("model_engine", lambda engine: engine in strategies, f"dp{also} ({reason})")
        return
    strategies = tuple(strategy for strategy in strategies if strategy != "veomni")
    expected = f"{' or '.join(strategies)} ({reason})"
    run.expect("actor_rollout_ref.actor.strategy", strategies.__contains__, expected)


def expect_two_halves(run: RunChecks, method: str, n1: int, n2: int) -> None:
    """Report a number of responses other than the sum of a method's two halves, its knobs ``n1`` and ``n2``."""
    responses = run.get("actor_rollout_ref.rollout.n")
    if responses != n1 + n2:
        run.refuse(
            f"algorithm.{method}.n1 + n2",
            f"{n1} + {n2}",
            f"actor_rollout_ref.rollout.n = {responses}",
            f"set algorithm.{method}.n1 and n2, or actor_rollout_ref.rollout.n",
        )


def expect_single_turn_loop(run: RunChecks, reason: str) -> None:
    """Report an agent loop that a method has no counterpart of; ``reason`` is a clause with the method's name."""
    run.expect(
        "actor_rollout_ref.rollout.agent.default_agent_loop",
        SINGLE_TURN_LOOPS.__contains__,
        f"{' or '.join(SINGLE_TURN_LOOPS)} ({reason})",
    )


def expect_whole_images(run: RunChecks, method: str) -> None:
    """Report InternVL's tiles, which keep a method from changing an image: they overlap in the thumbnail."""
    crop = "data.mm_processor_kwargs.crop_to_patches"
    if run.model_type == "internvl" and run.get(crop) is not False:
        run.refuse(
            crop,
            "true, InternVL's default",
            f"false (its tiles overlap in the thumbnail, and {method} cannot change them apart)",
            f"set {crop}",
        )
