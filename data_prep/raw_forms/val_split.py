"""Draws validation rows from rows that have no split of their own, so that no image is in both splits."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random


def drawn_rows(images: Sequence[Sequence[str]], fraction: float, seed: int) -> set[int]:
    """Return the numbers of the rows that are drawn: at least `fraction` of them, by whole groups of shared images.

    Rows that share an image, directly or through other rows, are one group. Groups are drawn in an order that the seed
    decides until there are enough rows.

    Args:
        images: for each row the names or hashes of its images.
        fraction: in (0, 1).
        seed: of the draw.

    Raises:
        SystemExit: nothing would remain to train on.
    """
    groups = _groups(images)
    drawn: set[int] = set()
    for group in Random(seed).sample(groups, len(groups)):
        if len(drawn) >= fraction * len(images):
            break
        drawn.update(group)
    if len(drawn) == len(images):
        raise SystemExit(
            f"--val-fraction: got {fraction} of {len(images)} rows in {len(groups)} groups that share no image, "
            "expected rows that remain to train on; set a smaller fraction, or bring a file of validation rows"
        )
    return drawn


def _groups(images: Sequence[Sequence[str]]) -> list[list[int]]:
    """Return the row numbers of each group, in the order of their first rows."""
    parents = list(range(len(images)))

    def first_of(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    shown_by: dict[str, int] = {}
    for number, names in enumerate(images):
        for name in names:
            earlier, later = sorted((first_of(shown_by.setdefault(name, number)), first_of(number)))
            parents[later] = earlier
    groups: dict[int, list[int]] = {}
    for number in range(len(images)):
        groups.setdefault(first_of(number), []).append(number)
    return list(groups.values())
