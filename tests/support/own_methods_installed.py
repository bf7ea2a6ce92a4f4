"""The example package ``own_methods``, installed by its own pyproject.toml into a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent / "own_methods"


def install_own_methods(folder: Path) -> Path:
    """Install the package as ``pip install`` would; returns the folder to put on PYTHONPATH."""
    shutil.copytree(SOURCE, folder / "source")
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "pip", "install", "--offline", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--target", folder / "site", folder / "source"], check=True, capture_output=True)
    return folder / "site"
