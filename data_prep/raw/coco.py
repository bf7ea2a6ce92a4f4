"""Names of COCO's image files."""

from __future__ import annotations

import re
from typing import Any

from data_prep.row.texts import text_of

_COCO_FILE = re.compile(r"(COCO_\w+?_\d{12})(?:_\d+)?\.jpg$")


def coco_file(name: Any) -> str:
    """Return the file name of a COCO image, given a path to it or the name of a region of it.

    A region is named like "COCO_train2014_000000581857_16.jpg". Folders are dropped: they differ between
    distributions, and COCO's file names are unique without them. Any other name is returned as it is.
    """
    match = _COCO_FILE.search(text_of(name))
    return f"{match[1]}.jpg" if match else text_of(name)
