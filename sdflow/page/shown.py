"""What a visit asks for in full size: the face alone, or its photo with all faces as edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sdflow.page.pictures import FULL
from sdflow.page.service import Service
from sdflow.page.visit import Visit


@dataclass(frozen=True, eq=False)
class Shown:
    """A result.

    Attributes:
        pair: pictures to compare, before and after.
        caption: its size, and how long it took.
        before, after: attributes of the chosen face.
        label: of its download.
        write: makes the downloads, the picture and, of a photo, the mask.
    """

    pair: tuple[Path, Path]
    caption: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    label: str
    write: Callable[[], tuple[Path, Path | None]]


def full_size(service: Service, visit: Visit) -> Shown:
    """Renders what the visit shows; errors as for `Service.edit` and `Service.paste`."""
    pictures, token = service.pictures, visit.token
    if goes_in_photo(service, visit):
        pasted = service.paste(*visit.edits)
        edited, (width, height) = pasted.edits[-1], pasted.image.size
        return Shown(
            pictures.pair_in_photo(pasted),
            f"{width} × {height} px, in {pasted.seconds:.1f} s",
            edited.before,
            edited.after,
            f"Download {pasted.original.suffix[1:].upper()}",
            lambda: pictures.download_photo(pasted),
        )
    face = service.face(token)
    edited = service.edit_face(face, visit.strengths)
    return Shown(
        pictures.pair(token, edited),
        f"{FULL} px, in {edited.seconds:.1f} s",
        edited.before,
        edited.after,
        "Download PNG",
        lambda: (pictures.download(edited.image, face, token), None),
    )


def goes_in_photo(service: Service, visit: Visit) -> bool:
    """Whether the visit wants to see the photo, and there is one."""
    return visit.in_photo and service.has_photo(visit.token)
