"""Process of one stage: ``python -m gpu.stage MODULE DEVICE FILE`` writes the stage's lines to FILE as JSON.

Each line is written at once, so that a stage that crashes or hangs leaves its earlier lines.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from gpu.missing import stand_in_for_missing_packages


def main(module: str, device: str, path: Path) -> None:
    stand_in_for_missing_packages()
    with path.open("w") as file:
        for line in importlib.import_module(module).measure(device):
            print(line, flush=True)  # goes to the log
            file.write(json.dumps(asdict(line)) + "\n")
            file.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
