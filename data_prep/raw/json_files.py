"""Reads JSON and JSON lines, also with a byte order mark, in UTF-16 or cp1252, or with blank lines."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep.types import Rejection

_BEFORE_JSON = b" \t\r\n\0" + codecs.BOM_UTF8 + codecs.BOM_UTF16_LE  # the bytes of UTF-16's two marks are the same


def decoded(data: bytes, path: Path | None = None) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark, else cp1252, else Latin-1, which fits any bytes.

    Args:
        data: the bytes.
        path: the file that they are of, which is named on the terminal, once, if its encoding had to be guessed.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text, encoding = data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "Latin-1"
    if path is not None:
        _tell_guess(path, encoding)
    return text


@lru_cache(maxsize=64)
def _tell_guess(path: Path, encoding: str) -> None:
    print(f"{path} is not UTF-8, and was read as {encoding}; if that is wrong, save it as UTF-8 and convert it again")


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | Rejection]]:
    """Yield the source ("file:line") and the object of each line that is not blank."""
    for where, _, row in placed_lines(path):
        yield where, row


def placed_lines(path: Path) -> Iterator[tuple[str, int, dict[str, Any] | Rejection]]:
    """Yield what `json_lines` yields, and between both the position of the line's first byte, for `line_at`.

    Raises:
        SystemExit: the file is in UTF-16.
    """
    offset = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise SystemExit(f"{path}: got lines in UTF-16, expected UTF-8; save it as UTF-8")
            text = decoded(line, path).strip()
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

    A file named *.jsonl, or with an object in each line, is read by `json_lines` instead.

    Raises:
        SystemExit: the file is not JSON, or not a list.
    """
    if path.suffix == ".jsonl" or holds_lines(path):
        yield from json_lines(path)
        return
    rows = load_json(path)
    if not isinstance(rows, list):
        raise SystemExit(f"{path}: got a JSON {type(rows).__name__}, expected a list of rows")
    for position, row in enumerate(rows):
        is_object = isinstance(row, dict)
        yield f"{path.name}#{position}", row if is_object else Rejection("row_malformed", f"got {str(row)[:80]!r}")


def holds_lines(path: Path) -> bool:
    """Return whether the first two lines of a file that are not blank are JSON objects, whatever its name says."""
    with path.open("rb") as file:
        if not file.read(64).lstrip(_BEFORE_JSON).startswith(b"{"):
            return False
        file.seek(0)
        lines = list(islice((line for line in file if line.strip()), 2))
    return len(lines) == 2 and all(isinstance(_object(decoded(line).strip()), dict) for line in lines)


def holds_list(path: Path) -> bool:
    """Return whether a JSON file is a list by its beginning."""
    with path.open("rb") as file:
        return file.read(64).lstrip(_BEFORE_JSON).startswith(b"[")


def load_json(path: Path) -> Any:
    """Load a JSON file.

    Raises:
        SystemExit: the file is not JSON.
    """
    return parse_json(path.read_bytes(), path)


def parse_json(data: bytes, where: Path, without: str | None = None) -> Any:
    """Parse the content of a JSON file.

    Args:
        data: the content.
        where: its path, for messages.
        without: a key to drop from all objects, because its values are large and not needed.

    Raises:
        SystemExit: the file is not JSON.
    """

    def drop(pairs: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in pairs.items() if key != without}

    try:
        return json.loads(decoded(data, where), object_hook=drop if without else None)
    except (ValueError, RecursionError) as error:
        raise SystemExit(f"{where}: expected JSON, got {error}; fetch the file again") from None
