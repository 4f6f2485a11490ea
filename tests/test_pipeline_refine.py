"""Editor: work on the likeness of an opened face, and the generator changed for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from sdflow import tuning
from sdflow.faces import LARGEST_FILE, Face, FaceFileError, face_to_bytes
from sdflow.images import to_tensor
from sdflow.invert import OnStep, Step
from sdflow.pipeline import Edited, Editor

TWO = 2  # steps of tuning in these tests


@pytest.fixture(scope="module")
def short() -> Iterator[None]:
    """Tuning of two steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "STEPS", TWO)
        yield


@pytest.fixture(scope="module")
def tuned(editor: Editor, opened: Face, short: None) -> tuple[Face, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return editor.refine(opened, 1, tune=True, on_step=telling(told)), told


@pytest.fixture(scope="module")
def smile(editor: Editor, tuned: tuple[Face, list]) -> Edited:
    return editor.edit(tuned[0], {"smiling": 0.5}, 512)


def telling(told: list[tuple[int, int]], stop: int | None = None) -> OnStep:
    def on_step(step: Step) -> bool:
        assert isinstance(step, Step)
        told.append((step.done, step.steps))
        return step.done == stop

    return on_step


def error(editor: Editor, face: Face, photo: Face) -> float:
    """Mean absolute difference of a face's picture from a photo."""
    picture = to_tensor(editor.reconstruct(face, 512))
    return float((picture - to_tensor(photo.picture, 512)).abs().mean())


def test_a_face_is_refined_from_where_it_stands(editor: Editor, opened: Face) -> None:
    told: list[tuple[int, int]] = []
    before = opened.w.copy()
    refined = editor.refine(opened, 3, on_step=telling(told))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert (opened.w == before).all() and (refined.w != before).any()
    assert np.abs(refined.w - before).max() < 2
    assert refined.tuning is None and refined.crop == opened.crop
    assert refined.alignment is opened.alignment and refined.faces_found == 2
    assert refined.confidence > opened.confidence - 0.02
    assert refined.round_trip_error < 1e-3 and (refined.z != opened.z).any()
    assert {"align", "invert", "refine", "decompose"} <= refined.seconds_per_step.keys()
    assert error(editor, refined, opened) < error(editor, opened, opened)
    with torch.no_grad():  # c is read off the rendering, not off the photo
        image = editor.models.synthesis(torch.from_numpy(refined.w)[None], 512).clamp(-1, 1)
        c = editor.models.estimator(torch.nn.functional.avg_pool2d(image, 2))[0]
    np.testing.assert_allclose(refined.c, c.numpy(), rtol=0, atol=1e-4)


def test_a_stop_keeps_the_best_and_tunes_no_more(
    editor: Editor, opened: Face, short: None
) -> None:
    told: list[tuple[int, int]] = []
    stopped = editor.refine(opened, 5, tune=True, on_step=telling(told, 1))
    assert told == [(1, 5 + TWO)]
    assert stopped.tuning is None
    told.clear()
    stopped = editor.open(opened.picture, steps=1, tune=True, on_step=telling(told, 1))
    assert len(told) == 1 and stopped.tuning is None


def test_opening_with_tuning_tells_every_step_once(
    editor: Editor, opened: Face, short: None
) -> None:
    told: list[tuple[int, int]] = []
    face = editor.open(opened.picture, steps=1, tune=True, on_step=telling(told))
    assert told == [(k, 1 + TWO) for k in range(1, 2 + TWO)]
    assert face.tuning is not None
    assert {"align", "invert", "tune", "decompose"} <= face.seconds_per_step.keys()


def test_tuning_is_told_in_the_same_count(tuned: tuple[Face, list]) -> None:
    face, told = tuned
    assert told == [(k, 1 + TWO) for k in range(1, 2 + TWO)]
    assert {"refine", "tune"} <= face.seconds_per_step.keys()


def test_a_tuned_face_is_rendered_nearer(
    editor: Editor, opened: Face, tuned: tuple[Face, list]
) -> None:
    face = tuned[0]
    assert tuning.fits(editor.models, face.tuning)
    assert all(array.dtype == np.float16 for array in face.tuning.values())
    untuned = dataclasses.replace(face, tuning=None)
    assert error(editor, face, opened) < error(editor, untuned, opened)
    assert face.nbytes > untuned.nbytes + 50_000


def test_a_tuned_face_is_edited_as_it_is(
    editor: Editor, tuned: tuple[Face, list], smile: Edited
) -> None:
    unmoved = editor.edit(tuned[0], {}, 512).image
    np.testing.assert_array_equal(
        np.asarray(unmoved), np.asarray(editor.reconstruct(tuned[0], 512))
    )
    untuned = dataclasses.replace(tuned[0], tuning=None)
    other = editor.edit(untuned, {"smiling": 0.5}, 512)
    np.testing.assert_array_equal(other.w, smile.w)  # the code knows nothing of the tuning
    assert np.abs(np.asarray(other.image, int) - np.asarray(smile.image, int)).max() > 0


def test_a_face_file_keeps_the_tuning(
    editor: Editor, tuned: tuple[Face, list], smile: Edited
) -> None:
    data = face_to_bytes(tuned[0])
    assert len(data) < LARGEST_FILE
    back = editor.open(data)
    assert back.confidence == tuned[0].confidence and back.warnings == tuned[0].warnings
    for name, array in tuned[0].tuning.items():
        np.testing.assert_array_equal(back.tuning[name], array)
    again = editor.edit(back, {"smiling": 0.5}, 512)
    np.testing.assert_array_equal(np.asarray(again.image), np.asarray(smile.image))


@pytest.mark.parametrize("change", ["shape", "name", "missing"])
def test_a_tuning_for_another_generator_is_refused(
    editor: Editor, tuned: tuple[Face, list], change: str
) -> None:
    arrays = dict(tuned[0].tuning)
    bias = arrays.pop("head.bias")
    if change == "shape":
        arrays["head.bias"] = np.zeros(bias.size + 1, np.float16)
    elif change == "name":
        arrays["foot.bias"] = bias
    other = dataclasses.replace(tuned[0], tuning=arrays)
    for source in (other, face_to_bytes(other)):
        with pytest.raises(FaceFileError, match="another generator. Open the photo again"):
            editor.open(source)


def test_refining_anew_drops_the_tuning(editor: Editor, tuned: tuple[Face, list]) -> None:
    again = editor.refine(tuned[0], 0)
    assert again.tuning is None
    np.testing.assert_array_equal(again.w, tuned[0].w)


def test_what_cannot_be_refined(editor: Editor, opened: Face) -> None:
    with pytest.raises(ValueError, match="no photo to resemble. Open a photo first"):
        editor.refine(editor.random(3), 1)
    with pytest.raises(ValueError, match="Got -1 steps. Give 0 or more"):
        editor.refine(opened, -1)
