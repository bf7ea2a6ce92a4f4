"""What a kind of gold answer is: how to draw one, how to write it, and what its value is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, field
from random import Random
from typing import Any

Slots = dict[str, Any]  # by name: an int, a Pick, or a tuple of slots


@dataclass(frozen=True)
class Pick:
    """A slot with a few values to choose from: a unit, a bracket, a relation sign.

    Attributes:
        value: the value chosen.
        options: the values that a mutation may put in its place.
        mutation: name of that mutation.
    """

    value: Any
    options: tuple[Any, ...]
    mutation: str


@dataclass(frozen=True)
class Writings:
    """Texts of one answer.

    Attributes:
        golds: writings that say everything; any of them may be the gold answer or the response.
        answers: writings that leave something out (a unit, a name), which a teacher accepts as a response only.
    """

    golds: list[str]
    answers: list[str] = field(default_factory=list)


class Kind(ABC):
    """A kind of gold. Its methods get the slots of one gold as keywords, each Pick as its value."""

    @abstractmethod
    def draw(self, rng: Random) -> Slots:
        """Return the slots of a random gold of this kind."""

    @abstractmethod
    def write(self, **slots: Any) -> Writings:
        """Return the writings of a gold."""

    def value(self, **slots: Any) -> Hashable:
        """Return what two golds of this kind share if and only if they are the same answer.

        Raises:
            ValueError: these slots are no answer, such as a fraction with the denominator 0.
        """
        return tuple(slots.values())

    def choices(self, **slots: Any) -> tuple[str, ...]:
        """Return the choices of the question, if it is a multiple-choice question."""
        return ()

    @property
    def name(self) -> str:
        return type(self).__name__


def plain(slot: Any) -> Any:
    """Return a slot, or a dict of slots, with the value of each Pick in its place."""
    if isinstance(slot, Pick):
        return slot.value
    if isinstance(slot, tuple):
        return tuple(map(plain, slot))
    if isinstance(slot, dict):
        return {name: plain(value) for name, value in slot.items()}
    return slot
