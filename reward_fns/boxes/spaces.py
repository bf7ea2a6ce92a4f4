"""Coordinate spaces in which models write boxes, and the way to pixels of the original image.

`pixels` of the original image; `0-1000` and `0-1`, relative to its sides; `processed`, pixels of the image after the
model's processor has resized it, by `smart_resize` with patch size times merge size.
"""

from collections.abc import Mapping
from math import ceil, floor, sqrt
from typing import Any

SPACES = {
    "pixels": None,
    "0-1000": 1000.0,
    "0-1": 1.0,
    "processed": None,
}  # length of an image's side
SPACE_OF_MODEL = {  # `model_type` of Transformers: the space in which that family was trained to write boxes
    "qwen2_vl": "0-1000",
    "qwen2_5_vl": "processed",
    "qwen3_vl": "0-1000",
    "qwen3_vl_moe": "0-1000",
    "qwen3_5": "0-1000",
    "internvl": "0-1000",
    "internvl_chat": "0-1000",
}
MAX_ASPECT = 200  # ratio of an image's sides; the processors refuse more

_SET_SIZE = "set extra_info.orig_w and orig_h in the data"


def pixels_per_unit(
    space: str,
    extra_info: Mapping[str, Any] | None,
    factor: int | None = None,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
) -> tuple[float, float]:
    """Return original pixels per unit of a space, for x and for y.

    Args:
        space: a key of SPACES.
        extra_info: has `orig_w` and `orig_h`, in pixels, as numbers or as text, for every space but `pixels`.
        factor, min_pixels, max_pixels: as in `smart_resize`, for `processed`.

    Raises:
        ValueError: the size of the image is missing, not a positive number, or refused by `smart_resize`.
    """
    if space == "pixels":
        return 1.0, 1.0
    info = extra_info or {}
    width, height = (_side(info.get(key)) for key in ("orig_w", "orig_h"))
    if width is None or height is None:
        raise ValueError(
            f"extra_info: got orig_w={info.get('orig_w')!r}, orig_h={info.get('orig_h')!r}, expected the size of the "
            f"original image in pixels, which box_space={space} needs; {_SET_SIZE}, or reward_kwargs.box_space=pixels"
        )
    side = SPACES[space]
    if side is not None:
        return width / side, height / side
    assert factor is not None  # settings_of requires the patch size for `processed`
    rows, columns = smart_resize(height, width, factor, min_pixels, max_pixels)
    return width / columns, height / rows


def smart_resize(
    height: float, width: float, factor: int, min_pixels: int | None = None, max_pixels: int | None = None
) -> tuple[int, int]:
    """Return the size to which a Qwen-VL processor resizes an image: multiples of `factor`, area within two limits.

    Args:
        height, width: size of the original image in pixels.
        factor: patch size times merge size: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL and Qwen3.5.
        min_pixels, max_pixels: limits of the area; None for those of `area_limits`.

    Returns:
        (height, width) in pixels. Sides are rounded to the nearest multiple, and halves to the even multiple.

    Raises:
        ValueError: a side is not positive, or one is more than MAX_ASPECT times the other.

    Source: `smart_resize` of qwen_vl_utils 0.0.14.
    """
    if min(height, width) <= 0 or max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(
            f"image size: got {width:g} x {height:g} pixels, expected positive sides with a ratio of at most "
            f"{MAX_ASPECT}; {_SET_SIZE}"
        )
    least, most = area_limits(factor, min_pixels, max_pixels)
    rows, columns = (max(1, round(side / factor)) for side in (height, width))
    if rows * columns * factor**2 > most:
        shrink = sqrt(height * width / most)
        rows, columns = (max(1, floor(side / shrink / factor)) for side in (height, width))
    elif rows * columns * factor**2 < least:
        grow = sqrt(least / (height * width))
        rows, columns = (ceil(side * grow / factor) for side in (height, width))
    return rows * factor, columns * factor


def area_limits(factor: int, min_pixels: int | None, max_pixels: int | None) -> tuple[int, int]:
    """Return the least and the most pixels of a resized image; None stands for 4 and 16384 times factor^2."""
    least = 4 * factor**2 if min_pixels is None else min_pixels
    most = 16384 * factor**2 if max_pixels is None else max_pixels
    return least, most


def _side(value: object) -> float | None:
    """Return a positive number of pixels, given as a number or as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        side = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        return None
    return side if 0 < side < float("inf") else None
