"""The way back: untouched photos come back exactly, in their own colours, size and encoding."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdflow import images
from sdflow.align import Alignment
from sdflow.images import BadImage, open_photo
from sdflow.originals import open_original
from tests.originals.photos import (
    GREY,
    HEIGHT,
    PHOTO,
    SOURCES,
    SRGB,
    WIDE,
    WIDTH,
    L,
    decode,
    difference,
    encode,
    same,
    turned,
    with_alpha,
)


@pytest.mark.parametrize("name", SOURCES)
def test_the_working_copy_is_that_of_open_photo(name: str) -> None:
    original = open_original(SOURCES[name])
    assert same(original.working(), open_photo(SOURCES[name]))
    assert original.working_size == original.image.size
    assert original.image.mode == "RGB"
    assert original.image.info == {}


def test_every_kind_of_source(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(data := SOURCES["png wide alpha"])
    opened = decode(data)
    for source in (path, str(path), data, io.BytesIO(data), opened, Image.open(path)):
        original = open_original(source)
        assert same(original.image, PHOTO)
        assert (original.profile, original.suffix) == (WIDE, ".png")
        assert same(original.working(), open_photo(data))
    original.image.paste("black", (0, 0, WIDTH, HEIGHT))
    assert same(opened, with_alpha(PHOTO))
    array = np.asarray(with_alpha(PHOTO))
    for source in (array, array / 255, array[..., :3], array[..., 0]):
        original = open_original(source)
        assert same(original.working(), open_photo(source))
        assert (original.format, original.grey) == ("PNG", source.ndim == 2)
    assert open_original(decode(SOURCES["jpeg"])).suffix == ".png"


# source, suffix of the file written: mode, profile; its pixels are those of Pillow's decoder.
EXACT = [
    ("png", None, "RGB", None),
    ("png", ".webp", "RGB", None),
    ("png wide", ".PNG", "RGB", WIDE),
    ("png wide", ".webp", "RGB", WIDE),
    ("png srgb", None, "RGB", SRGB),
    ("png alpha", None, "RGBA", None),
    ("png alpha", ".webp", "RGBA", None),
    ("png wide alpha", None, "RGBA", WIDE),
    ("png grey", None, "L", None),
    ("png grey", ".webp", "RGB", None),
    ("png grey profile", None, "L", GREY),
    ("png grey alpha", None, "LA", GREY),
    ("png bits", None, "L", None),
    ("png palette", None, "RGB", None),
    ("webp", None, "RGB", WIDE),
    ("webp alpha", None, "RGBA", None),
    ("webp lossy", ".png", "RGB", None),
    ("jpeg", ".png", "RGB", None),
    ("jpeg grey", ".png", "L", GREY),
    ("mpo", ".png", "RGB", None),
    ("bmp", None, "RGB", None),
    ("gif", None, "RGB", None),
    ("heif", None, "RGB", WIDE),
    ("avif", None, "RGBA", WIDE),
]


@pytest.mark.parametrize(("name", "suffix", "mode", "profile"), EXACT)
def test_untouched_and_lossless(
    name: str, suffix: str | None, mode: str, profile: bytes | None
) -> None:
    original = open_original(SOURCES[name])
    written = decode(original.encode(original.image, suffix))
    assert same(written, decode(SOURCES[name]).convert(mode))
    assert written.info.get("icc_profile") == profile
    assert written.format == ("WEBP" if (suffix or original.suffix) == ".webp" else "PNG")


def test_a_changed_picture_is_written_as_it_is() -> None:
    changed = PHOTO.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed.info = {"comment": b"of the face", "transparency": (1, 2, 3), "icc_profile": b"other"}
    for name in ("png wide", "webp", "jpeg wide turned", "png alpha"):
        original = open_original(SOURCES[name])
        turned_too = changed if original.image.size == changed.size else changed.transpose(2)
        written = decode(original.encode(turned_too, ".png"))
        assert same(written.convert("RGB"), turned_too)
        assert written.info.get("icc_profile") == original.profile
        assert "comment" not in decode(original.encode(turned_too, ".jpg")).info
    assert changed.info["comment"]


def test_transparent_parts_are_white_in_a_jpeg() -> None:
    clear = PHOTO.copy()
    clear.putalpha(Image.new("L", PHOTO.size, 0))
    original = open_original(clear)
    assert np.asarray(decode(original.encode(original.image, ".jpg"))).min() >= 254


def test_grey_with_a_profile_becomes_srgb_in_webp() -> None:
    original = open_original(SOURCES["png grey profile"])
    written = decode(original.encode(original.image, ".webp"))
    assert "icc_profile" not in written.info
    assert same(written, open_photo(SOURCES["png grey profile"]))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("jpeg", ".jpg"), ("mpo", ".jpg"), ("webp", ".webp"), ("bmp", ".png"), ("heif", ".png")],
)
def test_suffix(name: str, suffix: str) -> None:
    assert open_original(SOURCES[name]).suffix == suffix


@pytest.mark.parametrize(("lossless", "limit"), [(True, 0), (False, 3)])
@pytest.mark.parametrize("animated", [False, True])
def test_webp_stays_lossless_or_lossy(lossless: bool, limit: float, animated: bool) -> None:
    more = {"save_all": True, "append_images": [PHOTO.rotate(180)]} if animated else {}
    data = encode(PHOTO, "WEBP", lossless=lossless, icc_profile=WIDE, **more)
    original = open_original(data)
    assert original.lossless is lossless
    written = original.encode(original.image)
    assert (b"VP8L" in written) is lossless
    assert difference(decode(written), original.image).mean() <= limit


def test_colours_there_and_back() -> None:
    for name in ("png", "png srgb", "png wide", "png wide alpha"):
        original = open_original(SOURCES[name])
        own = original.to_own_colours(PHOTO)
        back = images.to_srgb(own, original.profile) if original.profile else own
        assert difference(back, PHOTO).mean() < 0.5
        assert difference(back, PHOTO).max() <= 8  # a dark channel beside bright ones: rounding
    red = open_original(SOURCES["png wide"]).to_own_colours(Image.new("RGB", (1, 1), "red"))
    assert 225 < red.getpixel((0, 0))[0] < 245  # the wide space has a stronger red


def test_colours_of_grey_photos() -> None:
    for name in ("png grey", "png grey profile", "png grey alpha", "jpeg grey"):
        original = open_original(SOURCES[name])
        assert original.grey
        own = original.to_own_colours(PHOTO)
        assert own.mode == "RGB"
        assert np.ptp(np.asarray(own), axis=2).max() == 0
        grey = L.convert("RGB")
        own = original.to_own_colours(grey).getchannel(0)
        assert bool(difference(own, L).mean() > 10) is (original.profile is not None)
        assert difference(images.flatten(own, original.profile), grey).max() <= 2


def test_colours_without_a_way_back_become_srgb() -> None:
    for name in ("png one way", "jpeg cmyk"):
        original = open_original(SOURCES[name])
        assert (original.profile, original.embedded) == (None, None)
        assert same(original.image, open_photo(SOURCES[name]))
        assert same(original.to_own_colours(PHOTO), PHOTO)
    assert not same(open_original(SOURCES["png one way"]).image, PHOTO)


@pytest.mark.parametrize("name", SOURCES)
def test_large_photos(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "REDUCED_ABOVE", WIDTH * HEIGHT // 3)
    original, photo = open_original(SOURCES[name]), open_photo(SOURCES[name])
    assert sorted(original.image.size) == [HEIGHT, WIDTH]
    assert original.working_size == photo.size == original.working().size != original.image.size
    limit = 9 if original.format == "JPEG" else 0  # of 255; there open_photo decodes it small
    limit = 1 if name == "png one way" else limit  # and there reduces before it converts
    assert difference(original.working(), photo).mean() <= limit


@pytest.mark.parametrize("size", [(1001, 747), (333, 1999), (160, 120), (101, 99)])
@pytest.mark.parametrize("limit", [700_000, 100_000, 33_333, 9_000, 3_000])
def test_size_of_reduced_jpegs(
    size: tuple[int, int], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "REDUCED_ABOVE", limit)
    data = encode(Image.new("L", size), "JPEG", exif=turned(6))
    assert open_photo(data).size == open_original(data).working_size


def crop(photo: Image.Image, alignment: Alignment) -> np.ndarray:
    """As the last step of `align.crop_face`."""
    corners, side = tuple((alignment.quad + 0.5).flatten()), alignment.size
    form = Image.Transform.QUAD, corners, Image.Resampling.BICUBIC
    return np.asarray(photo.transform((side, side), *form)).astype(float)


def waves(width: int, height: int) -> Image.Image:
    """Waves over the same area at any size, a pixel showing what lies around its centre."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    levels = np.stack([np.sin(40 * x), np.sin(30 * y), np.sin(20 * (x + y))], axis=-1)
    return Image.fromarray((128 + 100 * levels).astype(np.uint8))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_alignment_of_the_full_photo(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "REDUCED_ABOVE", 200_000)
    data = encode(waves(901, 602), form, **({"quality": 98} if form == "JPEG" else {}))
    original = open_original(data)
    quad = np.array([[240.3, 40], [210.3, 170], [340.3, 200], [370.3, 70]])
    alignment = Alignment(quad, 100, original.working_size)
    full = original.scaled(alignment)
    assert full.photo_size == (901, 602)
    assert full.size == 100
    expected = crop(original.working(), alignment)
    slope = np.abs(np.gradient(expected, axis=(0, 1))).max(axis=0).mean()  # levels in a pixel
    assert np.abs(crop(original.image, full) - expected).mean() < 0.12 * slope
    decoded_small = crop(open_photo(data), alignment)
    assert np.abs(crop(original.image, full) - decoded_small).mean() < 0.25 * slope
    corners_only = alignment.quad * original.image.size / original.working_size
    wrong = Alignment(corners_only, 100, full.photo_size)  # a quarter of a working pixel away
    assert np.abs(crop(original.image, wrong) - expected).mean() > 0.15 * slope

    lengths = np.linalg.norm(full.quad - np.roll(full.quad, 1, axis=0), axis=1)
    assert np.ptp(lengths) < 0.01 * lengths.mean()
    with pytest.raises(ValueError, match=r"901 x 602 pixels.* Give the photo"):
        original.scaled(full)


def test_alignment_of_a_photo_that_was_not_reduced() -> None:
    quad = np.array([[9.3, 4], [9.3, 44], [49.3, 44], [49.3, 4]])
    alignment = Alignment(quad, 100, PHOTO.size)
    assert (open_original(PHOTO).scaled(alignment).quad == quad).all()


@pytest.mark.parametrize("name", ["a.png", "b.JPG", "c.jpeg", "d.webp"])
def test_save(tmp_path: Path, name: str) -> None:
    original, path = open_original(SOURCES["png wide"]), tmp_path / "folder" / name
    assert original.save(original.image, path) == path.stat().st_size > 0
    assert path.read_bytes() == original.encode(original.image, path.suffix)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    original = open_original(PHOTO)
    for path in ("photo.tiff", "photo"):
        with pytest.raises(ValueError, match=r"choose .png, .jpg or .webp"):
            original.save(PHOTO, tmp_path / path)
    for other in (PHOTO.resize((10, 10)), with_alpha(PHOTO), PHOTO.convert("CMYK")):
        with pytest.raises(ValueError, match=r"pass RGB \(96, 64\)"):
            original.encode(other)
    panorama = Image.new("RGB", (20_000, 40))
    with pytest.raises(ValueError, match="choose .png"):
        open_original(panorama).encode(panorama, ".webp")
    assert not list(tmp_path.iterdir())


def test_what_is_no_photo(tmp_path: Path) -> None:
    for source in (
        b"",
        b"a letter, not a picture" * 100,
        SOURCES["jpeg"][:900],
        tmp_path / "missing.png",
        Image.new("RGB", (500, 1)),
        np.zeros((3, 4)),
        encode(PHOTO, "EPS"),
    ):
        with pytest.raises(BadImage, match=r": (copy|choose|check|save|pass) "):
            open_original(source)
