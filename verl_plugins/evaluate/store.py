"""The results folder, in which a stop at any moment loses one batch at most.

`evaluation.json` names the model, the data, the settings and the versions; another evaluation is refused once there are
results, while a start that failed before leaves the folder free. The lines of `results.jsonl` are in the order of the
rows and are appended batch by batch; a batch is on disk before the next one begins. After a stop, the unfinished batch
is cut off and asked again as a whole, so that a run that was stopped ends with the same file as one that was not.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from verl_plugins.evaluate.results_folder import output_folder, read_facts

Line = dict[str, Any]
Key = tuple[int, int]  # number of the file among the data, number of the row in it

ATTACKED = "attacked.jsonl"
"""Lines of an attack along the model's gradient: the entropy that it raises, before and after."""


class BatchLog:
    """A file of JSON lines in the order of the rows, which is appended batch by batch and resumed after a stop.

    Args:
        path: the file.
    """

    def __init__(self, path: Path):
        self.path = path

    def resume(self, keys: Sequence[Key], batch_size: int) -> int:
        """Cut off an unfinished batch, and return how many of the rows `keys` are done, counted from the first."""
        if not self.path.exists():
            return 0
        done, end, batches_end = 0, 0, 0
        with self.path.open("rb+") as file:
            for text in file:
                if done == len(keys) or not text.endswith(b"\n") or _key_of(text) != keys[done]:
                    break
                done, end = done + 1, end + len(text)
                if done % batch_size == 0 or done == len(keys):
                    batches_end = end
            file.truncate(batches_end)
            os.fsync(file.fileno())
        return done if done == len(keys) else done - done % batch_size

    def append(self, lines: Sequence[Line]) -> None:
        """Write a batch to disk.

        Raises:
            SystemExit: it could not be written, for example because the disk is full.
        """
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        try:
            with self.path.open("ab") as file:
                file.write(text.encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SystemExit(
                f"--out {self.path.parent}: could not write a batch of results ({error}); those before it are kept: "
                "make room, and start the same command again to go on"
            ) from None


class Store:
    """A results folder that only this process writes to; use it as a context manager.

    Args:
        folder: the results folder; created if missing.
        facts: everything that the results depend on, as JSON; only values of keys that end in `path` may change.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]):
        self.folder, self.facts = folder, facts
        self.results = self.log("results.jsonl")

    def __enter__(self) -> Store:
        output_folder(self.folder)
        with ExitStack() as opened:
            lock = opened.enter_context((self.folder / ".lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SystemExit(f"--out {self.folder}: another evaluation writes there; wait, or give --out") from None
            self._claim()
            self._open = opened.pop_all()  # hold the lock until `__exit__`
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def log(self, name: str) -> BatchLog:
        """Return another file of this folder that is written batch by batch."""
        return BatchLog(self.folder / name)

    def _claim(self) -> None:
        header = self.folder / "evaluation.json"
        if any(_holds_a_line(path) for path in self.folder.glob("*.jsonl")):
            if not header.is_file():
                raise SystemExit(f"--out {self.folder}: got results without evaluation.json; give another --out")
            self._refuse_another(read_facts(self.folder))
        write_atomically(header, json.dumps(self.facts, indent=1, ensure_ascii=False) + "\n")

    def _refuse_another(self, before: dict[str, Any]) -> None:
        old, new = _flat(before), _flat(self.facts)
        names = [name for name in {**old, **new} if old.get(name) != new.get(name) and not name.endswith("path")]
        if names:
            differences = "; ".join(
                f"{name}: got {new.get(name)!r}, there it is {old.get(name)!r}" for name in names[:4]
            )
            raise SystemExit(
                f"--out {self.folder}: holds the results of another evaluation ({differences}); give another --out, or "
                "the model, data and settings it was started with"
            )


def _holds_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().endswith(b"\n")


def key_of(line: Line) -> Key:
    """Return the row that a line is about."""
    return line["file"], line["row"]


def _key_of(text: bytes) -> Key | None:
    try:
        return key_of(json.loads(text))
    except (ValueError, KeyError, TypeError):
        return None


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return the leaves of nested dicts and lists by their dotted names."""
    if not isinstance(value, dict | list):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    leaves: dict[str, Any] = {}
    for key, inner in items:
        leaves |= _flat(inner, f"{name}.{key}" if name else str(key))
    return leaves
