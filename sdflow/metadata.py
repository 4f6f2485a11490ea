"""EXIF and XMP of a photo → what of them may be written into its edited copy.

Kept is what tells of the taking. Dropped is what holds the old face (thumbnails lie in a second
EXIF directory, in Photoshop's blocks, in makers' notes, in XMP) or describes the old file's bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import ExifTags, Image

from sdflow import marking

_EXIF_KEPT = (
    {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298}  # title, camera, date, author, ...
    | {0x011A, 0x011B, 0x0128, 0x4746, 0x4749}  # resolution, rating
    | {0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}  # Windows' title, comment, author, ...
    | {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}
)
_EXIF_SIDES = (0xA002, 0xA003)  # width and height, in the Exif directory
_XMP_THUMBNAILS = re.compile(rb"<(\w+):Thumbnails\b.*?</\1:Thumbnails\s*>", re.DOTALL)
_XMP_PICTURES = re.compile(rb"GImg:image|GImage:Data|GDepth:Data|\0")  # or UTF-16: not searched
_XMP_ORIENTATION = re.compile(rb"(:Orientation(?:\s*=\s*[\"']|\s*>)\s*)[1-8]")
_LONGEST_EXIF, _LONGEST_XMP = 65_533, 65_504  # bytes; one JPEG segment each


@dataclass(frozen=True, eq=False)
class Metadata:
    """What a file tells beside its pixels, as read; either may be broken."""

    exif: bytes | None = None
    xmp: bytes | None = None

    def options(self, form: str, size: tuple[int, int], source: str) -> dict[str, object]:
        """Options for Pillow's writer; what is broken or too long is left out.

        Args:
            form: PNG, JPEG or WEBP.
            size: width and height of the upright picture.
            source: digital source type that takes the place of the photo's own.
        """
        exif, xmp = _clean_exif(self.exif, size), marking.packet(source, _clean_xmp(self.xmp))
        if form == "JPEG" and len(xmp) > _LONGEST_XMP:
            xmp = marking.packet(source)
        options = marking.options(form, xmp)
        if exif and (form != "JPEG" or len(exif) <= _LONGEST_EXIF):
            options["exif"] = exif
        return options


def read_metadata(image: Image.Image) -> Metadata:
    """Of a decoded file."""
    exif, xmp = image.info.get("exif"), image.info.get("xmp")
    if not exif:
        try:  # a TIFF has its own directory instead
            tags = image.getexif()
            exif = tags.tobytes() if len(tags) else None
        except Exception:  # Pillow raises many kinds
            exif = None
    return Metadata(*(value if isinstance(value, bytes) else None for value in (exif, xmp)))


def _clean_exif(data: bytes | None, size: tuple[int, int]) -> bytes | None:
    exif = Image.Exif()
    try:
        exif.load(data or b"")
        for tag in [tag for tag in exif if tag not in _EXIF_KEPT]:
            del exif[tag]
        if not len(exif):
            return None
        exif[ExifTags.Base.Orientation] = 1
        if ExifTags.IFD.Exif in exif:
            taking = exif.get_ifd(ExifTags.IFD.Exif)
            taking.pop(ExifTags.IFD.MakerNote, None)
            sides = zip(_EXIF_SIDES, size, strict=True)
            taking.update((tag, side) for tag, side in sides if tag in taking)
        return exif.tobytes()  # without a second directory
    except Exception:  # Pillow raises many kinds
        return None


def _clean_xmp(data: bytes | None) -> bytes | None:
    """Without thumbnails; None if other pictures may be in it."""
    data = _XMP_THUMBNAILS.sub(b"", data or b"").rstrip(b"\0")
    if not data or _XMP_PICTURES.search(data):
        return None
    return _XMP_ORIENTATION.sub(rb"\g<1>1", data)
