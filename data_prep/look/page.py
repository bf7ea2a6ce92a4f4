"""The page of `python -m data_prep inspect`: one file that needs no other, in the reader's light or dark colours."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from pathlib import Path

from data_prep.row.boxes import gold_box
from data_prep.types import Row

_SHOWN_PIXELS = 480  # the longer side of a picture on the page

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --paper: #fbfbfc; --card: #fff; --line: #dfe1e6;
  --mark: #d6336c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a0a6b0; --paper: #14161a; --card: #1d2026;
  --line: #333842; --mark: #ff6b9d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; margin: 0 0 1.25rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin: 0 0 1.5rem; } summary { cursor: pointer; color: var(--soft); }
pre { overflow-x: auto; font-size: .85rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1.25rem; align-items: start; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
article svg { display: block; width: 100%; max-height: 22rem; background: #fff; border-bottom: 1px solid var(--line); }
article svg rect { fill: none; stroke: var(--mark); stroke-width: 3; vector-effect: non-scaling-stroke; }
article svg rect.halo { stroke: #fff; stroke-width: 7; }
.words { padding: .75rem 1rem 1rem; } .words p { margin: 0 0 .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.words .id { color: var(--soft); font-size: .85rem; margin: 0; } .gold { color: var(--mark); font-weight: 600; }
"""


def page(title: str, facts: list[tuple[str, str]], schema: str, rows: Iterable[Row]) -> str:
    """The page's HTML.

    Args:
        title: name of the file.
        facts: name and value.
        schema: the schema as text.
        rows: the rows to show.
    """
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{_STYLE}</style><h1>{escape(title)}</h1><dl class="facts">{listed}</dl>'
        f"<details><summary>Schema</summary><pre>{escape(schema)}</pre></details>"
        f"<main>{''.join(map(_card, rows))}</main></html>\n"
    )


def _card(row: Row) -> str:
    info, gold = row["extra_info"], row["reward_model"]["ground_truth"]
    pictures = "".join(_picture(image, info, gold, first=number == 0) for number, image in enumerate(row["images"]))
    said = "".join(f"<p>{escape(message['content'])}</p>" for message in row["prompt"])
    about = f"{row['data_source']} · {info['split']} · {info['id']} · {info['orig_w']} × {info['orig_h']}"
    words = f'{said}<p class="gold">{escape(gold)}</p><p class="id">{escape(about)}</p>'
    return f'<article>{pictures}<div class="words">{words}</div></article>'


def _picture(image: Row, info: Row, gold: str, first: bool) -> str:
    """An image in the coordinates of the original, so that the box is drawn as it stands in the row."""
    import PIL.Image

    try:
        data = image["bytes"] or Path(image["path"]).read_bytes()
    except OSError as error:
        raise SystemExit(f"row {info['id']}: cannot read {image['path']}: {error.strerror}; convert again") from None
    buffer = io.BytesIO()
    with PIL.Image.open(io.BytesIO(data)) as picture:
        width, height = (info["orig_w"], info["orig_h"]) if first else picture.size
        shown = picture.convert("RGB")
        shown.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
        shown.save(buffer, format="JPEG", quality=85)
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    box = gold_box(gold) if first else None
    drawn = f'<image href="{source}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
    if box is not None:
        x1, y1, x2, y2 = box
        place = f'x="{x1}" y="{y1}" width="{x2 - x1}" height="{y2 - y1}"'
        drawn += f'<rect class="halo" {place}/><rect {place}/>'
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(info["question"])}">{drawn}</svg>'
