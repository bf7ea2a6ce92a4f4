"""State that the trainer's process keeps between steps, as one small JSON file in each checkpoint's folder.

verl stores the workers' and the data loader's state there. This file is written before verl names the checkpoint as its
latest, so a run never resumes from a checkpoint without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from data_prep.atomic import write_atomically

NAME = "verl_plugins.json"


class Stateful(Protocol):
    """A part of the trainer whose state belongs in a checkpoint."""

    def state(self) -> dict[str, Any] | None:
        """Return the state as JSON values."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        ...


def save_parts(folder: str | Path, parts: Mapping[str, Stateful]) -> None:
    """Write the state of each part into a checkpoint's folder."""
    write_state(folder, {name: part.state() for name, part in parts.items()})


def load_parts(folder: str | Path, parts: Mapping[str, Stateful]) -> None:
    """Load the state of each part from a checkpoint's folder; a part without one starts afresh, with a message."""
    state = read_state(folder)
    for name, part in parts.items():
        if name in state:
            part.load(state[name])
        else:
            print(f"verl-plugins: {folder} holds no state of {name}, which starts anew", flush=True)


def write_state(folder: str | Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` into a checkpoint's folder, whole or not at all. Floats are restored with all their bits."""
    path = Path(folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(state))


def read_state(folder: str | Path) -> dict[str, Any]:
    """Read the state in a checkpoint's folder; empty for a checkpoint that verl wrote without this package."""
    path = Path(folder) / NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
