"""What the API's endpoints do. Values come as clients sent them and are checked before any work.

Names and docstrings are what clients see: of endpoints, and of the tools of MCP clients.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.context import LocalContext

from sdflow import __version__
from sdflow.edit import MAPPINGS, ORIGINAL, POLES, parse_strengths
from sdflow.page.checks import (
    MOST_STEPS,
    edits_by_token,
    one_of,
    path_of,
    token_of,
    within,
    yes_or_no,
)
from sdflow.page.errors import told
from sdflow.page.many import Progress, morph_file, sweep_file
from sdflow.page.pictures import FORMATS, FULL, PREVIEW
from sdflow.page.reports import measured, reported
from sdflow.page.scales import edit_of
from sdflow.page.service import NO_FACE, NO_PHOTO, Opened, Service
from sdflow.page.work import Abandoned, finish
from sdflow.recipes import digests, precision_of
from sdflow.released import NEEDED
from sdflow.video import VIDEOS

if TYPE_CHECKING:
    from sdflow.faces import Face
    from sdflow.invert import OnStep, Step

BAR = gr.Progress()  # gradio fills in the progress of the event
ALL = "all"  # attributes of a sweep
MOST_FACES = 1000  # of a photo, of which one is chosen by its number
FEW, MANY = 10, 60  # steps of refinement
NO_EDIT = "The morph has nowhere to go. Give a strength that is not 0, or stops."
NO_PHOTO_IN_FILE = "A face file holds no photo. Give the photo that it is from, too."
TWO_WAYS = "There are both stops and strengths. Give the stops alone."
Found = tuple[str, dict[str, Any], str, str]
Sent = Mapping[str, Any] | None  # a file, as gradio sends it


def steps_shown(
    progress: gr.Progress, what: str = "Working on the likeness"
) -> Callable[[Step | Progress], None]:
    """Tells a visitor or a client how far work has gone, and ends it if that one has left."""

    def show(step: Step | Progress) -> None:
        if has_left():
            raise Abandoned
        progress((step.done, step.steps), desc=what)

    return show


def has_left() -> bool:
    """Whether the client of the event that runs here has hung up; gradio itself ends only
    generators then."""
    page, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    event = page._queue.event_ids_to_events.get(event_id) if page and event_id else None
    return event is not None and not event.alive


class Calls:
    """The endpoints of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    # ---- faces

    @told
    async def invert(
        self,
        photo: Sent,
        face: int = 0,
        refine: int = FEW,
        tune: bool = False,
        progress: gr.Progress = BAR,
    ) -> Found:
        """Opens a photo: finds a face and its code in the generator, for all other tools."""
        given = self._photo(photo, face, refine, tune)

        def work(on_step: OnStep) -> Found:
            return self._described(self._service.open(*given, on_step))

        return await finish(work, steps_shown(progress))

    @told
    async def refine(
        self,
        token: str = "",
        face_file: Sent = None,
        steps: int = MANY,
        tune: bool = False,
        progress: gr.Progress = BAR,
    ) -> Found:
        """Makes a face of a photo look more like the person.

        The result has a token of its own; the old one goes on to stand for the face as it was.
        """
        steps = within(steps, 0, MOST_STEPS, "steps of refinement", whole=True)
        yes_or_no(tune, "tune")
        source = self._source(token, face_file)

        def work(on_step: OnStep) -> Found:
            kept = self._kept(*source)
            return self._described(self._service.refine(kept, steps, tune, on_step))

        return await finish(work, steps_shown(progress))

    @told
    def random(self, seed: int | None = None) -> Found:
        """Makes the face of a person who does not exist."""
        if seed is not None:
            seed = within(seed, 0, 2**63 - 1, "as a seed", whole=True)
        return self._described(self._service.random(seed))

    @told
    def read_attributes(
        self, token: str = "", face_file: Sent = None, celeba: bool = False
    ) -> dict[str, float]:
        """Reads every attribute off a face."""
        yes_or_no(celeba, "celeba")
        source = self._source(token, face_file)
        if celeba:
            return self._service.celeba(self._face(*source), {})[0]
        return self._service.editor.read(self._face(*source))

    # ---- edits

    @told
    def edit(
        self,
        token: str = "",
        face_file: Sent = None,
        size: int = FULL,
        format: str = "png",
        mapping: str = POLES,
        **strengths: float,
    ) -> tuple[str, dict[str, Any], str]:
        """Edits a face, any number of attributes at once, and returns the face alone."""
        service, suffix = self._service, suffix_of(format, FORMATS)
        one_of(size, (PREVIEW, FULL), "the size")
        strengths = self._edit(strengths, mapping)
        token, file = self._source(token, face_file)
        face = self._face(token, file)
        edited = service.edit_face(face, strengths, int(size))
        picture = service.pictures.download(edited.image, face, token, suffix)
        recipe = service.pictures.recipe(face, strengths, token)
        return str(picture), reported(edited, edited), str(recipe)

    @told
    async def paste(
        self,
        token: str = "",
        face_file: Sent = None,
        photo: Sent = None,
        plain: bool = False,
        keep_metadata: bool = False,
        others: Mapping[str, Any] | None = None,
        mapping: str = POLES,
        **strengths: float,
    ) -> tuple[str, str, dict[str, Any]]:
        """Edits a face and puts it back into its photo.

        The photo keeps its size, format and quality, and every pixel that the mask does not touch.
        """
        options = {
            "plain": yes_or_no(plain, "plain"),
            "keep_metadata": yes_or_no(keep_metadata, "keep_metadata"),
        }
        strengths = self._edit(strengths, mapping)
        edits = [(key, self._edit(given, mapping)) for key, given in edits_by_token(others)]
        token, file = self._source(token, face_file)
        path = path_of(photo, "photo")
        if not token and not path:
            raise ValueError(NO_PHOTO_IN_FILE)

        def work() -> tuple[str, str, dict[str, Any]]:
            edit = (self._kept(token, file, path), strengths)
            return self._pasted(*edits, edit, **options)

        return await asyncio.to_thread(work)

    @told
    async def edit_photo(
        self,
        photo: Sent,
        face: int = 0,
        refine: int = FEW,
        tune: bool = False,
        paste: bool = True,
        plain: bool = False,
        keep_metadata: bool = False,
        mapping: str = POLES,
        progress: gr.Progress = BAR,
        **strengths: float,
    ) -> tuple[str, str | None, dict[str, Any]]:
        """Edits a face of a photo in one call: what `invert` and then `paste` or `edit` do."""
        given = self._photo(photo, face, refine, tune)
        yes_or_no(paste, "paste")
        options = {
            "plain": yes_or_no(plain, "plain"),
            "keep_metadata": yes_or_no(keep_metadata, "keep_metadata"),
        }
        strengths, service = self._edit(strengths, mapping), self._service

        def work(on_step: OnStep) -> tuple[str, str | None, dict[str, Any]]:
            opened = service.open(*given, on_step)
            about = {"token": opened.token, **measured(opened.face)}
            if paste:
                picture, mask, report = self._pasted((opened.token, strengths), **options)
                return picture, mask, about | report
            edited = service.edit_face(opened.face, strengths)
            picture = service.pictures.download(edited.image, opened.face, opened.token)
            return str(picture), None, about | reported(edited, edited)

        return await finish(work, steps_shown(progress))

    # ---- many pictures

    @told
    async def sweep(
        self,
        token: str = "",
        face_file: Sent = None,
        attribute: str = "",
        down: str = "",
        steps: int = 5,
        format: str = "jpg",
        progress: gr.Progress = BAR,
    ) -> tuple[str, dict[str, Any]]:
        """Shows a face at strengths from -1 to 1 of one attribute, of two in a grid, or of all."""
        names = [row.name for row in self._service.attributes]
        one_of(attribute, [*names, ALL], "the attribute")
        one_of(down, [*names, ""], "the attribute of the rows")
        across = names if attribute == ALL else [attribute]
        suffix = suffix_of(format, FORMATS)
        make = partial(sweep_file, across=across, down=down, columns=steps, suffix=suffix)
        return await self._many(make, token, face_file, progress)

    @told
    async def morph(
        self,
        token: str = "",
        face_file: Sent = None,
        stops: list[Mapping[str, float]] | None = None,
        seconds: float = 4,
        fps: float = 25,
        size: int = PREVIEW,
        format: str = "mp4",
        mapping: str = POLES,
        progress: gr.Progress = BAR,
        **strengths: float,
    ) -> tuple[str, dict[str, Any]]:
        """Makes a video of a face on its way from the original to an edit, or through several."""
        moved = self._edit(strengths, mapping)
        if stops and moved:
            raise ValueError(TWO_WAYS)
        if not stops and not moved:
            raise ValueError(NO_EDIT)
        if isinstance(stops, list):
            stops = [self._edit(stop, mapping) for stop in stops]
        make = partial(
            morph_file, stops=stops or [{}, moved], seconds=seconds, fps=fps, size=size,
            suffix=suffix_of(format, VIDEOS),
        )  # fmt: skip
        return await self._many(make, token, face_file, progress)

    # ---- the server

    @told
    def list_attributes(self) -> list[dict[str, str]]:
        """Lists the attributes that edits take, with what -1 (negative) and 1 (positive) mean."""
        return [row.about() for row in self._service.attributes]

    @told
    def health(self) -> dict[str, Any]:
        """Tells how the server is."""
        about: dict[str, Any] = {"status": self._service.status, "version": __version__}
        if file := self._service.fetching:
            about["fetching"] = file
        if about["status"] == "ready":
            models = self._service.editor.models
            why = {"why": self._service.decided.why} if self._service.decided.why else {}
            about |= {"models": digests(models) | why, "precision": precision_of(models)}
        return about

    # ---- what they have in common

    def _photo(
        self, photo: Sent, face: object, refine: object, tune: object
    ) -> tuple[str, int, int, bool]:
        """What opens a photo, checked."""
        number = within(face, 0, MOST_FACES, "as the face's number", whole=True)
        steps = within(refine, 0, MOST_STEPS, "steps of refinement", whole=True)
        path = path_of(photo, "photo")
        if path is None:
            raise ValueError(NO_PHOTO)
        return path, number, steps, yes_or_no(tune, "tune")

    def _edit(self, strengths: Mapping[str, Any], mapping: object) -> dict[str, float]:
        """The edit that a client's numbers say; what is 0 or not given is not edited."""
        one_of(mapping, MAPPINGS, "the mapping")
        if mapping == ORIGINAL and not self._service.classifies:
            raise ValueError(NEEDED)
        names = [row.name for row in self._service.attributes]
        given = parse_strengths(strengths, names, mapping)
        return edit_of({name: number for name, number in given.items() if number}, mapping)

    def _source(self, token: object, face_file: Sent) -> tuple[str, str | None]:
        """A token, or else a face file's path."""
        token, path = token_of(token), path_of(face_file, "face file")
        if not token and not path:
            raise ValueError(NO_FACE)
        return token, path

    def _face(self, token: str, path: str | None) -> Face:
        return self._service.face(token, path)

    def _kept(self, token: str, path: str | None, photo: str | None = None) -> str:
        """The token of a face, also of one that came as a file, with its photo if that came."""
        return token or self._service.open_file(path, photo).token

    async def _many(
        self, make: Callable[..., Path], token: str, face_file: Sent, progress: gr.Progress
    ) -> tuple[str, dict[str, Any]]:
        """A file of many pictures and a report on it, for a waiting client."""
        token, path = self._source(token, face_file)
        start, made = time.perf_counter(), 0

        def work(on_step: Callable[[Progress], bool]) -> Path:
            def count(step: Progress) -> bool:
                nonlocal made
                made = step.steps
                return on_step(step)

            face = self._face(token, path)
            return make(self._service, face, owner=token or None, on_step=count)

        file = await finish(work, steps_shown(progress, "Making pictures"))
        return str(file), {"pictures": made, "seconds": round(time.perf_counter() - start, 3)}

    def _described(self, opened: Opened) -> Found:
        face = opened.face
        about = {
            **measured(face),
            "attributes": self._service.editor.read(face),
            "seed": face.seed,
            "round_trip_error": face.round_trip_error,
        }
        image = self._service.edit(opened.token, {}).image
        picture = self._service.pictures.download(image, face, opened.token)
        return opened.token, about, str(picture), str(opened.face_file)

    def _pasted(
        self, *edits: tuple[str, Mapping[str, float]], plain: bool, keep_metadata: bool
    ) -> tuple[str, str, dict[str, Any]]:
        done = self._service.paste(*edits, plain=plain)
        photo, mask = self._service.pictures.download_photo(done, keep_metadata)
        return str(photo), str(mask), reported(done.edits[-1], done)


def suffix_of(format: object, suffixes: Sequence[str]) -> str:
    """`.png` of png.

    Raises:
        ValueError: it is not one of the suffixes.
    """
    return f".{one_of(format, [suffix[1:] for suffix in suffixes], 'the format')}"
