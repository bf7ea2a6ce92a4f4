"""Reading a results folder, whose damaged files are told by name and line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from verl_plugins.evaluate.recognise import FORMATS
from verl_plugins.evaluate.scoring import REJECTED, Line

FIX = "restore it, or evaluate again into another --out"
TEXTS = ("data_source", "split", "id", "kind", "subject", "type", "question", "response", "finish")
NUMBERS = ("score", "accuracy", "format", "iou")


def read_facts(folder: Path) -> dict[str, Any]:
    """Read `evaluation.json` of a results folder.

    Raises:
        SystemExit: the folder has none, or it is damaged.
    """
    header = folder / "evaluation.json"
    if not header.is_file():
        raise SystemExit(f"{folder}: got no evaluation.json, expected a folder that an evaluation wrote (--out)")
    facts = read_json(header)
    if lacking := [name for name, is_sound in _facts(facts).items() if not is_sound]:
        raise SystemExit(f"{header}: got no {', '.join(lacking)}, expected what an evaluation writes there; {FIX}")
    return facts


def _facts(facts: Any) -> dict[str, bool]:
    """Tell of each part of `evaluation.json` that is read whether it is sound."""
    if not isinstance(facts, dict):
        return {"JSON object": False}
    data, attack = facts.get("data"), facts.get("attack")
    return {
        "model.path": isinstance(facts.get("model"), dict) and isinstance(facts["model"].get("path"), str),
        "settings": isinstance(facts.get("settings"), dict),
        "data": isinstance(data, list) and bool(data) and all(_is_data_file(each) for each in data),
        "attack": attack is None or _is_attack(attack),
    }


def _is_attack(facts: Any) -> bool:
    """Tell whether `attack` names an attack, its strength and its steps, of which it may have none."""
    return (
        isinstance(facts, dict)
        and isinstance(facts.get("name"), str)
        and _is_finite(facts.get("strength"))
        and _is_index(facts.get("steps", 1))
    )


def _is_data_file(facts: Any) -> bool:
    """Tell whether an entry of `data` names a file, its hash and a format that is known."""
    texts = ("path", "sha256", "format")
    return (
        isinstance(facts, dict)
        and all(isinstance(facts.get(name), str) for name in texts)
        and facts["format"] in FORMATS
    )


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        SystemExit: it is none, as after a crash or a full disk.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SystemExit(f"{path}: got a file that is no JSON ({error}), expected a whole one; {FIX}") from None


def read_results(folder: Path, facts: Mapping[str, Any]) -> list[Line]:
    """Read the complete lines of `results.jsonl`.

    Args:
        folder: the results folder.
        facts: its `evaluation.json`.

    Raises:
        SystemExit: there is no such file, or a line of it is damaged.
    """
    path = folder / "results.jsonl"
    if not path.is_file():
        raise SystemExit(f"{folder}: got no results.jsonl, expected a folder in which an evaluation has answered rows")
    lines = read_lines(path)
    for number, line in enumerate(lines, start=1):
        if problem := _problem_of(line, len(facts["data"])):
            raise SystemExit(f"{path}, line {number}: got {problem}; {FIX}")
    return lines


def _problem_of(line: Line, files: int) -> str:
    """Return what is wrong with a line of results, as got and expected; "" if nothing is."""
    if line["file"] >= files:
        return f"file {line['file']}, expected less than {files}, the number of files in evaluation.json"
    is_rejected = line.get("status") == REJECTED
    texts = ("reason",) if is_rejected else ("status", *TEXTS)
    wrong = [name for name in texts if not isinstance(line.get(name), str)]
    if not is_rejected:
        wrong += [name for name in NUMBERS if not _is_finite(line.get(name))]
        wrong += [name for name in ("gold", "tokens") if name not in line]
        wrong += ["boxes"] if line.get("kind") == "grounding" and "boxes" not in line else []
    return (
        "; ".join(f"{name} {line.get(name)!r}" for name in wrong[:3]) + ", expected a line of results" if wrong else ""
    )


def read_lines(path: Path) -> list[Line]:
    """Read the complete lines of a file about rows, in JSON; a truncated last line is left out.

    Raises:
        SystemExit: a line before it is no JSON object with the numbers of a file and a row.
    """
    if not path.is_file():
        return []
    lines = []
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            if not text.endswith(b"\n"):
                break
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            if not (isinstance(line, dict) and all(_is_index(line.get(name)) for name in ("file", "row"))):
                got = text.decode("utf-8", "replace").strip()[:80]
                raise SystemExit(f"{path}, line {number}: got {got!r}, expected a JSON object with file and row; {FIX}")
            lines.append(line)
    return lines


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def output_folder(out: Path) -> Path:
    """Create the folder that `--out` names, and return it.

    Raises:
        SystemExit: it is a file, or cannot be created.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"--out {out}: got {error.strerror or error}, expected a folder that can be made") from None
    return out
