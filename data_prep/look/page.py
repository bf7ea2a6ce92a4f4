"""The page of `python -m data_prep inspect`: one file that needs no other, in the reader's light or dark colours."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_prep.html import render
from data_prep.look.reading import image_file
from data_prep.raw.image_values import image_items
from data_prep.row.boxes import gold_boxes
from data_prep.types import Row

_SHOWN_PIXELS = 480  # the longer side of an image on the page


def page(path: Path, facts: list[tuple[str, str]], schema: str, rows: Iterable[tuple[int, Row]]) -> str:
    """Render the page as HTML.

    Args:
        path: the file; names of images count from its folder.
        facts: names and values.
        schema: the schema as text.
        rows: the rows to show, each with its number.

    Raises:
        SystemExit: an image that a row names cannot be read.
    """
    cards = (_card(row, number, path.parent) for number, row in rows)
    return render("data_prep/html/rows_page.html", title=path.name, facts=facts, schema=schema, rows=cards)


def _card(row: Row, number: int, folder: Path) -> dict[str, Any]:
    """Return the values that the template shows of a row; fields that other programs leave out are not shown."""
    info = row.get("extra_info")
    info = info if isinstance(info, dict) else {}
    gold = (row.get("reward_model") or {}).get("ground_truth")
    id = info.get("id") or f"#{number}"
    boxes = gold_boxes(gold) if isinstance(gold, str) else None
    images = [_image(item, id, folder) for item in image_items(row.get("images"))]
    for image in images[:1]:  # boxes are in pixels of the first image before it was scaled down
        image["boxes"] = boxes or ()
        image["width"], image["height"] = info.get("orig_w") or image["width"], info.get("orig_h") or image["height"]
    size = f"{images[0]['width']} × {images[0]['height']}" if images else None
    known = [row.get("data_source"), info.get("split"), id, size]
    return {
        "images": images,
        "question": info.get("question") or row["prompt"][-1]["content"],
        "prompt": [message["content"] for message in row["prompt"]],
        "gold": gold,
        "summary": " · ".join(str(value) for value in known if value is not None),
    }


def _image(item: Any, id: str, folder: Path) -> dict[str, Any]:
    """Return an image, reduced, with its own size in pixels and without boxes."""
    import PIL.Image

    try:
        data = image_file(item, folder)
    except OSError as error:
        raise SystemExit(f"row {id}: cannot read {error.filename}: {error.strerror}; convert again") from None
    buffer = io.BytesIO()
    try:
        with PIL.Image.open(io.BytesIO(data or b"")) as original:
            width, height = original.size
            reduced = original.convert("RGB")
            reduced.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
            reduced.save(buffer, format="JPEG", quality=85)
    except (OSError, ValueError) as error:
        raise SystemExit(f"row {id}: cannot decode its image ({type(error).__name__}); leave the row out") from None
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"source": f"data:image/jpeg;base64,{encoded}", "width": width, "height": height, "boxes": ()}
