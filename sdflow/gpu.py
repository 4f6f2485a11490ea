"""An editor that works on a GPU, and on the CPU where the GPU cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, wraps
from typing import Any, TypeVar

import torch
from PIL import Image

from sdflow import zerogpu
from sdflow.align import crop_landmarks
from sdflow.edited import Edited
from sdflow.faces import Face
from sdflow.models import ModelSet, is_full, load_models
from sdflow.paste import Pasted
from sdflow.pipeline import BATCH, Editor, Photo
from sdflow.selection import Selection

FULL = "The GPU's memory was full. This was made on the CPU, which takes longer."
NONE_FREE = "No GPU was to be had. This was made on the CPU, which takes longer."

Result = TypeVar("Result")


def load_editor(selection: Selection | None = None, warm: bool = False) -> Editor:
    """The editor for this machine.

    Args:
        selection: default what the environment asks for.
        warm: make a picture of each size that is thrown away, since the first ones take longest;
            on ZeroGPU, whose processes come and go, that is of no use.

    Raises:
        ValueError: the environment asks for what there is not.
        WeightsError: the weights cannot be had.
    """
    if zerogpu.IS_HERE:
        on_cpu = Editor(load_models(selection, "cpu"))
        crop_landmarks(Image.new("RGB", (256, 256)))  # loads dlib's predictor for all processes
        return GPUEditor(on_cpu.models, zerogpu.runner(on_cpu.models), lambda: on_cpu)
    editor = _plain_editor(selection)
    if warm:
        face = editor.random(0)
        for size in (512, 1024):
            editor.edit(face, {}, size)
    return editor


def _plain_editor(selection: Selection | None) -> Editor:
    """That of a machine whose GPU, if it has one, is always there."""
    try:
        editor = Editor(load_models(selection))
    except RuntimeError as error:
        if not is_full(error):
            raise
        print("The GPU's memory is full: the CPU does all the work.", file=sys.stderr, flush=True)
        editor = None
    if editor is None:  # outside of the block above, which holds on to the GPU's memory
        return Editor(load_models(selection, "cpu"))
    if editor.models.device.type == "cpu":
        return editor
    chosen = editor.models.selection
    return GPUEditor(
        editor.models,
        lambda name, given, named: getattr(editor, name)(*given, **named),
        cache(lambda: Editor(load_models(chosen, "cpu"))),
        BATCH,
    )


def most_together() -> int:
    """How many edits go through the networks together on this machine; nothing is loaded to tell.

    On ZeroGPU each visitor has a share of its own, with which others are not to be served.
    """
    return BATCH if torch.cuda.is_available() and not zerogpu.IS_HERE else 1


def _there(method: Callable[..., Result]) -> Callable[..., Result]:
    """A method of `Editor`, done wherever a `GPUEditor` has its work done."""

    @wraps(method)
    def done_there(self: GPUEditor, *given: Any, **named: Any) -> Result:  # noqa: ANN401
        return self.have_done(method.__name__, given, named)

    return done_there


class GPUEditor(Editor):
    """An editor whose work is done elsewhere, or else on the CPU; results then have a note.

    Args:
        models: what callers see of them: names and settings.
        run: does one of the methods on the GPU.
        on_cpu: gives the editor for what `run` cannot do.
        batch: how many edits visitors share a pass with.
    """

    def __init__(
        self, models: ModelSet, run: zerogpu.Run, on_cpu: Callable[[], Editor], batch: int = 1
    ) -> None:
        super().__init__(models)
        self.batch = batch
        self._run, self._on_cpu = run, on_cpu

    def open(self, photo: Photo | Face, *given: Any, **named: Any) -> Face:  # noqa: ANN401
        """See `Editor.open`; a face needs no work."""
        if isinstance(photo, Face):
            return super().open(photo)
        return self.have_done("open", (photo, *given), named)

    refine = _there(Editor.refine)
    random = _there(Editor.random)
    from_code = _there(Editor.from_code)
    edit = _there(Editor.edit)
    edit_many = _there(Editor.edit_many)
    paste = _there(Editor.paste)
    reconstruct = _there(Editor.reconstruct)
    cut_out = _there(Editor.cut_out)
    classify = _there(Editor.classify)

    def have_done(self, name: str, given: tuple, named: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Has a method of `Editor` done; errors are the method's own."""
        given = tuple(map(_read, given))
        named = {parameter: _read(value) for parameter, value in named.items()}
        try:
            return self._run(name, given, named)
        except zerogpu.NoGPU:
            note = NONE_FREE
        except RuntimeError as error:
            if not is_full(error):
                raise
            note = FULL
        # Outside of the blocks above, since what they caught holds on to the GPU's memory.
        return noted(getattr(self._on_cpu(), name)(*given, **named), note)


def _read(value: Any) -> Any:  # noqa: ANN401
    """What an open file holds: it can neither be sent elsewhere nor be read twice."""
    return value.read() if hasattr(value, "read") else value


def noted(result: Result, note: str) -> Result:
    """A result of an editor with a sentence on how it was made, where it has room for one."""
    if isinstance(result, list):
        return [noted(each, note) for each in result]
    if isinstance(result, Face | Edited | Pasted):
        return replace(result, notes=(*result.notes, note))
    return result
