"""The way back: untouched photos come back exactly, in their own colours, size and encoding."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

from sdflow import images
from sdflow.align import Alignment
from sdflow.images import BadImage, open_photo
from sdflow.originals import Original, _jpeg, open_original

WIDTH, HEIGHT = 96, 64
ORIENTATION = ExifTags.Base.Orientation


def picture(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Smooth with some grain, and different in every corner and channel."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    smooth = np.stack([x, y, 1 - x * y], axis=-1) * 235
    grain = np.random.default_rng(0).integers(0, 20, smooth.shape)
    return Image.fromarray((smooth + grain).astype(np.uint8))


def with_alpha(image: Image.Image) -> Image.Image:
    """All 256 degrees of transparency, with colours under the fully transparent part."""
    image = image.copy()
    steps = np.arange(image.width * image.height).reshape(image.height, image.width) % 256
    image.putalpha(Image.fromarray(steps.astype(np.uint8)))
    return image


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def decode(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.mode == b.mode and a.size == b.size and a.tobytes() == b.tobytes()


def difference(a: Image.Image, b: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(a).astype(int) - np.asarray(b))


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def icc(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of ICC version 2."""
    tags = {
        b"desc": b"desc" + struct.pack(">4xI", 5) + b"test\0" + bytes(78),
        b"wtpt": xyz(0.9642, 1, 0.8249),
        b"cprt": b"text\0\0\0\0none\0",
        **tags,
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s", start + len(body), 0x02400000, kind, space, pcs, b"acsp"
    )
    head += bytes(28) + struct.pack(">iii", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    return head + bytes(128 - len(head)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ " + struct.pack(">4xiii", *(round(value * 65536) for value in values))


def gamma(value: float) -> bytes:
    return b"curv" + struct.pack(">4xIH", 1, round(value * 256)) + bytes(2)


def scanner_table() -> bytes:
    """From RGB to Lab alone, by a grid of 2 x 2 x 2; the lightness is the mean."""
    identity = bytes(range(256)) * 3
    grid = bytes(v for i in range(8) for v in (i.bit_count() * 85, 128, 128))
    matrix = struct.pack(">9i", *(np.eye(3, dtype=int).flatten() * 65536))
    return b"mft1" + struct.pack(">4xBBBx", 3, 3, 2) + matrix + identity + grid + identity


PRIMARIES = {b"rXYZ": xyz(0.5151, 0.2412, -0.001), b"gXYZ": xyz(0.292, 0.6922, 0.0419),
             b"bXYZ": xyz(0.1571, 0.0666, 0.7841)}  # fmt: skip
CURVES = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(2.2))
WIDE = icc(b"mntr", b"RGB ", b"XYZ ", PRIMARIES | CURVES)  # much like Display P3
GREY = icc(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma(1.4)})
ONE_WAY = icc(b"scnr", b"RGB ", b"Lab ", {b"A2B0": scanner_table()})
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

PHOTO = picture()
L = PHOTO.convert("L")
SOURCES = {
    "png": encode(PHOTO, "PNG"),
    "png wide": encode(PHOTO, "PNG", icc_profile=WIDE),
    "png srgb": encode(PHOTO, "PNG", icc_profile=SRGB),
    "png one way": encode(PHOTO, "PNG", icc_profile=ONE_WAY),
    "png alpha": encode(with_alpha(PHOTO), "PNG"),
    "png wide alpha": encode(with_alpha(PHOTO), "PNG", icc_profile=WIDE),
    "png transparent colour": encode(PHOTO, "PNG", transparency=PHOTO.getpixel((9, 9))),
    "png grey": encode(L, "PNG"),
    "png grey profile": encode(L, "PNG", icc_profile=GREY),
    "png grey alpha": encode(with_alpha(L), "PNG", icc_profile=GREY),
    "png bits": encode(PHOTO.convert("1"), "PNG"),
    "png 16 bits": encode(Image.fromarray(np.asarray(L).astype(np.uint16) * 257), "PNG"),
    "png palette": encode(PHOTO.quantize(64), "PNG"),
    "png turned": encode(PHOTO, "PNG", icc_profile=WIDE, exif=turned(6)),
    "webp": encode(PHOTO, "WEBP", lossless=True, icc_profile=WIDE),
    "webp alpha": encode(with_alpha(PHOTO), "WEBP", lossless=True, exact=True),
    "webp lossy": encode(PHOTO, "WEBP"),
    "jpeg": encode(PHOTO, "JPEG"),
    "jpeg wide turned": encode(PHOTO, "JPEG", icc_profile=WIDE, exif=turned(7)),
    "jpeg grey": encode(L, "JPEG", icc_profile=GREY),
    "jpeg cmyk": encode(PHOTO.convert("CMYK"), "JPEG"),
    "mpo": encode(PHOTO, "MPO", save_all=True, append_images=[PHOTO.rotate(180)]),
    "tiff": encode(PHOTO, "TIFF", icc_profile=WIDE, exif=turned(8)),
    "tiff float": encode(Image.fromarray(np.asarray(L).astype(np.float32) / 255), "TIFF"),
    "gif": encode(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(180)]),
    "bmp": encode(PHOTO, "BMP"),
}


@pytest.fixture(scope="module", autouse=True)
def more_sources() -> None:
    pillow_heif.register_heif_opener()  # to write such files; open_original does it by itself
    SOURCES["heif"] = encode(PHOTO, "HEIF", icc_profile=WIDE, exif=turned(6))
    SOURCES["avif"] = encode(with_alpha(PHOTO), "AVIF", icc_profile=WIDE)


FILES = [*SOURCES, "heif", "avif"]


@pytest.mark.parametrize("name", FILES)
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


@pytest.mark.parametrize("name", FILES)
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
