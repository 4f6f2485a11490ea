"""Photos in every format and in every broken state; tensors there and back; saved files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageCms

from sdflow import images
from sdflow.images import BadImage, open_photo

WIDTH, HEIGHT = 96, 64
ORIENTATION = 0x0112


def picture() -> np.ndarray:
    """(64, 96, 3) uint8, smooth, and different in every corner and channel."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    return np.rint(np.stack([x, y, 1 - x * y], axis=-1) * 255).astype(np.uint8)


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def turned_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def difference(photo: Image.Image, expected: np.ndarray) -> float:
    assert photo.mode == "RGB"
    assert photo.info == {}
    assert photo.size == expected.shape[1::-1]
    return float(np.abs(np.asarray(photo).astype(int) - expected).mean())


@pytest.fixture(scope="module", autouse=True)
def heif() -> None:
    pillow_heif.register_heif_opener()  # to write such files; open_photo does it by itself


FORMATS = ["PNG", "JPEG", "MPO", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "JPEG2000", "PPM", "TGA"]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format(form: str) -> None:
    photo = open_photo(encode(Image.fromarray(picture()), form))
    assert difference(photo, picture()) < 3


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "AVIF"])
def test_animation_gives_its_first_frame(form: str) -> None:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("black", "red")]
    first = Image.fromarray(picture())
    photo = open_photo(encode(first, form, save_all=True, append_images=frames))
    assert difference(photo, picture()) < 12  # a GIF has 256 colours


def test_every_kind_of_source(tmp_path: Path) -> None:
    data = encode(Image.fromarray(picture()), "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    for source in (path, str(path), data, io.BytesIO(data), Image.open(path), picture()):
        assert difference(open_photo(source), picture()) == 0


def test_the_callers_image_is_left_alone() -> None:
    image = Image.fromarray(picture())
    photo = open_photo(image)
    photo.paste("black", (0, 0, WIDTH, HEIGHT))
    assert (np.asarray(image) == picture()).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int) -> None:
    a = picture()
    upright = {
        1: a,
        2: a[:, ::-1],
        3: a[::-1, ::-1],
        4: a[::-1],
        5: a.swapaxes(0, 1),
        6: np.rot90(a, -1),
        7: np.rot90(a, 2).swapaxes(0, 1),
        8: np.rot90(a),
    }[orientation]
    for form in ("PNG", "TIFF", "JPEG", "HEIF", "AVIF"):
        photo = open_photo(encode(Image.fromarray(a), form, exif=turned_exif(orientation)))
        assert difference(photo, upright) < 3, form


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_ignored() -> None:
    data = encode(Image.fromarray(picture()), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert difference(open_photo(data), picture()) == 0


def test_grey_and_16_bits() -> None:
    grey = picture()[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    wide = grey.astype(np.uint16) * 257
    big_endian = Image.frombytes("I;16B", (WIDTH, HEIGHT), wide.astype(">u2").tobytes())
    for source in (
        encode(Image.fromarray(grey), "PNG"),
        encode(Image.fromarray(wide), "PNG"),
        encode(Image.fromarray(wide), "TIFF"),
        encode(Image.fromarray(wide.astype(np.int32)), "TIFF"),
        encode(Image.fromarray((grey / 255).astype(np.float32)), "TIFF"),
        encode(Image.fromarray(grey.astype(np.float32)), "TIFF"),
        big_endian,
    ):
        assert difference(open_photo(source), expected) == 0


def test_black_and_white() -> None:
    bits = picture()[..., 0] > 127
    expected = np.repeat(bits[..., None], 3, axis=2) * 255
    assert difference(open_photo(encode(Image.fromarray(bits), "PNG")), expected) == 0


def test_colour_modes() -> None:
    image = Image.fromarray(picture())
    assert difference(open_photo(encode(image.convert("CMYK"), "TIFF")), picture()) == 0
    assert difference(open_photo(encode(image.convert("CMYK"), "JPEG")), picture()) < 3
    assert difference(open_photo(image.convert("YCbCr")), picture()) < 3
    assert difference(open_photo(image.convert("HSV")), picture()) < 6
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    assert difference(open_photo(encode(palette, "PNG")), picture()) < 12


def test_transparency_is_shown_over_white() -> None:
    image = Image.fromarray(picture()).convert("RGBA")
    image.putalpha(Image.fromarray(np.where(np.arange(WIDTH) < 48, 0, 255)[None].astype(np.uint8)
                                   .repeat(HEIGHT, axis=0)))  # fmt: skip
    expected = picture()
    expected[:, :48] = 255
    for source in (encode(image, "PNG"), encode(image, "WEBP", lossless=True), np.asarray(image)):
        assert difference(open_photo(source), expected) == 0
    half = np.full((HEIGHT, WIDTH, 4), (200, 100, 0, 51), np.uint8)
    assert np.asarray(open_photo(half))[0, 0].tolist() == [244, 224, 204]
    palette = encode(image, "GIF")
    assert np.asarray(open_photo(palette))[:, :48].min() == 255


def test_colour_profile_becomes_srgb() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    for old, new in ((b"rXYZ", b"----"), (b"gXYZ", b"rXYZ"), (b"----", b"gXYZ")):
        exchanged = exchanged.replace(old, new)  # red and green primaries change places
    image = Image.fromarray(picture())
    expected = picture()[..., [1, 0, 2]]
    assert difference(open_photo(encode(image, "PNG", icc_profile=exchanged)), expected) < 1
    for form in ("JPEG", "WEBP", "AVIF", "HEIF"):
        photo = open_photo(encode(image, form, icc_profile=exchanged))
        assert difference(photo, expected) < 4, form
    for unused in (srgb, b"no profile"):
        assert difference(open_photo(encode(image, "PNG", icc_profile=unused)), picture()) == 0


def test_arrays() -> None:
    a = picture()
    for source in (a.astype(np.uint16) * 257, a / 255, a.astype(float), a.astype(int)):
        assert difference(open_photo(source), a) == 0
    grey = np.repeat(a[..., :1], 3, axis=2)
    assert difference(open_photo(a[..., 0]), grey) == difference(open_photo(a[..., :1]), grey) == 0
    holes = a / 255
    holes[0, 0] = np.nan
    assert np.asarray(open_photo(holes))[0, 0].tolist() == [0, 0, 0]
    for wrong in (a.transpose(2, 0, 1), a[0], np.array("photo"), np.zeros((0, 0, 3))):
        with pytest.raises(BadImage):
            open_photo(wrong)


def test_large_photos_are_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "REDUCED_ABOVE", WIDTH * HEIGHT // 4)
    image = Image.fromarray(picture())
    expected = np.asarray(image.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.BOX))
    for source in (
        encode(image, "PNG"),
        encode(image, "JPEG", quality=95),
        encode(image, "HEIF"),
        encode(image.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        encode(image.convert("CMYK"), "TIFF"),
        encode(image.convert("RGBA"), "PNG"),
        picture().astype(np.uint16) * 257,
    ):
        assert difference(open_photo(source), expected) < 6
    photo = open_photo(encode(image, "JPEG", exif=turned_exif(6)))
    assert photo.size == (HEIGHT // 2, WIDTH // 2)


def test_a_large_jpeg_is_decoded_small() -> None:
    photo = open_photo(encode(Image.new("L", (8000, 6000), 128), "JPEG"))
    assert photo.size == (4000, 3000)
    assert np.asarray(photo)[::500, ::500].min() == 128


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_decompression_bombs_are_refused_unopened(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(Image.new("L" if form == "JPEG" else "1", (20_000, 20_000)), form)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    with pytest.raises(BadImage, match="120 megapixels: save a smaller copy"):
        open_photo(data)
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_too_large_without_pillows_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    data = encode(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(BadImage, match="20000 x 20000 .*: save a smaller copy"):
        open_photo(data)
    with pytest.raises(BadImage, match="20000 x 20000 .*: save a smaller copy"):
        open_photo(np.broadcast_to(np.uint8(0), (20_000, 20_000)))


def test_a_warning_made_an_error_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    data = encode(Image.fromarray(picture()), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImage, match="save a smaller copy"):
            open_photo(data)


@pytest.mark.parametrize("form", [*FORMATS, "GIF"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.01])
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_truncated_files(form: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), form)
    with pytest.raises(BadImage, match="damaged.*: (copy|choose) "):
        open_photo(data[: max(1, int(len(data) * share))])


def test_what_is_no_photo(tmp_path: Path) -> None:
    image = Image.fromarray(picture())
    nothing = tmp_path / "empty.jpg"
    nothing.touch()
    cases = {
        "is empty: copy or upload": nothing,
        "no image, or a damaged one: choose": b"a letter, not a picture" * 100,
        "only 1 x 1 pixels: choose": encode(Image.new("RGB", (1, 1)), "PNG"),
        "only 500 x 1 pixels: choose": Image.new("RGB", (500, 1)),
        "no file .*missing.png': check": tmp_path / "missing.png",
        "cannot be read .*: check": tmp_path,
    }
    for sentence, source in cases.items():
        with pytest.raises(BadImage, match=sentence):
            open_photo(source)
    for program in ("EPS", "PDF"):  # formats that Pillow would run an interpreter for
        with pytest.raises(BadImage, match="choose"):
            open_photo(encode(image, program))


def test_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LARGEST_FILE", 100)
    with pytest.raises(BadImage, match="save a smaller copy"):
        open_photo(io.BytesIO(encode(Image.fromarray(picture()), "PNG")))


def test_tensor_there_and_back() -> None:
    tensor = images.to_tensor(Image.fromarray(picture()), device="cpu")
    assert tensor.shape == (1, 3, HEIGHT, WIDTH)
    assert tensor.dtype == torch.float32
    assert tensor.min() == -1
    assert tensor.max() == 1
    for given in (tensor, tensor[0], tensor.double().requires_grad_()):
        assert difference(images.to_image(given), picture()) == 0


def test_to_image_clamps_and_rounds() -> None:
    levels = torch.tensor([-1.5, -1.0, 0.0, 0.9999, 1.0, 7.0])
    image = images.to_image(levels.expand(3, 1, 6))
    assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 128, 255, 255, 255]
    with pytest.raises(ValueError, match=r"\(2, 3, 8, 8\).*: pass one"):
        images.to_image(torch.zeros(2, 3, 8, 8))


def test_to_tensor_resizes_squares_only() -> None:
    square = Image.new("RGB", (64, 64), "red")
    tensor = images.to_tensor(square, 32, "cpu")
    assert tensor.shape == (1, 3, 32, 32)
    assert tensor[0, :, 5, 5].tolist() == [1, -1, -1]
    with pytest.raises(ValueError, match="crop it"):
        images.to_tensor(Image.new("RGB", (64, 32)), 32)


@pytest.mark.parametrize(("name", "limit"), [("a.png", 0), ("b.JPG", 3), ("c.webp", 3)])
def test_save(tmp_path: Path, name: str, limit: float) -> None:
    path = tmp_path / "folder" / name
    assert images.save(Image.fromarray(picture()), path) == path.stat().st_size > 0
    assert difference(open_photo(path), picture()) <= limit


def test_save_quality(tmp_path: Path) -> None:
    image = Image.fromarray(picture())
    assert images.save(image, tmp_path / "s.jpg", 30) < images.save(image, tmp_path / "l.jpg", 95)
    images.save(image, tmp_path / "exact.webp", quality=100)
    assert difference(open_photo(tmp_path / "exact.webp"), picture()) == 0
    with pytest.raises(ValueError, match="end the name in .png"):
        images.save(image, tmp_path / "photo.xyz")
    with pytest.raises(ValueError, match="choose 1 to 100"):
        images.save(image, tmp_path / "photo.jpg", quality=0)
