"""Step 0: a photo in any format → RGB image; RGB image ↔ (1, 3, H, W) in [-1, 1]; image files.

`open_photo` gives the copy that faces are found in; `originals` keeps the photo as its file has it
and shares these pieces: `read_bytes`, `open_image`, `upright`, `turn_of`, `reduced_size`,
`flatten`, `to_srgb`, `from_srgb`.

Limits: a photo of more than `REDUCED_ABOVE` pixels is made smaller on opening; one of more than
`REFUSED_ABOVE` pixels, or with a side under `SMALLEST_SIDE`, is refused before it is decoded.
"""

from __future__ import annotations

import io
import math
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageCms, UnidentifiedImageError

from sdflow import marking

REDUCED_ABOVE = 24_000_000  # pixels; cameras and phones of today keep their full size
REFUSED_ABOVE = 120_000_000  # pixels; the 108 megapixels of a phone still pass
SMALLEST_SIDE = 32  # pixels; no face can be found in less
LARGEST_FILE = 200 * 2**20  # bytes

# An allow-list, because Pillow would also hand PostScript to an interpreter.
_FORMATS = "JPEG PNG WEBP AVIF GIF TIFF BMP DIB JPEG2000 PPM TGA ICO".split()
_ORIENTATION_TAG = 0x0112  # EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NOT_AN_IMAGE = "This is no image, or a damaged one: choose a JPEG, PNG, WebP or HEIC photo."
_CUT_OFF = "The image file is damaged or cut off: copy or upload it again, or choose another."


class BadImage(ValueError):
    """A photo that cannot be used; the message is a sentence that ends in what to do."""


def open_photo(source: str | Path | bytes | BinaryIO | Image.Image | np.ndarray) -> Image.Image:
    """Read a photo from wherever it comes, ready for `align.find_faces`.

    Any mode is accepted: grey, palette, CMYK, 16 bits (integers up to 65535; floats in 0..1,
    0..255 or 0..65535), transparency (shown over white). Of an animation the first frame is taken.
    The EXIF orientation is applied, an ICC profile is converted to sRGB, metadata are dropped.

    Args:
        source: path, encoded bytes, open binary file, PIL image (left as it is), or array (H, W),
            (H, W, 1), (H, W, 3) or (H, W, 4).

    Returns:
        A new image of mode RGB with at most `REDUCED_ABOVE` pixels and no `info`.

    Raises:
        BadImage: no such file, empty, not an image, damaged, too small or too large.
    """
    image = open_image(source)
    # A JPEG file can be decoded at 1/2, 1/4 or 1/8: quick, in little memory. Then half of the
    # pixels allowed will do: one of 48 megapixels comes out at 12. `reduced_size` foretells it.
    if image is not source and reduced_size(image.size) != image.size:
        image.draft(None, _fit(image.size, REDUCED_ABOVE // 2))
    pixels = upright(image)
    size = reduced_size(pixels.size)
    if size != pixels.size:
        pixels = pixels.resize(size, Image.Resampling.LANCZOS)
    photo = flatten(pixels, image.info.get("icc_profile"))
    if photo is image:
        photo = image.copy()
    photo.info = {}  # a profile or a place must not travel into the files saved later
    return photo


def to_tensor(
    image: Image.Image, size: int | None = None, device: torch.device | str | None = None
) -> torch.Tensor:
    """Convert an image to the range of the networks.

    Args:
        image: any PIL image; RGB is taken as it is.
        size: side of the result in pixels; the image must then be square. None keeps the size.
        device: where the result lies; CUDA if there is any, by default.

    Returns:
        (1, 3, H, W) float32 in [-1, 1].

    Raises:
        ValueError: `size` was given for an image that is not square.
    """
    if size is not None and image.width != image.height:
        raise ValueError(f"an image of {image.size} is not square: crop it before a resize")
    if size is not None and image.width != size:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).to(device)  # (H, W, 3)
    return pixels.permute(2, 0, 1)[None].float().div_(127.5).sub_(1)  # (1, 3, H, W)


def to_image(tensor: torch.Tensor) -> Image.Image:
    """Convert one picture of a network, (3, H, W) or (1, 3, H, W) in [-1, 1], to an RGB image.

    Values outside the range are clamped; each is rounded to the nearest of the 256 levels.
    """
    if tensor.ndim == 4 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        shape = tuple(tensor.shape)
        raise ValueError(f"expected (3, H, W) or (1, 3, H, W), not {shape}: pass one RGB picture")
    levels = tensor.detach().float().add(1).mul_(127.5).round_().clamp_(0, 255)  # (3, H, W)
    return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy())


def save(
    image: Image.Image, path: str | Path, quality: int = 95, source: str | None = None
) -> int:
    """Write an image in the format that the suffix names, making the folder if there is none.

    PNG is compressed at level 1 (three times faster than the default, 10 % larger); JPEG keeps
    full colour resolution from quality 90; WebP is lossless at quality 100.

    Args:
        image: RGB image.
        path: file name ending in .png, .jpg, .jpeg or .webp.
        quality: 1..100, for JPEG and WebP.
        source: digital source type to mark it with, see `sdflow.marking`; None for no mark.

    Returns:
        Number of bytes written.

    Raises:
        ValueError: unknown suffix or quality out of range.
    """
    path = Path(path)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality {quality} is out of range: choose 1 to 100")
    match path.suffix.lower():
        case ".png":
            options = {"format": "PNG", "compress_level": 1}
        case ".jpg" | ".jpeg":
            subsampling = "4:4:4" if quality >= 90 else "4:2:0"
            options = {"format": "JPEG", "quality": quality, "subsampling": subsampling}
        case ".webp" if quality == 100:
            options = {"format": "WEBP", "lossless": True, "quality": 0, "method": 0}
        case ".webp":
            options = {"format": "WEBP", "quality": quality, "method": 2}
        case _:
            raise ValueError(f"cannot save as {path.name!r}: end the name in .png, .jpg or .webp")
    if source is not None:
        options |= marking.options(options["format"], marking.packet(source))
    encoded = io.BytesIO()  # complete before the file is touched
    image.save(encoded, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(encoded.getvalue())


def open_image(
    source: str | Path | bytes | BinaryIO | Image.Image | np.ndarray,
) -> Image.Image:
    """The image of any source of `open_photo`, its size checked; a file is not decoded yet.

    Raises:
        BadImage: as `open_photo`, but for damage further on in the file.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    image = source if isinstance(source, Image.Image) else _open_lazily(read_bytes(source))
    _check_size(image.size)
    return image


def upright(image: Image.Image) -> Image.Image:
    """Decode the first frame and turn it as EXIF says.

    Returns:
        Pixels of mode L, LA, RGB, RGBA or CMYK, full size, in the colours of the file; the very
        image if there was nothing to do.

    Raises:
        BadImage: the file is damaged, or of a colour mode that cannot be read.
    """
    try:
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(_too_large()) from error
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise BadImage(_CUT_OFF) from error
    try:
        pixels = _to_continuous(image)
    except ValueError as error:
        raise BadImage(
            f"The colour mode {image.mode} cannot be read here: save the photo as JPEG."
        ) from error
    turn = turn_of(image)
    return pixels if turn is None else pixels.transpose(turn)


def reduced_size(size: tuple[int, int], is_jpeg: bool = False) -> tuple[int, int]:
    """The size that `open_photo` gives a photo of this size.

    Args:
        size: width and height.
        is_jpeg: whether it is read from a JPEG file, and decoded small where that will do.
    """
    if is_jpeg and _fit(size, REDUCED_ABOVE) != size:
        asked = _fit(size, REDUCED_ABOVE // 2)
        factor = min(size[0] // asked[0], size[1] // asked[1])
        step = next(step for step in (8, 4, 2, 1) if factor >= step)  # as Image.draft chooses
        size = math.ceil(size[0] / step), math.ceil(size[1] / step)
    return _fit(size, REDUCED_ABOVE)


def flatten(pixels: Image.Image, profile: bytes | None) -> Image.Image:
    """Pixels as `upright` gives them → RGB in sRGB, what is transparent over white.

    The very image is returned if there was nothing to do.
    """
    if pixels.mode in ("LA", "RGBA"):
        opaque = "L" if pixels.mode == "LA" else "RGB"
        white = Image.new("RGBA", pixels.size, "white")
        pixels = Image.alpha_composite(white, pixels.convert("RGBA")).convert(opaque)
    if profile:
        pixels = to_srgb(pixels, profile)
    return pixels if pixels.mode == "RGB" else pixels.convert("RGB")


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Apply an ICC profile to an image of mode L, RGB or CMYK.

    A profile that is broken, of another colour mode, or sRGB itself is ignored, as browsers do:
    then the very image is returned, else a new one of mode RGB.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).startswith("sRGB"):
            return image
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError):
        return image


def from_srgb(picture: Image.Image, profile: bytes, mode: str) -> Image.Image:
    """The way back of `to_srgb`, for a profile of mode L or RGB.

    Raises:
        ImageCms.PyCMSError: broken, of another mode, or a profile that only leads out.
    """
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(picture, srgb, target, outputMode=mode)


def read_bytes(source: str | Path | bytes | BinaryIO) -> bytes:
    """All bytes of a file, at most `LARGEST_FILE`.

    Raises:
        BadImage: no such file, empty, too large, or not to be read.
    """
    try:
        if isinstance(source, (str, Path)):
            with open(source, "rb") as stream:
                data = stream.read(LARGEST_FILE + 1)
        elif isinstance(source, (bytes, bytearray, memoryview)):
            data = bytes(source)
        else:
            data = source.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise BadImage(f"There is no file {str(source)!r}: check the path.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadImage(
            f"The photo cannot be read ({why}): check the path and your rights."
        ) from error
    if not data:
        raise BadImage("The image file is empty: copy or upload it again, or choose another.")
    if len(data) > LARGEST_FILE:
        megabytes = LARGEST_FILE // 2**20
        raise BadImage(f"The image file is over {megabytes} MB: save a smaller copy and use that.")
    return data


def _open_lazily(data: bytes) -> Image.Image:
    """The image of a file with only its header read, so that its size can be judged first."""
    formats = list(_FORMATS)
    if data[4:8] == b"ftyp":  # HEIC and AVIF share this container
        _register_heif()
        formats.append("HEIF")
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's limits stay as the process set them: its warning between its limit and ours is
        # left alone and refuses only where the process turns warnings into errors.
        raise BadImage(_too_large()) from error
    except UnidentifiedImageError:
        raise BadImage(_NOT_AN_IMAGE) from None
    except Exception as error:  # a decoder may raise anything on a hostile file
        raise BadImage(_CUT_OFF) from error


@cache  # once per process, and only when such a file comes along
def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < SMALLEST_SIDE:
        raise BadImage(
            f"The photo is only {width} x {height} pixels: choose one of at least "
            f"{SMALLEST_SIDE} x {SMALLEST_SIDE}, better 500 x 500."
        )
    if width * height > REFUSED_ABOVE:
        raise BadImage(_too_large(size))


def _too_large(size: tuple[int, int] | None = None) -> str:
    what = f"The photo of {size[0]} x {size[1]} pixels" if size else "The photo"
    limit = REFUSED_ABOVE // 1_000_000
    return f"{what} is over the limit of {limit} megapixels: save a smaller copy and use that."


def _fit(size: tuple[int, int], limit: int) -> tuple[int, int]:
    """The size with the same shape and at most `limit` pixels."""
    factor = min(1.0, math.sqrt(limit / (size[0] * size[1])))
    return max(1, int(size[0] * factor)), max(1, int(size[1] * factor))


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What turns the picture upright, as EXIF says."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION_TAG))
    except Exception:  # broken EXIF is no reason to refuse the photo
        return None


def _to_continuous(image: Image.Image) -> Image.Image:
    """Change to 8-bit modes whose pixels can be averaged: L, LA, RGB, RGBA, CMYK."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_bytes(np.asarray(image)))
    if image.has_transparency_data:  # a transparent colour too: averaged, it would be another one
        mode = "LA" if image.mode in ("1", "L", "LA", "La") else "RGBA"
    elif image.mode == "1":
        mode = "L"
    else:
        mode = image.mode if image.mode in ("L", "RGB", "CMYK") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Scale numbers to uint8: by their type or, for floats and 32 bits, by their peak."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return (values >> 8).astype(np.uint8)  # as Pillow reads 16-bit colour
    is_float = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    peak = float(values.max(initial=0))
    if is_float and peak <= 1:
        scale = 255.0
    elif peak <= 255:
        scale = 1.0
    else:
        scale = 255 / max(peak, 65535)
    return np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.dtype.kind not in "buif" or not (
        array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    ):
        raise BadImage(
            f"An array {array.shape} of {array.dtype} is not a photo: pass (H, W), (H, W, 3) or "
            "(H, W, 4) numbers."
        )
    _check_size((array.shape[1], array.shape[0]))
    return Image.fromarray(np.ascontiguousarray(_to_bytes(array)))
