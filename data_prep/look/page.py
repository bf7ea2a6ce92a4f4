"""The page of `python -m data_prep inspect`: one file that needs no other, in the reader's light or dark colours."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_prep.html import render
from data_prep.row.boxes import gold_box
from data_prep.types import Row

_SHOWN_PIXELS = 480  # the longer side of an image on the page


def page(title: str, facts: list[tuple[str, str]], schema: str, rows: Iterable[Row]) -> str:
    """Render the page as HTML.

    Args:
        title: name of the file.
        facts: names and values.
        schema: the schema as text.
        rows: the rows to show.

    Raises:
        SystemExit: an image file that a row names cannot be read.
    """
    return render("data_prep/html/rows_page.html", title=title, facts=facts, schema=schema, rows=map(_card, rows))


def _card(row: Row) -> dict[str, Any]:
    """Return the values that the template shows of a row."""
    info, gold = row["extra_info"], row["reward_model"]["ground_truth"]
    return {
        "images": [_image(image, info, gold, is_first=number == 0) for number, image in enumerate(row["images"])],
        "question": info["question"],
        "prompt": [message["content"] for message in row["prompt"]],
        "gold": gold,
        "summary": f"{row['data_source']} · {info['split']} · {info['id']} · {info['orig_w']} × {info['orig_h']}",
    }


def _image(image: Row, info: Row, gold: str, is_first: bool) -> dict[str, Any]:
    """Return an image with its size and box in pixels of the original, the coordinates of the row.

    Only the first image has the original's size in the row, and the box.
    """
    import PIL.Image

    try:
        data = image["bytes"] or Path(image["path"]).read_bytes()
    except OSError as error:
        raise SystemExit(f"row {info['id']}: cannot read {image['path']}: {error.strerror}; convert again") from None
    buffer = io.BytesIO()
    with PIL.Image.open(io.BytesIO(data)) as original:
        width, height = (info["orig_w"], info["orig_h"]) if is_first else original.size
        reduced = original.convert("RGB")
        reduced.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
        reduced.save(buffer, format="JPEG", quality=85)
    return {
        "source": "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode(),
        "width": width,
        "height": height,
        "box": gold_box(gold) if is_first else None,
    }
