"""Checks of a run's composed config, collected as messages: what, got, expected, which key to set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


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
