"""Images as rows of any origin hold them: bytes, a path, base64 or a data URL, a dict of one of these, or a list."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from data_prep.row.texts import from_json

_IN_A_DICT = ("bytes", "path", "image", "url")  # the first that is set counts
_BEGINNINGS = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR", "Qk")  # base64 of JPEG, PNG, GIF, WebP and BMP
_SHORTEST = 64  # characters of base64; no image is shorter


def image_items(value: Any) -> list[Any]:
    """Return the images of a field: the elements of a list, or of JSON text with a list, or the only one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = from_json(value)
        except ValueError:
            return [value]
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def image_content(item: Any) -> bytes | str | None:
    """Return the bytes of an image file, or the name of the file; None if the item holds neither.

    Base64 that cannot be decoded becomes no bytes, which no reader takes for an image.
    """
    if isinstance(item, dict):
        key = next((key for key in _IN_A_DICT if item.get(key) not in (None, "")), None)
        item = item[key] if key else None
        if key == "bytes" and isinstance(item, str):
            return _from_base64(item.rpartition(",")[2])
    if isinstance(item, bytes):
        return item
    if not isinstance(item, str) or not item.strip():
        return None
    text = item.strip()
    if text.startswith("data:"):
        return _from_base64(text.partition(",")[2])
    if len(text) >= _SHORTEST and text.startswith(_BEGINNINGS) and "." not in text:
        return _from_base64(text)
    return text


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
