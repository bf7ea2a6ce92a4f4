"""Reads JSON and JSON lines, also with a byte order mark, in cp1252, or with blank lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.types import Rejection


def decoded(data: bytes) -> str:
    """Decode UTF-8 with or without a byte order mark, else cp1252, else Latin-1, which fits any bytes."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | Rejection]]:
    """Yield the source ("file:line") and the object of each line that is not blank."""
    for where, _, row in placed_lines(path):
        yield where, row


def placed_lines(path: Path) -> Iterator[tuple[str, int, dict[str, Any] | Rejection]]:
    """Yield what `json_lines` yields, and between both the position of the line's first byte, for `line_at`."""
    offset = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            text = decoded(line).strip()
            if text:
                yield f"{path.name}:{number}", offset, _object(text)
            offset += len(line)


def line_at(path: Path, offset: int) -> Any:
    """Return the value of the line that begins at a position in bytes.

    Raises:
        OSError, ValueError: the file has changed since.
    """
    with path.open("rb") as lines:
        lines.seek(offset)
        return json.loads(decoded(lines.readline()))


def _object(text: str) -> dict[str, Any] | Rejection:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Rejection("json_malformed", f"{error}"[:200])
    return value if isinstance(value, dict) else Rejection("row_malformed", f"got {text[:80]!r}, expected an object")


def json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any] | Rejection]]:
    """Yield the source ("file#position") and the object of each element of a JSON list.

    A file named *.jsonl is read by `json_lines` instead.

    Raises:
        SystemExit: the file is not JSON, or not a list.
    """
    if path.suffix == ".jsonl":
        yield from json_lines(path)
        return
    rows = load_json(path)
    if not isinstance(rows, list):
        raise SystemExit(f"{path}: got a JSON {type(rows).__name__}, expected a list of rows")
    for position, row in enumerate(rows):
        is_object = isinstance(row, dict)
        yield f"{path.name}#{position}", row if is_object else Rejection("row_malformed", f"got {str(row)[:80]!r}")


def load_json(path: Path, without: str | None = None) -> Any:
    """Load a JSON file.

    Args:
        path: the file.
        without: a key to drop from all objects, because its values are large and not needed.

    Raises:
        SystemExit: the file is not JSON.
    """

    def drop(pairs: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in pairs.items() if key != without}

    try:
        return json.loads(decoded(path.read_bytes()), object_hook=drop if without else None)
    except (ValueError, RecursionError) as error:
        raise SystemExit(f"{path}: expected JSON, got {error}; fetch the file again") from None
