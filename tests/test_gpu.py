"""An editor on a GPU: what its memory does not hold is done in smaller batches, or on the CPU.

There is no GPU here. Networks that refuse more than so many codes at a time take its place, and
PyTorch's CUDA as a package emulates it.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sdflow import gpu
from sdflow.faces import Face, face_to_bytes
from sdflow.gpu import FULL, NONE_FREE, GPUEditor
from sdflow.images import open_photo
from sdflow.models import ModelSet, move_models
from sdflow.pipeline import Editor
from sdflow.zerogpu import NoGPU

ROOT = Path(__file__).parents[1]
SMILES = [{"smiling": 1.0}, {"young": -0.5, "smiling": -1.0}, {}, {"yaw": 0.4}, {"bangs": 1.0}]


class Cramped:
    """A network in a memory that holds so many rows; it writes down how many it was given."""

    def __init__(self, network: Any, most: int) -> None:  # noqa: ANN401
        self.network, self.most, self.given = network, most, []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.network, name)

    def __call__(self, w: torch.Tensor, *rest: Any) -> torch.Tensor:  # noqa: ANN401
        self.given.append(len(w))
        if len(w) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return self.network(w, *rest)


class CrampedFlow(Cramped):
    """The same of a flow, in codes: faces times 18."""

    def decode(self, z: torch.Tensor, *rest: Any) -> torch.Tensor:  # noqa: ANN401
        self.given.append(len(z))
        if len(z) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return self.network.decode(z, *rest)


@pytest.fixture(scope="module")
def faces(editor: Editor) -> list[Face]:
    return [editor.random(seed) for seed in range(len(SMILES))]


@pytest.fixture(scope="module")
def cramped(editor: Editor) -> GPUEditor:
    """Its GPU renders nothing at all."""
    full = Editor(replace(editor.models, synthesis=Cramped(editor.models.synthesis, 0)))

    def run(name: str, given: tuple, named: Mapping[str, Any]) -> Any:  # noqa: ANN401
        return getattr(full, name)(*given, **named)

    return GPUEditor(full.models, run, lambda: editor)


def test_edits_in_one_pass_are_those_made_one_by_one(editor: Editor, faces: list[Face]) -> None:
    together = Editor(editor.models)
    together.batch = 3
    many = together.edit_many(list(zip(faces, SMILES, strict=True)), 512)
    for face, strengths, edited in zip(faces, SMILES, many, strict=True):
        alone = editor.edit(face, strengths, 512)
        assert edited.before == alone.before and edited.after == pytest.approx(alone.after)
        np.testing.assert_allclose(edited.w, alone.w, atol=2e-5)
        assert np.abs(pixels(edited.image) - pixels(alone.image)).mean() < 0.2
    assert len({edited.image.tobytes() for edited in many}) == len(SMILES)


def test_a_batch_that_does_not_fit_is_halved(editor: Editor, faces: list[Face]) -> None:
    flow = CrampedFlow(editor.models.flow, 60)
    small = Editor(replace(editor.models, flow=flow))
    small.batch = 8
    many = small.edit_many([(face, {"smiling": 1.0}) for face in faces], 512)
    refused = [rows for rows in flow.given if rows > 60]
    assert len(many) == 5 and refused
    expected = editor.edit(faces[4], {"smiling": 1.0}, 512)
    np.testing.assert_allclose(many[4].w, expected.w, atol=2e-5)


def test_what_does_not_fit_alone_is_an_error_of_the_plain_editor(
    editor: Editor, faces: list[Face]
) -> None:
    none = Editor(replace(editor.models, flow=CrampedFlow(editor.models.flow, 0)))
    with pytest.raises(torch.OutOfMemoryError):
        none.edit(faces[0], {"smiling": 1.0}, 512)


def test_a_full_gpu_leaves_the_work_to_the_cpu_and_says_so(
    editor: Editor, cramped: GPUEditor, opened: Face, photo: Image.Image
) -> None:
    edited = cramped.edit(opened, {"smiling": 1.0}, 512)
    assert edited.notes == (FULL,)
    expected = editor.edit(opened, {"smiling": 1.0}, 512)
    assert edited.image.tobytes() == expected.image.tobytes() and expected.notes == ()
    many = cramped.edit_many([(opened, {}), (opened, {"young": 1.0})], 512)
    assert [each.notes for each in many] == [(FULL,), (FULL,)]
    face = cramped.random(4)
    assert face.notes == (FULL,) and np.array_equal(face.z, editor.random(4).z)
    again = cramped.open(face_to_bytes(face))  # nothing is rendered for a face file
    assert again.notes == () and np.array_equal(again.w, face.w)
    assert cramped.open(face) is face
    pasted = cramped.paste(photo, (opened, editor.edit(opened, {"smiling": 1.0})))
    assert pasted.notes == (FULL,) and pasted.mask.getbbox()
    assert cramped.reconstruct(opened, 512).size == (512, 512)


def test_errors_of_the_work_itself_are_not_hidden(cramped: GPUEditor, opened: Face) -> None:
    with pytest.raises(ValueError, match="Unknown attribute 'nose'"):
        cramped.edit(opened, {"nose": 1.0})
    with pytest.raises(ValueError, match="Got size 3"):
        cramped.edit(opened, {}, 3)


def test_a_gpu_that_is_not_to_be_had_leaves_the_work_to_the_cpu(
    editor: Editor, opened: Face
) -> None:
    def run(*call: object) -> None:
        raise NoGPU("You have exceeded your quota.")

    without = GPUEditor(editor.models, run, lambda: editor)
    assert without.edit(opened, {"smiling": 1.0}, 512).notes == (NONE_FREE,)
    assert without.read(opened) == editor.read(opened)


def test_an_open_file_is_read_once_for_both(editor: Editor, photo: Image.Image) -> None:
    taken, stream = [], io.BytesIO()

    def run(name: str, given: tuple, named: Mapping[str, Any]) -> None:
        taken.append(open_photo(given[0]).size)
        raise NoGPU("You have exceeded your quota.")

    without = GPUEditor(editor.models, run, lambda: editor)
    photo.save(stream, "JPEG")
    stream.seek(0)
    assert without.open(stream, steps=0).notes == (NONE_FREE,) and taken == [photo.size]


def test_a_gpu_that_is_full_from_the_start_is_left_alone(
    editor: Editor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load_models(selection: object, device: str | None = None) -> ModelSet:
        if device is None:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
        return editor.models

    monkeypatch.setattr(gpu, "load_models", load_models)
    assert gpu.load_editor(warm=True).models is editor.models
    assert "memory is full: the CPU does all the work." in capsys.readouterr().err
    monkeypatch.setattr(gpu, "is_full", lambda error: False)
    with pytest.raises(RuntimeError, match="ALLOC_FAILED"):
        gpu.load_editor()


def test_a_note_is_of_one_result(editor: Editor, opened: Face) -> None:
    noted = replace(opened, notes=(FULL,))
    assert editor.refine(noted, 0).notes == ()


def test_a_moved_set_makes_the_same_pictures(editor: Editor, opened: Face) -> None:
    moved = Editor(move_models(editor.models, "cpu"))
    assert moved.models.synthesis is not editor.models.synthesis
    edited = [each.edit(opened, {"young": 1.0}, 512).image.tobytes() for each in (moved, editor)]
    assert edited[0] == edited[1]


def test_no_tensor_is_left_behind_on_the_cpu() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.on_emulated_gpu", "few"], cwd=ROOT, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert steps == ["load", "move", "random", "edit", "open", "tune", "edit", "paste"]


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32)
