"""What the driver must remember to go on where a checkpoint ends: one small JSON file in the checkpoint's folder.

verl keeps the workers' and the dataloader's state there. The file is written before verl names the checkpoint as its
latest, so that a run never resumes from a checkpoint without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "verl_plugins.json"


def write_state(folder: str | Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` into a checkpoint's folder, whole or not at all. Floats come back with all their bits."""
    path = Path(folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{NAME}.{os.getpid()}")
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.replace(path)


def read_state(folder: str | Path) -> dict[str, Any]:
    """The state in a checkpoint's folder; empty for a checkpoint that verl wrote without this package."""
    path = Path(folder) / NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
