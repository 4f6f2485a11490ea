"""Photo or face file → opened faces; says how far it is, and Ctrl-C ends refinement without loss.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sdflow.commands.options import Faces, Likeness, Pasting

if TYPE_CHECKING:
    from sdflow.faces import Face
    from sdflow.invert import Step
    from sdflow.originals import Original
    from sdflow.pipeline import Editor

OTHER_PHOTO = 25  # levels of 255; mean difference of the crops, above which it is another photo
DROPPED = "What the face file changed the generator by is dropped: add --tune to make it anew."


@dataclass(frozen=True, eq=False)
class Source:
    """What a verb was given, read and found good before the models are loaded.

    Attributes:
        path: of the photo or face file.
        kept: the face of a face file; None for a photo.
        original: the photo to paste into; None without --paste.
    """

    path: Path
    kept: Face | None = None
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
        number: which of the photo's faces; None for a face file.
        face: the face.
        distance: photo to inversion after the last step, see `invert.Step`; None without steps.
        stopped: whether Ctrl-C has ended the steps early.
    """

    number: int | None
    face: Face
    distance: float | None = None
    stopped: bool = False


def read_source(path: Path, pasting: Pasting | None = None) -> Source:
    """Read the photo or face file, and with `pasting` the photo to paste into.

    Raises:
        BadImage, FaceFileError: it cannot be used.
        ValueError: the photo to paste into is not named, named twice, or another one.
    """
    from sdflow.faces import is_face_file, load_face
    from sdflow.images import open_photo
    from sdflow.originals import open_original

    kept = load_face(path) if is_face_file(path) else None
    if pasting is None:
        if kept is None:
            open_photo(path)
        return Source(path, kept)
    if kept is None:
        if pasting.photo is not None:
            raise ValueError(
                f"{str(path)!r} is the photo to paste into. Write --paste without a photo."
            )
        return Source(path, None, open_original(path))
    if kept.alignment is None:
        raise ValueError("A random face has no place in a photo. Leave --paste out.")
    if pasting.photo is None:
        raise ValueError("A face file holds no photo. Name it, as in --paste photo.jpg.")
    original = open_original(pasting.photo)
    check_same_photo(kept, original)
    return Source(path, kept, original)


def check_same_photo(face: Face, original: Original) -> None:
    """Tell a photo that a face was not cut from; edits and encoders may have changed it.

    Raises:
        ValueError: it has another size, or shows something else there.
    """
    import numpy as np

    from sdflow.align import crop_square

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


def load_editor(strengths: dict[str, float]) -> tuple[Editor, float]:
    """The editor, and the seconds that loading took."""
    start = time.perf_counter()
    from sdflow.edit import parse_strengths
    from sdflow.pipeline import Editor

    editor = Editor()
    parse_strengths(strengths, editor.models.shipped)
    return editor, time.perf_counter() - start


def check_likeness(source: Source, faces: Faces, likeness: Likeness) -> None:
    """Tell before any work what a face file has not got.

    Raises:
        ValueError: other faces than its one, or no photo to resemble.
    """
    if source.kept is None:
        return
    if faces != (0,):
        raise ValueError("A face file holds one face. Leave --face out.")
    if source.kept.crop is None and (likeness.steps or likeness.tune):
        raise ValueError("A random face has no photo to resemble. Leave --refine and --tune out.")


def open_faces(
    editor: Editor, source: Source, faces: Faces, likeness: Likeness
) -> list[Opened]:
    """Open the chosen faces; the first Ctrl-C ends all their refinement, the second everything.

    Raises:
        NoFaceFound, ValueError: see `Editor.open`.
        KeyboardInterrupt: the second Ctrl-C, or the first where there are no steps to end.
    """
    steps = likeness.steps_for(source.kept is not None)
    with Interruption(keep=bool(steps or likeness.tune)) as interruption:
        if source.kept is not None:
            face = editor.open(source.path)
            dropped = bool(steps) and face.tuning is not None and not likeness.tune
            opened = _work(editor, Opened(None, face), steps, likeness.tune, interruption)
            told = opened.face.warnings + (DROPPED,) * dropped
            return [replace(opened, face=replace(opened.face, warnings=told))]
        photo = source.path if source.original is None else source.original.working()

        def open_face(number: int) -> Opened:
            progress = Progress("refining", interruption)
            face = editor.open(photo, number, steps, on_step=progress)
            opened = Opened(number, face, progress.distance, progress.ended)
            return _work(editor, opened, 0, likeness.tune, interruption)

        if faces is not None:
            return [open_face(number) for number in faces]
        first = open_face(0)
        return [first, *map(open_face, range(1, first.face.faces_found))]


def _work(
    editor: Editor, opened: Opened, steps: int, tune: bool, interruption: Interruption
) -> Opened:
    """More likeness for an opened face; no tuning where Ctrl-C came before it."""
    if steps:
        progress = Progress("refining", interruption)
        face = editor.refine(opened.face, steps, on_step=progress)
        opened = Opened(opened.number, face, progress.distance, progress.ended)
    if tune and interruption.asked:
        return replace(opened, stopped=True)
    if tune:
        progress = Progress("tuning", interruption)
        face = editor.refine(opened.face, 0, tune=True, on_step=progress)
        opened = Opened(opened.number, face, progress.distance, progress.ended)
    return opened


class Interruption:
    """Keeps the first Ctrl-C within it for those who ask; the next one interrupts as ever.

    Args:
        keep: False leaves Ctrl-C alone.
    """

    def __init__(self, keep: bool) -> None:
        self.asked = False
        self._keep = keep

    def __enter__(self) -> Interruption:
        self._keep = (
            self._keep
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler  # or it is ignored
        )
        if self._keep:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self._keep:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, *which: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Progress:
    """Told after each step; writes to a terminal, and ends the steps after a Ctrl-C.

    Args:
        what: is done.
        interruption: may ask for the end.

    Attributes:
        distance: after the last step, see `invert.Step`; None before the first.
        ended: there were more steps to take.
    """

    def __init__(self, what: str, interruption: Interruption) -> None:
        self.distance: float | None = None
        self.ended = False
        self._what = what
        self._interruption = interruption

    def __call__(self, step: Step) -> bool:
        asked = self._interruption.asked  # looked at once: it may come while we write
        self.distance = step.distance
        self.ended = asked and step.done < step.steps
        if sys.stderr.isatty():
            told = f"{self._what}: step {step.done} of {step.steps}, distance {step.distance:.3f}"
            end = "\n" if self.ended or step.done == step.steps else ""
            print(f"\r{told}\x1b[K", end=end, file=sys.stderr, flush=True)
        if self.ended:
            print(f"Stopped {self._what} after step {step.done} of {step.steps}, going on with "
                  "the best so far. Press Ctrl-C again to give up.",
                  file=sys.stderr, flush=True)  # fmt: skip
        return asked

