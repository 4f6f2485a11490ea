"""Steps 0 and 7: the photo as its file has it → the copy to work on; the pasted photo → a file.

`images.open_photo` gives faces a copy in sRGB, flat and at most 24 megapixels. An `Original` keeps
what that copy lost, so that all of the photo but the face comes back as it was: size, colour
space, transparency, grey, JPEG tables.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageCms, JpegImagePlugin

from sdflow import images, marking
from sdflow.align import Alignment, crop_square
from sdflow.metadata import Metadata, read_metadata

if TYPE_CHECKING:
    from sdflow.faces import Face

OTHER_PHOTO = 25  # levels of 255; mean difference of the crops, above which it is another photo
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
_LONGEST_SIDE = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}  # pixels
_LOSSY = ("JPEG", "AVIF", "HEIF", "JPEG2000")  # and WebP by its chunks
# Pillow's numbers for the pixels across and down that share a colour, written 4:2:2 and 4:2:0; it
# has none for other shares, which get 0, a colour for every pixel (4:4:4).
_SUBSAMPLING = {(2, 1): 1, (2, 2): 2}
_SIDEWAYS = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
)


@dataclass(frozen=True, eq=False)
class Jpeg:
    """How a JPEG was encoded; turned with the picture if that lies on its side.

    Attributes:
        tables: quantisation tables of 64 numbers, row by row, one for each of Y, Cb, Cr; the last
            stands for those that follow.
        subsampling: of colour, in Pillow's numbers: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0.
        progressive: shown coarse first while it loads.
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    progressive: bool


@dataclass(frozen=True, eq=False)
class Original:
    """A photo as its file has it.

    Attributes:
        image: RGB, 8 bits, upright, full size, in the file's own colour space; under transparency
            too. CMYK, and profiles that lead only one way, are in sRGB instead.
        profile: ICC profile of that colour space; None for sRGB, and if there is none to be used.
        embedded: ICC profile that saved files carry: `profile`, or the file's own one of sRGB.
        alpha: mode L, upright; None if the file has no transparency.
        grey: image is grey and is saved so.
        format: Pillow's name of the file's format, a phone's MPO being JPEG; PNG for arrays and
            PIL images.
        lossless: the file kept every pixel.
        jpeg: how it was encoded; None for other formats.
        metadata: for those who want them in the saved file too.
    """

    image: Image.Image
    profile: bytes | None = None
    embedded: bytes | None = None
    alpha: Image.Image | None = None
    grey: bool = False
    format: str = "PNG"
    lossless: bool = True
    jpeg: Jpeg | None = None
    metadata: Metadata = Metadata()

    @property
    def suffix(self) -> str:
        """Suffix of the file's format, or .png where that format cannot be written here."""
        return _SUFFIXES.get(self.format, ".png")

    @property
    def working_size(self) -> tuple[int, int]:
        """Width and height of the working copy."""
        return images.reduced_size(self.image.size, self.format == "JPEG")

    def working(self) -> Image.Image:
        """The copy that `images.open_photo` gives of the same source, for `align.find_faces`.

        Made anew on each call; it is `image` itself where the two are the same, so don't paint on
        it. Above `images.REDUCED_ABOVE` pixels, a JPEG has the size but not the very pixels of
        `open_photo`, which decodes it small (and so may be half a pixel away at the far edges);
        what was converted to sRGB on opening differs by a level, being reduced after it.
        """
        pixels = self.image.getchannel(0) if self.grey else self.image
        if self.alpha is not None:
            pixels = Image.merge(f"{pixels.mode}A", [*pixels.split(), self.alpha])
        if self.working_size != pixels.size:
            pixels = pixels.resize(self.working_size, Image.Resampling.LANCZOS)
        return images.flatten(pixels, self.profile)

    def to_own_colours(self, picture: Image.Image) -> Image.Image:
        """An sRGB picture, such as an edited face → RGB in the colour space of `image`.

        What that space cannot show is clipped; grey originals get grey, in three equal bands.
        """
        mode = "L" if self.grey else "RGB"
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        if self.profile is not None:
            picture = images.from_srgb(picture, self.profile, mode)
        return picture.convert(mode).convert("RGB") if self.grey else picture

    def to_standard_colours(self, picture: Image.Image) -> Image.Image:
        """Part of `image` → RGB in sRGB, as the working copy has it."""
        return images.flatten(picture.getchannel(0) if self.grey else picture, self.profile)

    def scaled(self, alignment: Alignment) -> Alignment:
        """An alignment in the working copy → the same crop in pixels of `image`.

        The quad stays a square to within rounding of the working copy's sides (1 in thousands).

        Raises:
            ValueError: the alignment belongs to a photo of another size.
        """
        if tuple(alignment.photo_size) != self.working_size:
            width, height = alignment.photo_size
            raise ValueError(
                f"This face comes from a photo of {width} x {height} pixels, this one has "
                f"{self.working_size[0]} x {self.working_size[1]}. Give the photo it comes from."
            )
        factor = np.array(self.image.size) / self.working_size
        quad = (alignment.quad + 0.5) * factor - 0.5  # a pixel's whole numbers are at its centre
        return replace(alignment, quad=quad, photo_size=self.image.size)

    def encode(
        self, image: Image.Image, suffix: str | None = None, keep_metadata: bool = False
    ) -> bytes:
        """Encode a changed copy of `image` the way the file was.

        PNG keeps every pixel. So does WebP if the file did; else it has quality 95. JPEG has the
        tables and subsampling of the file if that was a JPEG; else quality 95 and full colour;
        what is transparent goes over white. The ICC profile is always there, and XMP that marks
        the photo as edited; metadata on request: then without thumbnails and maker's notes, in
        which the old face would live on.

        Args:
            image: RGB (or L) in the size and colour space of `image`.
            suffix: .png, .jpg, .jpeg or .webp; None for that of the original.
            keep_metadata: keep EXIF (with the place) and XMP.

        Raises:
            ValueError: another suffix, size or mode; sides too long for the format.
        """
        suffix = self.suffix if suffix is None else suffix
        form = _FORMATS.get(suffix.lower())
        if form is None:
            raise ValueError(f"cannot save as {suffix!r}: choose .png, .jpg or .webp")
        if image.size != self.image.size or image.mode not in ("RGB", "L"):
            raise ValueError(
                f"{image.mode} {image.size} is not the changed photo: pass RGB {self.image.size}"
            )
        if max(image.size) > _LONGEST_SIDE[form]:
            limit = _LONGEST_SIDE[form]
            raise ValueError(f"{form} ends at {limit} pixels a side: choose .png")
        pixels, profile = image.convert("L" if self.grey else "RGB"), self.embedded
        pixels.info = {}  # Pillow would write comments and transparent colours from there
        if self.grey and form == "WEBP" and profile is not None:
            pixels, profile = images.to_srgb(pixels, profile), None  # WebP has no grey
        if self.alpha is not None and form == "JPEG":
            white = Image.new(pixels.mode, pixels.size, "white")
            pixels = Image.composite(pixels, white, self.alpha)
        elif self.alpha is not None:
            pixels = pixels if form == "PNG" else pixels.convert("RGB")
            pixels = Image.merge(f"{pixels.mode}A", [*pixels.split(), self.alpha])
        options: dict[str, object] = {} if profile is None else {"icc_profile": profile}
        told = self.metadata if keep_metadata else Metadata()
        options |= told.options(form, image.size, marking.EDITED)
        match form:
            case "PNG":
                return _encoded(pixels, form, compress_level=1, **options)
            case "WEBP" if self.lossless:
                lossless = {"lossless": True, "exact": True, "quality": 0, "method": 0}
                return _encoded(pixels, form, **lossless, **options)
            case "WEBP":
                return _encoded(pixels, form, quality=95, exact=True, method=2, **options)
        if self.jpeg is None:
            return _encoded(pixels, form, quality=95, subsampling=0, **options)
        options |= {"qtables": self.jpeg.tables, "subsampling": self.jpeg.subsampling}
        try:
            return _encoded(pixels, form, progressive=self.jpeg.progressive, **options)
        except OSError:  # Pillow's buffer is too small for a progressive file of very fine tables
            return _encoded(pixels, form, **options)

    def save(self, image: Image.Image, path: str | Path, keep_metadata: bool = False) -> int:
        """Write what `encode` gives for the path's suffix, making the folder if there is none.

        Returns:
            Number of bytes written.

        Raises:
            ValueError: as `encode`.
        """
        path = Path(path)
        encoded = self.encode(image, path.suffix, keep_metadata)  # complete before the file is
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.write_bytes(encoded)


def open_original(source: str | Path | bytes | BinaryIO | Image.Image | np.ndarray) -> Original:
    """Read a photo whole, from any source that `images.open_photo` takes.

    Numbers of 16 bits become 8, of an animation the first frame is taken; broken metadata or
    profiles are no reason to refuse a photo.

    Raises:
        BadImage: as `images.open_photo`.
    """
    if is_file := not isinstance(source, (np.ndarray, Image.Image)):
        source = images.read_bytes(source)
    image = images.open_image(source)
    form = {"MPO": "JPEG"}.get(image.format, image.format) if is_file else "PNG"
    pixels = images.upright(image)
    alpha = pixels.getchannel("A") if pixels.mode in ("LA", "RGBA") else None
    grey = pixels.mode in ("L", "LA")
    mode = "L" if grey else "CMYK" if pixels.mode == "CMYK" else "RGB"
    if pixels is image or pixels.mode != mode:
        pixels = pixels.convert(mode)

    profile, embedded = _profiles(image.info.get("icc_profile"), mode)
    if profile is not None and not _leads_back(profile, mode):
        pixels, profile, embedded = images.to_srgb(pixels, profile), None, None
    pixels = pixels if pixels.mode == "RGB" else pixels.convert("RGB")
    pixels.info = {}
    is_lossy = form in _LOSSY or (form == "WEBP" and not _is_lossless_webp(source))
    jpeg = _jpeg(image) if form == "JPEG" else None
    return Original(
        pixels, profile, embedded, alpha, grey, form, not is_lossy, jpeg, read_metadata(image)
    )


def check_same_photo(face: Face, original: Original) -> None:
    """Tell a photo that a face was not cut from; edits and encoders may have changed it.

    Raises:
        ValueError: it has another size, or shows something else there.
    """
    of, has = face.alignment.photo_size, original.working_size
    if tuple(of) != has:
        raise ValueError(
            f"The face is from a photo of {of[0]} x {of[1]} pixels, the one to paste into has "
            f"{has[0]} x {has[1]}. Name the photo that it was opened from."
        )
    if face.picture is None:
        return
    crop, _ = crop_square(original.working(), face.alignment.quad, 64)
    crops = [np.asarray(image.resize((64, 64)), np.float32) for image in (crop, face.picture)]
    if np.abs(crops[0] - crops[1]).mean() > OTHER_PHOTO:
        raise ValueError(
            "The photo to paste into shows something else where the face was. Name the photo that "
            "it was opened from."
        )


def _profiles(profile: object, mode: str) -> tuple[bytes | None, bytes | None]:
    """The profile to convert by and the one to embed, of a file's profile that may be broken."""
    if not isinstance(profile, bytes):
        return None, None
    sample = Image.new(mode, (1, 1))
    if images.to_srgb(sample, profile) is not sample:
        return profile, profile
    try:
        name = ImageCms.getProfileDescription(io.BytesIO(profile))
    except Exception:  # broken in any way
        name = ""
    return None, profile if mode == "RGB" and name.startswith("sRGB") else None


def _leads_back(profile: bytes, mode: str) -> bool:
    """Whether `to_own_colours` can use it: a scanner's tables only lead out; no RGB is CMYK."""
    try:
        return mode != "CMYK" and bool(images.from_srgb(Image.new("RGB", (1, 1)), profile, mode))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False


def _jpeg(image: JpegImagePlugin.JpegImageFile) -> Jpeg | None:
    """None if the header names tables that are not there."""
    layers = image.layer[:3]  # of Y, Cb, Cr: name, samples across and down, number of the table
    numbers = [layer[3] for layer in layers]
    while len(numbers) > 1 and numbers[-1] == numbers[-2]:
        numbers.pop()
    try:
        tables = [np.reshape(image.quantization[number], (8, 8)) for number in numbers]
        share = layers[0][1] // layers[-1][1], layers[0][2] // layers[-1][2]
    except (IndexError, KeyError, ValueError, ZeroDivisionError):
        return None
    if images.turn_of(image) in _SIDEWAYS:
        tables, share = [table.T for table in tables], share[::-1]
    rows = tuple(tuple(table.flatten().tolist()) for table in tables)
    return Jpeg(rows, _SUBSAMPLING.get(share, 0), bool(image.info.get("progressive")))


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the first picture among the file's chunks is coded so."""
    place = 12
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        # The chunks of an animation's frame lie in the frame, behind a header of 16 bytes.
        place += 8 + (16 if name == b"ANMF" else length + length % 2)
    return False


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()
