"""Decodes an image completely, and encodes it as an RGB JPEG or PNG that every reader shows alike."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_prep.types import Rejection

if TYPE_CHECKING:
    from PIL.Image import Image

MIN_SIDE = 28  # pixels: one token of Qwen2-VL and Qwen2.5-VL; a budget scales no side below it
MAX_ASPECT = 200  # Qwen-VL's resizing raises beyond it
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright


@dataclass(frozen=True)
class EncodedImage:
    """An image ready to be written.

    Args:
        data: an RGB JPEG or PNG.
        width, height: size of the original in pixels, even if `data` is smaller.
        sha256: hash of the size and RGB pixels of the original; a PNG and its copy with another compression have the
            same hash.
        is_original: whether `data` is the original file, byte for byte.
    """

    data: bytes
    width: int
    height: int
    sha256: str
    is_original: bool


def decode(data: bytes, budget: int | None = None) -> EncodedImage | Rejection:
    """Decode an image completely; an upright RGB JPEG or PNG is kept byte for byte.

    Any other image is encoded again: JPEG stays JPEG, at quality 95, everything else becomes PNG, transparency white.

    Args:
        data: the image file.
        budget: largest number of pixels; larger images are scaled down to it. None keeps every size.
    """
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data)) as image:
            image.load()
            form, is_upright = image.format, image.getexif().get(_ORIENTATION, 1) == 1
            is_plain = image.mode == "RGB" and not image.has_transparency_data and form in ("JPEG", "PNG")
            is_plain = is_plain and is_upright and not getattr(image, "is_animated", False)
            rgb = image if is_plain else _upright_rgb(image)
    except PIL.Image.DecompressionBombError as error:
        return Rejection("image_too_large", str(error))
    except PIL.UnidentifiedImageError as error:  # its own text holds an address in memory, another in each run
        return Rejection("image_corrupt", f"{type(error).__name__}: cannot identify image file")
    except Exception as error:  # on broken files, Pillow's decoders raise errors of any type
        return Rejection("image_corrupt", f"{type(error).__name__}: {error}"[:200])
    width, height = rgb.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        return Rejection("image_aspect", f"{width} x {height}")
    sha256 = hashlib.sha256(f"{width}x{height}".encode())
    sha256.update(rgb.tobytes())  # a second update, since joining both would copy all pixels
    if budget is not None and width * height > budget:
        rgb, is_plain = _within(rgb, budget), False
    return EncodedImage(data if is_plain else _encoded(rgb, form), width, height, sha256.hexdigest(), is_plain)


def _upright_rgb(image: Image) -> Image:
    import PIL.Image
    import PIL.ImageOps

    image = PIL.ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Scale a grey image of 16 or 32 bits to 8.

    White is 65535 for 16-bit integers. For others it is the first of 1 (floats only), 255 and 65535 that no value
    exceeds. If values are negative or larger still, the range from the smallest to the largest value is stretched.

    Raises:
        ValueError: a value is not finite.
    """
    import numpy as np
    import PIL.Image

    values = np.asarray(image, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low + high):
        raise ValueError("values that are not finite")
    if image.mode.startswith("I;16"):
        whites = [65535.0]
    else:
        whites = [1.0, 255.0, 65535.0] if image.mode == "F" else [255.0, 65535.0]
    white = next((white for white in whites if high <= white), None)
    if low < 0 or white is None:
        values, white = values - low, (high - low) or 1.0
    scaled = values * (255 / white) if white != 65535 else values / 256  # the upper byte, as other readers take it
    return PIL.Image.fromarray(scaled.astype(np.uint8))


def _within(image: Image, budget: int) -> Image:
    """Scale an image down to `budget` pixels, but no side that is longer than a token to less than one."""
    import PIL.Image

    scale = (budget / (image.width * image.height)) ** 0.5
    width, height = (max(min(side, MIN_SIDE), int(side * scale)) for side in image.size)
    return image.resize((width, height), PIL.Image.Resampling.LANCZOS)


def _encoded(image: Image, form: str | None) -> bytes:
    image.info.clear()  # comments, and the colour profile of the old mode, do not belong to the new file
    buffer = io.BytesIO()
    if form in ("JPEG", "MPO"):
        image.save(buffer, format="JPEG", quality=95, subsampling=0)
    else:
        image.save(buffer, format="PNG")
    return buffer.getvalue()
