"""Names of splits in names of files."""

from __future__ import annotations

import re
from pathlib import Path

_SPLIT = re.compile(
    r"(?:^|[-_.])(?:(testA|testB)|(?i:(?P<train>train|training)|(?P<val>validation|valid|val|dev)|(?P<test>test)))(?=$|[-_.])"
)


def split_of_file(path: Path, default: str = "") -> str:
    """Return the split in the name of a file, else in the name of its folder, else `default`.

    "val-00000-of-00002.parquet" is of the split "val"; "validation", "valid" and "dev" become "val" too.
    """
    for name in (path.stem, path.parent.name):
        match = _SPLIT.search(name)
        if match:
            return match[1] or str(match.lastgroup)
    return default
