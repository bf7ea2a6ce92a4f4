"""Images are decoded completely, put on white if they are transparent, and kept byte for byte if they can be."""

import io

import pytest
from data_fixtures import HEIGHT, WIDTH, diagram, encoded
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.row.images import MAX_ASPECT, MIN_SIDE, EncodedImage, decode
from data_prep.types import Rejection


def pixels(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("data", [encoded(), encoded(form="PNG"), encoded(progressive=True, quality=30)])
def test_an_rgb_jpeg_or_png_passes_through_untouched(data):
    result = decode(data)
    assert isinstance(result, EncodedImage)
    assert result.data is data and result.is_original
    assert (result.width, result.height) == (WIDTH, HEIGHT)


def test_transparency_becomes_white_and_lines_stay_black():
    image = pixels(decode(diagram()).data)
    assert image.mode == "RGB" and image.format == "PNG"
    assert image.getpixel((5, 5)) == (255, 255, 255) and image.getpixel((50, 12)) == (0, 0, 0)


def test_half_transparent_red_on_white_is_pink():
    buffer = io.BytesIO()
    Image.new("RGBA", (40, 40), (255, 0, 0, 128)).save(buffer, format="PNG")
    assert pixels(decode(buffer.getvalue()).data).getpixel((0, 0)) == (255, 127, 127)  # 255 * (1 - 128/255) = 127


def test_a_transparent_colour_of_an_rgb_png_becomes_white_too():
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (1, 2, 3)).save(buffer, format="PNG", transparency=(1, 2, 3))
    assert pixels(decode(buffer.getvalue()).data).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_are_scaled_not_clipped():
    row = 30  # the fixture's gradient: 255 * row / HEIGHT
    grey = pixels(decode(encoded("L", form="PNG")).data).getpixel((0, row))
    deep = pixels(decode(encoded("I;16", form="PNG")).data).getpixel((0, row))
    assert 60 < grey[0] < 110 and abs(deep[0] - grey[0]) <= 1


def grey(mode, *values) -> bytes:
    """Return a TIFF of 32 bits a pixel with these values in a row."""
    image = Image.new(mode, (len(values), 1))
    image.putdata(values)
    buffer = io.BytesIO()
    image.save(buffer, format="TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "values", "shades"),
    [
        ("F", (0.0, 0.5, 1.0), [0, 127, 255]),  # white is 1: 0.5 * 255 = 127.5
        ("F", (0.0, 127.0, 255.0), [0, 127, 255]),
        ("F", (0.0, 32768.0, 65535.0), [0, 128, 255]),  # the upper byte: 32768 / 256 = 128
        ("F", (-1.0, 0.0, 3.0), [0, 63, 255]),  # stretched: (0 + 1) / 4 * 255 = 63.75
        ("F", (5.0, 5.0, 5.0), [5, 5, 5]),
        ("I", (0, 32768, 65535), [0, 128, 255]),
        ("I", (0, 1, 255), [0, 1, 255]),
        ("I", (0, 100_000, 200_000), [0, 127, 255]),  # 100,000 / 200,000 * 255 = 127.5
        ("I", (0, 0, 0), [0, 0, 0]),
    ],
)
def test_grey_of_32_bits_is_scaled_to_its_own_white(mode, values, shades):
    image = pixels(decode(grey(mode, *values)).data)
    assert [image.getpixel((x, 0)) for x in range(3)] == [(shade, shade, shade) for shade in shades]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_grey_that_is_not_finite_is_rejected(value):
    assert decode(grey("F", 0.0, value)) == Rejection("image_corrupt", "ValueError: values that are not finite")


def test_an_image_smaller_than_a_token_is_kept_and_no_budget_makes_it_larger():
    tiny = encoded(size=(5, 3), form="PNG")
    assert decode(tiny).data is tiny
    assert pixels(decode(encoded(size=(5, 600)), budget=1000).data).size == (5, 346)  # 600 * sqrt(1000 / 3000)


def test_an_image_that_lies_on_its_side_is_put_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    result = decode(encoded(exif=exif))
    assert (result.width, result.height) == (HEIGHT, WIDTH) and not result.is_original
    assert pixels(result.data).size == (HEIGHT, WIDTH)


def test_the_hash_is_of_pixels_not_of_their_encoding():
    fast, small = encoded(form="PNG", compress_level=1), encoded(form="PNG", compress_level=9)
    assert fast != small and decode(fast).sha256 == decode(small).sha256
    assert decode(encoded(form="PNG", shade=1)).sha256 != decode(small).sha256


def test_a_budget_scales_down_what_exceeds_it_and_nothing_else():
    data = encoded(size=(400, 300))
    result = decode(data, budget=30_000)
    assert (result.width, result.height) == (400, 300)  # the original's: boxes are in its pixels
    assert pixels(result.data).size == (200, 150)  # half of each side: a quarter of 120,000 pixels
    assert pixels(result.data).format == "JPEG"
    assert result.sha256 == decode(data).sha256
    assert decode(data, budget=120_000).data is data


def test_more_pixels_than_pillow_agrees_to_decode(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert decode(encoded()).reason == "image_too_large"


def test_what_is_no_image_is_rejected_in_the_same_words_each_time():
    first, again = decode(b"no image"), decode(bytes(b"no" + b" image"))
    assert first == again == Rejection("image_corrupt", "UnidentifiedImageError: cannot identify image file")


@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from(["RGB", "RGBA", "LA", "L", "P", "1", "CMYK", "YCbCr", "I;16"]),
    form=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"]),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    cut=st.integers(0, 40),
    budget=st.none() | st.integers(1, 4000),
)
def test_any_image_becomes_rgb_of_its_size_or_a_reason(mode, form, width, height, cut, budget):
    try:
        data = encoded(mode, (width, height), form)
    except (OSError, KeyError, ValueError):  # a mode that the form does not know
        return
    data = data[: len(data) - cut]
    result = decode(data, budget)
    if isinstance(result, Rejection):
        assert max(width, height) > MAX_ASPECT * min(width, height) or cut
        return
    image = pixels(result.data)
    assert (image.mode, result.width, result.height) == ("RGB", width, height)
    assert image.format in ("PNG", "JPEG")
    assert budget is None or image.width * image.height <= max(budget, MIN_SIDE * max(image.size))
    assert decode(result.data).is_original  # what is written passes through
