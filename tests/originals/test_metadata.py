"""Metadata of edited photos: none unless asked for, and never the old face."""

from __future__ import annotations

import struct
from xml.etree import ElementTree

import pytest
from PIL import ExifTags, Image

from sdflow import marking
from sdflow.originals import open_original
from tests.originals.photos import HEIGHT, ORIENTATION, PHOTO, SRGB, WIDTH, decode, encode


def taking() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.ImageResources] = b"8BIM thumbnail"
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (47.0, 30.0, 15.0)}
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.MakerNote: b"a small face",
        ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09",
        ExifTags.Base.ExifImageWidth: WIDTH,
        ExifTags.Base.ExifImageHeight: HEIGHT,
    }
    return exif


def with_thumbnail(exif: bytes) -> bytes:
    """Append a second directory, which holds the thumbnail's place, and the thumbnail."""
    body = bytearray(exif[6:])
    assert body.startswith(b"MM")
    (entries,) = struct.unpack_from(">H", body, 8)
    struct.pack_into(">I", body, 10 + 12 * entries, len(body))
    face, place = b"\xff\xd8the old face\xff\xd9", len(body) + 30
    second = struct.pack(">HHHIIHHIII", 2, 0x0201, 4, 1, place, 0x0202, 4, 1, len(face), 0)
    return b"Exif\0\0" + bytes(body) + second + face


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:RDF><rdf:Description
 xmlns:dc="dc" xmlns:tiff="tiff" xmlns:xmp="xmp" xmlns:xmpGImg="img" xmlns:iptc="iptc"
 dc:title="Title" tiff:Orientation="6" iptc:DigitalSourceType="camera"><xmp:Thumbnails><rdf:li
 xmpGImg:image="the old face"/></xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>"""


def source_types(xmp: bytes) -> list[str]:
    """Values of all properties of this name in a packet, which must be well-formed XML."""
    return [
        value
        for element in ElementTree.fromstring(xmp).iter()
        for name, value in element.attrib.items()
        if name.endswith("DigitalSourceType")
    ]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_metadata(suffix: str, form: str) -> None:
    exif = with_thumbnail(taking().tobytes())
    data = encode(PHOTO, form, exif=exif, xmp=XMP, icc_profile=SRGB)
    assert b"the old face" in data and b"a small face" in data
    assert decode(data).getexif().get_ifd(ExifTags.IFD.IFD1)
    original = open_original(data)
    assert original.image.size == (HEIGHT, WIDTH)
    assert (original.metadata.exif[-17:], original.metadata.xmp) == (exif[-17:], XMP)

    for keep in (False, True):
        written = original.encode(original.image, suffix, keep_metadata=keep)
        for hidden in (b"the old face", b"a small face", b"8BIM thumbnail"):
            assert hidden not in written
        after = decode(written)
        assert after.size == (HEIGHT, WIDTH)
        assert after.info["icc_profile"] == SRGB
        found = after.getexif()
        assert found.get(ExifTags.Base.Make) == ("Maker" if keep else None)
        assert found.get_ifd(ExifTags.IFD.GPSInfo) == ({1: "N", 2: (47, 30, 15)} if keep else {})
        assert not found.get_ifd(ExifTags.IFD.IFD1)
        assert (b"Title" in after.info["xmp"]) is keep
        assert source_types(after.info["xmp"]) == [marking.EDITED]
        assert (b"Maker" in written) is keep
        assert open_original(written).image.size == after.size  # not turned once more
    assert b'tiff:Orientation="1"' in after.info["xmp"]
    details = found.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert details[ExifTags.Base.ExifImageWidth] == HEIGHT


def test_metadata_of_a_tiff_without_its_own_bookkeeping() -> None:
    original = open_original(encode(PHOTO, "TIFF", exif=taking().tobytes()))
    exif = decode(original.encode(original.image, keep_metadata=True)).getexif()
    assert set(exif) == {
        ORIENTATION, ExifTags.Base.Make, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
    }  # fmt: skip


def test_metadata_that_do_not_fit_are_left_out() -> None:
    exif = taking()
    exif[ExifTags.Base.ImageDescription] = "long" * 20_000
    original = open_original(encode(PHOTO, "PNG", exif=exif))
    assert not decode(original.encode(original.image, ".jpg", True)).getexif()
    assert len(decode(original.encode(original.image, ".png", True)).getexif()) > 0
    hidden = XMP.replace(b"Thumbnails", b"Previews")
    original = open_original(encode(PHOTO, "JPEG", xmp=hidden))
    assert original.metadata.xmp == hidden
    assert b"old face" not in original.encode(original.image, None, True)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_broken_metadata_are_no_reason_to_refuse(form: str) -> None:
    broken = {
        "exif": b"Exif\0\0MM\0*\xff\xff\xff\xff",
        "icc_profile": SRGB[:300],
    }
    if form != "PNG":
        broken["xmp"] = b"\xff\xfe<\0tiff:Orientation"
    original = open_original(encode(PHOTO, form, **broken))
    assert (original.profile, original.embedded) == (None, None)
    for suffix in (".png", ".jpg", ".webp"):
        after = decode(original.encode(original.image, suffix, keep_metadata=True))
        assert not {"exif", "icc_profile"} & set(after.info)
        assert source_types(after.info["xmp"]) == [marking.EDITED]
