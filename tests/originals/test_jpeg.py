"""JPEGs are written again with the tables, subsampling and order that they had."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from sdflow.originals import Original, _jpeg, open_original
from tests.originals.photos import (
    GREY,
    PHOTO,
    SOURCES,
    SRGB,
    WIDE,
    L,
    decode,
    difference,
    encode,
    picture,
    turned,
)

JPEGS = {
    "small": {"quality": 60},
    "4:4:4": {"quality": 92, "subsampling": 0},
    "4:2:2": {"quality": 85, "subsampling": 1},
    "progressive": {"quality": 85, "progressive": True},
    "one table": {"qtables": [list(range(2, 66))]},
    "three tables": {"qtables": [[n + i for n in range(1, 65)] for i in range(3)]},
    "equal tables": {"quality": 100},
}


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("form", ["JPEG", "MPO"])
def test_jpeg_as_it_was(name: str, form: str) -> None:
    data = encode(picture(480, 320), form, icc_profile=WIDE, **JPEGS[name])
    original, before = open_original(data), decode(data)
    written = original.encode(original.image)
    after = decode(written)
    assert after.format == "JPEG"
    assert after.quantization == before.quantization
    assert [layer[1:] for layer in after.layer] == [layer[1:] for layer in before.layer]
    assert after.info.get("progressive") == before.info.get("progressive")
    assert after.info["icc_profile"] == WIDE
    assert difference(after, original.image).mean() <= 1
    assert abs(len(written) / len(data) - 1) < 0.1


def test_grey_jpeg_as_it_was() -> None:
    original = open_original(SOURCES["jpeg grey"])
    after = decode(original.encode(original.image))
    assert after.mode == "L"
    assert after.quantization == decode(SOURCES["jpeg grey"]).quantization
    assert difference(after.convert("RGB"), original.image).mean() <= 1


def test_jpeg_on_its_side() -> None:
    stored = picture(480, 320)
    data = encode(stored, "JPEG", quality=60, subsampling=1, exif=turned(6))
    original = open_original(data)
    after = decode(original.encode(original.image))
    assert after.size == (320, 480)
    for number, table in decode(data).quantization.items():
        assert np.reshape(after.quantization[number], (8, 8)).T.flatten().tolist() == table
    assert JpegImagePlugin.get_sampling(after) == 0  # Pillow cannot write 4:2:2 turned
    assert difference(after, original.image).mean() <= 1


def test_other_formats_become_fine_jpegs() -> None:
    original = open_original(SOURCES["png wide"])
    after = decode(original.encode(original.image, ".jpeg"))
    assert JpegImagePlugin.get_sampling(after) == 0
    assert after.quantization == decode(encode(PHOTO, "JPEG", quality=95)).quantization
    assert after.info["icc_profile"] == WIDE


def test_progressive_with_very_fine_tables() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    fine = encode(PHOTO.resize((400, 400)), "JPEG", quality=100, subsampling=0, progressive=True)
    after = decode(open_original(fine).encode(Image.fromarray(noise)))
    assert difference(after, Image.fromarray(noise)).mean() < 2


def test_profiles_of_other_colours_are_ignored() -> None:
    for image, profile in ((PHOTO, GREY), (L, WIDE), (L, SRGB)):
        original = open_original(encode(image, "PNG", icc_profile=profile))
        assert (original.profile, original.embedded) == (None, None)
        assert "icc_profile" not in decode(original.encode(original.image)).info


def test_tables_that_are_missing() -> None:
    """As in a lossless JPEG, which Pillow reads and cannot write."""
    image = decode(SOURCES["jpeg"])
    image.quantization = {}
    assert _jpeg(image) is None
    assert decode(Original(PHOTO, format="JPEG").encode(PHOTO)).format == "JPEG"
