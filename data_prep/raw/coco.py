"""Names of COCO's image files, which differ between its releases of 2014 and 2017."""

from __future__ import annotations

import re
from typing import Any

from data_prep.raw.files import Files
from data_prep.row.texts import text_of
from data_prep.types import Location, Rejection

_COCO_FILE = re.compile(r"(COCO_\w+?_\d{12})(?:_\d+)?\.jpg$")
_NUMBER = re.compile(r"(?:COCO_(?:train|val)2014_)?(\d{12})\.jpg")
_RELEASES = ("", "COCO_train2014_", "COCO_val2014_")  # what stands before the number; the first is of 2017


def coco_file(name: Any) -> str:
    """Return the file name of a COCO image, given a path to it or the name of a region of it.

    A region is named like "COCO_train2014_000000581857_16.jpg". Folders are dropped: they differ between
    distributions, and COCO's file names are unique without them. Any other name is returned as it is.
    """
    match = _COCO_FILE.search(text_of(name))
    return f"{match[1]}.jpg" if match else text_of(name)


def locate_coco(files: Files, name: str) -> Location:
    """Return what `Files.locate` returns for an image; a COCO image may have the name of another release on disk.

    The pictures of train2014 and val2014 are in train2017 and val2017 too, under names like "000000581857.jpg".
    """
    location = files.locate(name)
    number = _NUMBER.fullmatch(name.rpartition("/")[2])
    if number and isinstance(location, dict) and location["reject"] == "image_missing":
        others = (files.find(f"{release}{number[1]}.jpg") for release in _RELEASES)
        return next((other for other in others if not isinstance(other, Rejection)), location)
    return location
