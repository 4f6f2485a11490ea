"""Small photos of every kind, as files: modes, profiles, turns, formats."""

from __future__ import annotations

import io
import struct

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms

pillow_heif.register_heif_opener()  # to write such files; open_original does it by itself

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
    "heif": encode(PHOTO, "HEIF", icc_profile=WIDE, exif=turned(6)),
    "avif": encode(with_alpha(PHOTO), "AVIF", icc_profile=WIDE),
}
