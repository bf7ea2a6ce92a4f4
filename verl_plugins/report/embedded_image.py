"""Images as data URIs inside an SVG, with boxes drawn over them in the image's own coordinates."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from reward_fns.boxes.box import Box

PIXEL_ART = 256  # longest side in pixels up to which enlarging keeps hard pixel edges
EMBEDDED = 768  # longest side in pixels of an embedded image; larger ones are reduced


@dataclass(frozen=True)
class EmbeddedImage:
    """An image for the macro `boxed_image`.

    Args:
        name: id on the page.
        source: data URI.
        width, height: size in the unit of the boxes.
    """

    name: str
    source: str
    width: float
    height: float

    @property
    def rendering(self) -> str:
        """CSS `image-rendering`."""
        return "pixelated" if max(self.width, self.height) <= PIXEL_ART else "auto"

    @property
    def view_box(self) -> str:
        """SVG view box with a margin, so that a box on the edge of the image stays visible."""
        margin = max(self.width, self.height) * 0.02
        return f"{-margin:g} {-margin:g} {self.width + 2 * margin:g} {self.height + 2 * margin:g}"


def embed(name: str, encoded: bytes, size: tuple[int, int] | None = None) -> EmbeddedImage:
    """Embed an encoded image.

    Args:
        name: id on the page.
        encoded: content of an image file.
        size: width and height in the unit of the boxes; the image's own if None.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        width, height = size or image.size
        return EmbeddedImage(name, _data_uri(image, encoded), width, height)


def outline(box: Box) -> str:
    """SVG path data of a box."""
    x1, y1, x2, y2 = (f"{value:g}" for value in box)
    return f"M{x1},{y1}H{x2}V{y2}H{x1}Z"


def corners(box: Box) -> str:
    """A box as text: "[x1, y1, x2, y2]"."""
    return f"[{', '.join(f'{value:g}' for value in box)}]"


def data_uri(encoded: bytes) -> str:
    """An encoded image as a data URI, reduced to `EMBEDDED` pixels on the longer side if it is larger."""
    with Image.open(io.BytesIO(encoded)) as image:
        return _data_uri(image, encoded)


def _data_uri(image: Image.Image, encoded: bytes) -> str:
    mime = Image.MIME[str(image.format)]
    if max(image.size) > EMBEDDED:
        reduced = image.convert("RGB")
        reduced.thumbnail((EMBEDDED, EMBEDDED))
        buffer = io.BytesIO()
        reduced.save(buffer, "JPEG", quality=85)
        mime, encoded = "image/jpeg", buffer.getvalue()
    return f"data:{mime};base64,{base64.b64encode(encoded).decode()}"
