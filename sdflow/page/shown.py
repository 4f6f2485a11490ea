"""What a visit asks for in full size: the face, alone or beside its photo, or the whole photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sdflow.page.boards import small
from sdflow.page.service import Service
from sdflow.page.tried import Tried
from sdflow.page.visit import COMPARE, CUT_OUT, FACE, IN_PHOTO, Visit
from sdflow.pipeline import Edited

Seen = tuple[Path, Path] | Path  # before and after, or one picture alone


@dataclass(frozen=True, eq=False)
class Shown:
    """A result.

    Attributes:
        seen: to look at.
        size: width and height in pixels.
        seconds: how long it took.
        before, after: attributes of the chosen face.
        suffix: of the format that suits it best.
        write: given a suffix, makes the picture to take along and, of a photo, the mask.
        recipe: makes that file.
    """

    seen: Seen
    size: tuple[int, int]
    seconds: float
    before: Mapping[str, float]
    after: Mapping[str, float]
    suffix: str
    write: Callable[[str], tuple[Path, Path | None]]
    recipe: Callable[[], Path]


def full_size(service: Service, visit: Visit) -> Shown:
    """Renders what the visit shows; errors as for `Service.edit` and `Service.paste`."""
    pictures, token, strengths, trials = (
        service.pictures, visit.token, visit.strengths, visit.trials
    )  # fmt: skip
    face, where = service.face(token), way(service, visit)
    recipe = partial(pictures.recipe, face, strengths, token)
    if where == IN_PHOTO:
        pasted = service.paste(*visit.edits)
        edited = pasted.edits[-1]
        trials.remember(Tried(strengths, small(service, edited.image, token)))
        return Shown(
            pictures.pair_in_photo(pasted),
            pasted.image.size,
            pasted.seconds,
            edited.before,
            edited.after,
            pasted.original.suffix,
            lambda suffix: pictures.download_photo(pasted, suffix=suffix),
            recipe,
        )
    edited = service.edit_face(face, strengths)
    trials.remember(Tried(strengths, small(service, edited.image, token)))

    def write(suffix: str) -> tuple[Path, None]:
        image = service.cut_out(edited.image) if where == CUT_OUT else edited.image
        return pictures.download(image, face, token, suffix), None

    seen = seen_face(service, token, where, edited)
    size, seconds = edited.image.size, edited.seconds
    return Shown(seen, size, seconds, edited.before, edited.after, ".png", write, recipe)


def seen_face(service: Service, token: str, where: str, edited: Edited) -> Seen:
    """An edited face to look at, in any way but in its photo."""
    pictures = service.pictures
    if where == FACE:
        return pictures.after(edited.image, token)
    if where == CUT_OUT:
        return pictures.after(service.cut_out(edited.image), token)
    return pictures.pair(token, edited)


def way(service: Service, visit: Visit) -> str:
    """How the visit sees the edit: as it wants, if there is a photo to see it in."""
    placeless = visit.in_photo and not service.has_photo(visit.token)
    return COMPARE if placeless else visit.where
