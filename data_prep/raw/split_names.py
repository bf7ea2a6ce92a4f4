"""Names of splits in names of files."""

from __future__ import annotations

import re
from pathlib import Path

_SPLIT = re.compile(r"(?:^|[-_.])(train|validation|val|testA|testB|test)(?=$|[-_.])")


def split_of_file(path: Path, default: str = "") -> str:
    """Return the split in the name of a file, else in the name of its folder, else `default`.

    "val-00000-of-00002.parquet" is of the split "val"; "validation" becomes "val" too.
    """
    for name in (path.stem, path.parent.name):
        match = _SPLIT.search(name)
        if match:
            return "val" if match[1] == "validation" else match[1]
    return default
