"""Fields of a row by dotted paths, such as `meta.answer`, `conversations.1.value` or `objects.bbox`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

_OF_AN_IMAGE = {"bytes", "path"}  # keys of an image, which nobody names one by one
_LISTED_ITEMS = 2  # elements of a list whose fields are listed: a question and its answer, in a conversation
_LISTED_FIELDS = 40


def field_at(value: Any, path: str) -> Any:
    """Return the value at a path; None if there is none.

    A part of the path is a key, or the number of an element of a list, from 0. Any other part at a list is looked up in
    every element, and the result is the list of what was found. A key that contains dots is found as a whole.
    """
    if not path:
        return value
    part, _, rest = path.partition(".")
    if isinstance(value, dict):
        if path in value:
            return value[path]
        return field_at(value[part], rest) if part in value else None
    if not isinstance(value, list):
        return None
    if part.isdecimal():
        return field_at(value[int(part)], rest) if int(part) < len(value) else None
    values = [field_at(item, path) for item in value]
    return [item for item in values if item is not None] or None


def field_paths(value: Any, before: str = "") -> Iterator[str]:
    """Yield the paths of the fields of a row, nested ones after the field that they are in."""
    if isinstance(value, dict) and not (before and set(value) <= _OF_AN_IMAGE):
        for key, item in value.items():
            yield f"{before}{key}"
            yield from field_paths(item, f"{before}{key}.")
    elif isinstance(value, list):
        for number, item in enumerate(value[:_LISTED_ITEMS]):
            if isinstance(item, dict):
                yield from field_paths(item, f"{before}{number}.")


def has_field(rows: Iterable[dict[str, Any]], path: str) -> bool:
    """Return whether any of the rows has the field, though it may be null."""
    return any(field_at(row, path) is not None or path in field_paths(row) for row in rows)


def fields_text(rows: Iterable[dict[str, Any]], missing: Iterable[str] = ()) -> str:
    """Return the fields of some rows for a message, after those whose names are nearest to the missing ones."""
    paths = list(dict.fromkeys(path for row in rows for path in field_paths(row)))
    nearest = [near for name in missing for near in get_close_matches(name, paths, n=2, cutoff=0.6)]
    listed = ", ".join(paths[:_LISTED_FIELDS]) + (", ..." if len(paths) > _LISTED_FIELDS else "")
    meant = f"nearest: {', '.join(dict.fromkeys(nearest))}; " if nearest else ""
    return f"{meant}its fields: {listed or 'none'}"
