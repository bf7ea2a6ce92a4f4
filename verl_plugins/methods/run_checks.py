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


def expect_fsdp_engine(run: RunChecks, strategies: tuple[str, ...], reason: str) -> None:
    """Report everything that keeps a method's own forwards from running in verl's FSDP engine.

    Args:
        strategies: values of ``actor.strategy`` that the method can work with.
        reason: why, as a clause with the method's name, e.g. "vepo reads the hidden states of verl's FSDP engine".
    """
    if run.get("model_engine") not in (None, "dp"):  # the actors of the other engines have other keys
        run.expect("model_engine", lambda engine: False, f"dp ({reason})")
        return
    expected = f"{' or '.join(strategies)} ({reason})"
    run.expect("actor_rollout_ref.actor.strategy", strategies.__contains__, expected)
