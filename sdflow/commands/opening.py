"""Photo, face file or recipe → opened faces, of one file or of several."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sdflow.commands import Report
from sdflow.commands.options import Faces, Likeness, Pasting
from sdflow.commands.progress import Interruption, Steps
from sdflow.commands.reports import add_notes

if TYPE_CHECKING:
    from PIL import Image

    from sdflow.align import FoundFace
    from sdflow.faces import Face
    from sdflow.media import Render
    from sdflow.originals import Original
    from sdflow.pipeline import Editor
    from sdflow.recipes import Recipe

DROPPED = "What the face file changed the generator by is dropped: add --tune to make it anew."
Failures = list[dict[str, str]]  # of each photo its name and, as `error`, a sentence


@dataclass(frozen=True, eq=False)
class Source:
    """What a verb was given, read and found good before the models are loaded.

    Attributes:
        path: of the photo, face file or recipe.
        kept: the face of a face file or recipe; None for a photo.
        recipe: which holds that face; None for the others.
        original: the photo to paste into; None without --paste.
    """

    path: Path
    kept: Face | None = None
    recipe: Recipe | None = None
    original: Original | None = None

    def photo(self, pasting: Pasting | None = None) -> Path | None:
        """The photo's file, which nothing may be written over; None where there is none."""
        if self.kept is None:
            return self.path
        return None if pasting is None else pasting.photo


@dataclass(frozen=True, eq=False)
class Opened:
    """A face, and how it was opened.

    Attributes:
        source: what it was opened from; None for a random face.
        number: which of the photo's faces; None for others.
        face: the face.
        distance: photo to inversion after the last step, see `invert.Step`; None without steps.
        stopped: whether Ctrl-C has ended the steps early.
        told: sentences about the opening, beside the face's own warnings.
    """

    source: Source | None
    number: int | None
    face: Face
    distance: float | None = None
    stopped: bool = False
    told: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what makes the photo difficult, and about the opening."""
        return (*self.face.warnings, *self.face.notes, *self.told)

    @property
    def name(self) -> str:
        """Of its file, and which face it is where there are several."""
        if self.number is None or self.face.faces_found == 1:
            return self.source.path.name
        return f"{self.source.path.name}, face {self.number}"


def read_source(path: Path, pasting: Pasting | None = None) -> Source:
    """Read the photo, face file or recipe, and with `pasting` the photo to paste into.

    Raises:
        BadImage, FaceFileError, RecipeError: it cannot be used.
        ValueError: the photo to paste into is not named, named twice, or another one.
    """
    from sdflow.faces import is_face_file, load_face
    from sdflow.images import open_photo
    from sdflow.originals import check_same_photo, open_original
    from sdflow.recipes import is_recipe, load_recipe

    kept = recipe = None
    if is_face_file(path):
        kept = load_face(path)
    elif is_recipe(path):
        recipe = load_recipe(path)
        kept = recipe.face
    if pasting is None:
        if kept is None:
            open_photo(path)
        return Source(path, kept, recipe)
    if kept is None:
        if pasting.photo is not None:
            raise ValueError(
                f"{str(path)!r} is the photo to paste into. Write --paste without a photo."
            )
        return Source(path, original=open_original(path))
    if kept.alignment is None:
        raise ValueError("A random face has no place in a photo. Leave --paste out.")
    if pasting.photo is None:
        what = "face file" if recipe is None else "recipe"
        raise ValueError(f"A {what} holds no photo. Name it, as in --paste photo.jpg.")
    original = open_original(pasting.photo)
    check_same_photo(kept, original)
    return Source(path, kept, recipe, original)


def read_sources(paths: Sequence[Path]) -> tuple[list[Source], Failures]:
    """Read several; those that cannot be used are failures, unless none is left.

    Raises:
        ValueError, OSError: the error of the first, if none can be used.
    """
    sources: list[Source] = []
    failures: Failures = []
    first: Exception | None = None
    for path in paths:
        try:
            sources.append(read_source(path))
        except (ValueError, OSError) as error:
            first = first or error
            failures.append({"photo": str(path), "error": str(error)})
    if not sources:
        raise first
    return sources, failures


def load_editor(strengths: dict[str, float], mapping: str = "poles") -> tuple[Editor, float]:
    """The editor, and the seconds that loading took."""
    start = time.perf_counter()
    from sdflow import gpu
    from sdflow.edit import parse_strengths
    from sdflow.selection import decide

    if why := decide().why:
        print(why, file=sys.stderr)
    editor = gpu.load_editor()
    parse_strengths(strengths, editor.models.shipped, mapping)
    return editor, time.perf_counter() - start


def check_likeness(source: Source, faces: Faces, likeness: Likeness) -> None:
    """Tell before any work what a face file has not got.

    Raises:
        ValueError: other faces than its one, or no photo to resemble.
    """
    if source.kept is None:
        return
    if faces != (0,):
        what = "face file" if source.recipe is None else "recipe"
        raise ValueError(f"A {what} holds one face. Leave --face out.")
    if source.kept.crop is None and (likeness.steps or likeness.tune):
        raise ValueError("A random face has no photo to resemble. Leave --refine and --tune out.")


def open_faces(
    editor: Editor,
    source: Source,
    faces: Faces,
    likeness: Likeness,
    which: str = "",
    shown: bool = True,
) -> list[Opened]:
    """Open the chosen faces; the first Ctrl-C ends all their refinement, the second everything.

    Args:
        editor: opens them.
        source: what they are in.
        faces: which of a photo's faces.
        likeness: work on it.
        which: goes into the words of progress, such as " (2 of 5)".
        shown: whether progress is.

    Raises:
        NoFaceFound, ValueError: see `Editor.open`.
        RecipeError: the recipe was made with other models.
        KeyboardInterrupt: the second Ctrl-C, or the first where there are no steps to end.
    """
    steps = likeness.steps_for(source.kept is not None)
    with Interruption(keep=bool(steps or likeness.tune)) as interruption:
        worker = _Opener(editor, source, steps, likeness.tune, interruption, which, shown)
        return [worker.kept()] if source.kept is not None else worker.faces(faces)


def open_people(
    editor: Editor, sources: Sequence[Source], faces: Faces, likeness: Likeness
) -> tuple[list[Opened], Failures]:
    """Open faces of several files; those that cannot be opened are failures, unless none is left.

    Raises:
        ValueError, OSError: the error of the first, if none can be opened.
        KeyboardInterrupt: as for `open_faces`.
    """
    people: list[Opened] = []
    failures: Failures = []
    first: Exception | None = None
    for i, source in enumerate(sources, 1):
        which = f" ({i} of {len(sources)})" if len(sources) > 1 else ""
        chosen = faces if source.kept is None else (0,)
        try:
            check_likeness(source, chosen, likeness)
            people += open_faces(editor, source, chosen, likeness, which)
        except (ValueError, OSError) as error:
            first = first or error
            failures.append({"photo": str(source.path), "error": str(error)})
    if not people:
        raise first
    return people, failures


def renderer(editor: Editor, face: Face, size: int, detail: bool, report: Report) -> Render:
    """What makes pictures of a face in a size; the report is told of how they were made."""

    def render(strengths: Mapping[str, float]) -> Image.Image:
        edited = editor.edit(face, strengths, size, detail)
        add_notes(report, *edited.notes)
        return edited.image

    return render


@dataclass(frozen=True, eq=False)
class _Opener:
    """Opens the faces of one source, all under one Ctrl-C."""

    editor: Editor
    source: Source
    steps: int
    tune: bool
    interruption: Interruption
    which: str
    shown: bool

    def kept(self) -> Opened:
        """The face of a face file or recipe, with more likeness if that is asked for."""
        source, told = self.source, ()
        if source.recipe is None:
            face = self.editor.open(source.path)
        else:
            from sdflow.recipes import check_models

            told = check_models(source.recipe, self.editor.models)
            face = self.editor.open(source.kept)
        if self.steps and face.tuning is not None and not self.tune:
            told += (DROPPED,)
        return self._work(Opened(source, None, face, told=told), self.steps)

    def faces(self, chosen: Faces) -> list[Opened]:
        """The chosen faces of a photo, which are looked for once."""
        from sdflow.align import find_faces
        from sdflow.images import open_photo

        start = time.perf_counter()
        original = self.source.original
        picture = open_photo(self.source.path) if original is None else original.working()
        found = find_faces(picture)
        spent = time.perf_counter() - start
        numbers = range(len(found)) if chosen is None else chosen
        first, *others = [self._open(picture, number, found) for number in numbers]
        seconds = dict(first.face.seconds_per_step)
        seconds["align"] += spent
        return [replace(first, face=replace(first.face, seconds_per_step=seconds)), *others]

    def _open(self, picture: Image.Image, number: int, found: list[FoundFace]) -> Opened:
        steps = self._told("refining", self.steps)
        face = self.editor.open(picture, number, self.steps, on_step=steps, found=found)
        return self._work(Opened(self.source, number, face, steps.distance, steps.ended), 0)

    def _work(self, opened: Opened, steps: int) -> Opened:
        """More likeness for an opened face; no tuning where Ctrl-C came before it."""
        if steps:
            told = self._told("refining", steps)
            face = self.editor.refine(opened.face, steps, on_step=told)
            opened = replace(opened, face=face, distance=told.distance, stopped=told.ended)
        if self.tune and self.interruption.asked:
            return replace(opened, stopped=True)
        if self.tune:
            from sdflow import tuning

            told = self._told("tuning", tuning.STEPS)
            face = self.editor.refine(opened.face, 0, tune=True, on_step=told)
            opened = replace(opened, face=face, distance=told.distance, stopped=told.ended)
        return opened

    def _told(self, what: str, total: int) -> Steps:
        return Steps(f"{what}{self.which}", total, self.interruption, self.shown)
