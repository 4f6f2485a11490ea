"""A photo with its edited faces: as a picture for the screen, and as files to take along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from sdflow.originals import Original
from sdflow.page.photos import KeptPhoto
from sdflow.pipeline import Edited

LONGEST_SHOWN = 1600  # pixels


@dataclass(frozen=True, eq=False)
class PastedPhoto:
    """What `Service.paste` gives.

    Attributes:
        original: the photo as it was.
        image: with the edited faces, of its size and in its colour space.
        mask: mode L, 0 where nothing was touched.
        edits: of its faces, in order.
        photo: the kept file.
        token: of the last face.
        seconds: that editing and pasting took, without waiting for a turn.
        notes: sentences on how it was made, see `sdflow.gpu`.
    """

    original: Original
    image: Image.Image
    mask: Image.Image
    edits: tuple[Edited, ...]
    photo: KeptPhoto
    token: str
    seconds: float
    notes: tuple[str, ...] = ()


def comparable(original: Original, image: Image.Image | None = None) -> Image.Image:
    """A photo, or a changed copy of it, in sRGB and small enough for the screen."""
    photo = original if image is None else replace(original, image=image)
    picture = photo.working().copy()  # it may be the photo itself
    picture.thumbnail((LONGEST_SHOWN, LONGEST_SHOWN), Image.Resampling.LANCZOS)
    return picture


def written(pasted: PastedPhoto, file: Path, keep_metadata: bool) -> tuple[Path, Path]:
    """Writes the photo to a file of its own format, and the mask beside it as PNG."""
    pasted.original.save(pasted.image, file, keep_metadata)
    mask = file.with_name("sdflow-mask.png")
    pasted.mask.save(mask)
    return file, mask
