"""Editor: photos, face files, random faces in, edits out; structure and exactness, not looks."""

from __future__ import annotations

import dataclasses
import io
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sdflow
from sdflow import pipeline
from sdflow.align import NoFaceFound
from sdflow.attributes import ATTRIBUTES
from sdflow.edit import BadStrength, UnknownAttribute
from sdflow.faces import (
    READ_AGAIN,
    UNTUNED,
    Face,
    FaceFileError,
    face_to_bytes,
    save_face,
)
from sdflow.images import BadImage
from sdflow.invert import Step
from sdflow.pipeline import Edited, Editor


@pytest.fixture(scope="module")
def unmoved(editor: Editor, opened: Face) -> Edited:
    return editor.edit(opened, {}, 512)


def test_the_package_offers_it() -> None:
    assert sdflow.Editor is Editor and sdflow.ATTRIBUTES is ATTRIBUTES
    with pytest.raises(AttributeError):
        sdflow.Nothing  # noqa: B018


def test_attributes_are_rows_of_the_table(editor: Editor) -> None:
    assert tuple(row.name for row in editor.attributes) == editor.models.shipped
    assert all(ATTRIBUTES[row.name] is row for row in editor.attributes)


# ---- open


def test_open_a_photo(editor: Editor, opened: Face) -> None:
    assert opened.w.shape == opened.z.shape == (18, 512)
    assert opened.c.shape == (len(editor.models.attributes),)
    assert opened.w.dtype == opened.z.dtype == opened.c.dtype == np.float32
    assert all(np.isfinite(array).all() for array in (opened.w, opened.z, opened.c))
    assert opened.attributes == editor.models.attributes and opened.model_set == "mobile"
    assert opened.faces_found == 2 and opened.seed is None
    assert opened.round_trip_error < 1e-3
    assert set(opened.seconds_per_step) == {"align", "invert", "doubts", "decompose"}
    assert opened.picture.size == (1024, 1024)
    assert opened.alignment.size == 1024 and opened.alignment.photo_size == (1600, 1200)
    left, right = opened.alignment.quad[:, 0].min(), opened.alignment.quad[:, 0].max()
    assert -100 < left < right < 1000  # the larger face stands on the left


def test_the_smaller_face_is_chosen_by_number(editor: Editor, photo: Image.Image) -> None:
    other = editor.open(photo, face=1, steps=0)
    assert other.alignment.quad[:, 0].min() > 900
    assert other.faces_found == 2


@pytest.mark.parametrize("face", [2, -1, 10**9])
def test_a_face_that_is_not_there(editor: Editor, photo: Image.Image, face: int) -> None:
    with pytest.raises(ValueError, match=f"There is no face {face} .* Choose 0 to 1"):
        editor.open(photo, face=face, steps=0)


def test_every_kind_of_photo(
    editor: Editor, photo: Image.Image, opened: Face, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    photo.save(path, compress_level=1)
    for source in (path, io.BytesIO(path.read_bytes())):
        again = editor.open(source, steps=0)
        np.testing.assert_allclose(again.w, opened.w, rtol=0, atol=1e-5)


def test_bad_photos(editor: Editor) -> None:
    with pytest.raises(BadImage):
        editor.open(b"no image")
    with pytest.raises(BadImage):
        editor.open("no such file.jpg")
    with pytest.raises(BadImage):
        editor.open(Image.new("RGB", (1, 1)))
    with pytest.raises(NoFaceFound, match="try"):
        editor.open(Image.new("RGB", (200, 150), "grey"))
    with pytest.raises(ValueError, match="Got -1 steps"):
        editor.open(Image.new("RGB", (200, 150), "grey"), steps=-1)


def test_refinement_is_told_step_by_step(editor: Editor, photo: Image.Image, opened: Face) -> None:
    told: list[Step] = []
    refined = editor.open(photo, steps=3, on_step=told.append)
    assert [(step.done, step.steps) for step in told] == [(k, 3) for k in (1, 2, 3)]
    assert told[0].image.shape == (1, 3, 512, 512)
    assert (refined.w != opened.w).any()
    assert 0 <= refined.confidence <= 1 and isinstance(refined.warnings, tuple)
    with torch.no_grad():  # c is read off the rendering, not off the photo
        image = editor.models.synthesis(torch.from_numpy(refined.w)[None], 512).clamp(-1, 1)
        c = editor.models.estimator(torch.nn.functional.avg_pool2d(image, 2))[0]
    np.testing.assert_allclose(refined.c, c.numpy(), rtol=0, atol=1e-4)


def test_an_edit_opens_its_photo_once(
    editor: Editor, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "STEPS", 0)
    stream = io.BytesIO()
    photo.save(stream, "JPEG")
    stream.seek(0)  # it cannot be read twice
    edited = editor.edit(stream, {"smiling": 1.0}, 512)
    assert edited.after["smiling"] > edited.before["smiling"]


# ---- face files


def test_a_face_file_edits_like_its_face(
    editor: Editor, opened: Face, unmoved: Edited, tmp_path: Path
) -> None:
    path = tmp_path / "face.safetensors"
    save_face(opened, path)
    for source in (path, str(path), path.read_bytes()):
        back = editor.open(source)
        np.testing.assert_array_equal(back.w, opened.w)
        np.testing.assert_allclose(back.z, opened.z, rtol=0, atol=1e-4)
        assert back.crop == opened.crop
    edited = editor.edit(path, {}, 512)
    np.testing.assert_array_equal(np.asarray(edited.image), np.asarray(unmoved.image))
    assert editor.open(opened) is opened
    assert editor.read(path) == editor.read(opened)
    assert editor.read(opened).items() <= opened.semantics.items()


def test_z_is_made_again_for_the_flow_of_today(editor: Editor, opened: Face) -> None:
    stale = dataclasses.replace(opened, z=np.zeros((18, 512), np.float32))
    back = editor.open(face_to_bytes(stale))
    np.testing.assert_allclose(back.z, opened.z, rtol=0, atol=1e-4)
    assert back.round_trip_error < 1e-3


@pytest.mark.parametrize("change", ["attributes", "model_set"])
def test_a_face_of_other_models_is_refused(editor: Editor, opened: Face, change: str) -> None:
    if change == "attributes":
        names, c = opened.attributes[:-1], opened.c[:-1]
        other = dataclasses.replace(opened, attributes=names, c=c)
    else:
        other = dataclasses.replace(opened, model_set="stylegan2")
    for call in (editor.open, editor.read, lambda face: editor.edit(face, {})):
        with pytest.raises(FaceFileError, match="was made with .* Open the photo again"):
            call(other)
    read = editor.open(face_to_bytes(other))  # its file keeps the code, which all models share
    assert read.notes == (READ_AGAIN,) and read.model_set == "mobile"
    assert read.attributes == opened.attributes and np.array_equal(read.w, opened.w)
    np.testing.assert_allclose(read.c, opened.c, rtol=0, atol=2e-3)
    np.testing.assert_allclose(read.z, opened.z, rtol=0, atol=2e-2)
    assert read.confidence == pytest.approx(opened.confidence, abs=0.01)
    assert read.warnings == opened.warnings and read.alignment is not None
    assert editor.edit(read, {"smiling": 1.0}, 512).after["smiling"] > read.semantics["smiling"]


def test_a_tuning_for_another_generator_is_left_out(editor: Editor, opened: Face) -> None:
    tuning = {"blocks.0.bias": np.zeros(3, np.float16)}
    other = dataclasses.replace(opened, model_set="stylegan2", tuning=tuning)
    read = editor.open(face_to_bytes(other))
    assert read.notes == (READ_AGAIN, UNTUNED) and read.tuning is None
    with pytest.raises(FaceFileError, match="tuned for another generator"):
        editor.open(face_to_bytes(dataclasses.replace(opened, tuning=tuning)))
    made_up = dataclasses.replace(editor.random(5), model_set="stylegan2")
    again = editor.open(face_to_bytes(made_up))
    assert again.notes == (READ_AGAIN,) and again.confidence is None
    np.testing.assert_allclose(again.c, made_up.c, rtol=0, atol=2e-3)


# ---- random faces


def test_the_same_seed_gives_the_same_face(editor: Editor) -> None:
    first, second, other = editor.random(5), editor.random(5), editor.random(6)
    np.testing.assert_array_equal(first.w, second.w)
    assert np.abs(first.w - other.w).max() > 0.1
    assert first.seed == 5 and first.faces_found == 0
    assert (first.crop, first.alignment, first.picture) == (None, None, None)
    assert first.round_trip_error < 1e-3
    assert (first.w == first.w[:1]).all()  # one code for all layers


def test_psi_leads_from_the_mean_face(editor: Editor) -> None:
    mean = editor.models.generator.w_mean.cpu().numpy()
    np.testing.assert_allclose(editor.random(5, psi=0).w[0], mean, rtol=0, atol=1e-6)
    near, far = (np.linalg.norm(editor.random(5, psi).w[0] - mean) for psi in (0.5, 1))
    assert far == pytest.approx(2 * near, rel=1e-4)


def test_no_seed_draws_one_that_reproduces_the_face(editor: Editor) -> None:
    face = editor.random()
    np.testing.assert_array_equal(editor.random(face.seed).w, face.w)


@pytest.mark.parametrize("arguments", [(-1, 0.7), (2**63, 0.7), (0, -0.1), (0, 1.1), (0, np.nan)])
def test_seed_and_psi_have_ranges(editor: Editor, arguments: tuple) -> None:
    with pytest.raises(ValueError, match="Give a seed from 0 and a psi in 0..1"):
        editor.random(*arguments)


# ---- edit


def test_no_strength_is_the_inversion(editor: Editor, opened: Face, unmoved: Edited) -> None:
    np.testing.assert_array_equal(unmoved.w, opened.w)
    zeros = editor.edit(opened, dict.fromkeys(editor.models.shipped, 0.0), 512)
    np.testing.assert_array_equal(zeros.w, opened.w)
    rendered = np.asarray(unmoved.image)
    np.testing.assert_array_equal(np.asarray(zeros.image), rendered)
    np.testing.assert_array_equal(np.asarray(editor.reconstruct(opened, 512)), rendered)
    assert zeros.before == zeros.after == editor.read(opened)


def test_a_tiny_strength_moves_w_little(
    editor: Editor, opened: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    black = torch.full((1, 3, 512, 512), -1.0)
    monkeypatch.setattr(Editor, "_synthesize", lambda *rest: black)  # nobody looks at it
    for name in editor.models.shipped:
        for strength in (1e-3, -1e-3):
            moved = editor.edit(opened, {name: strength}, 512).w - opened.w
            assert np.abs(moved).max() < 1e-2, name


def test_several_attributes_at_once(editor: Editor, opened: Face, unmoved: Edited) -> None:
    first, second = editor.models.shipped[:2]
    edited = editor.edit(opened, {first: 0.5, second: -1})
    assert edited.image.size == (1024, 1024) and edited.image.mode == "RGB"
    assert edited.w.shape == (18, 512) and edited.w.dtype == np.float32
    assert np.isfinite(edited.w).all() and np.abs(edited.w - opened.w).max() > 1e-3
    assert edited.before == editor.read(opened)
    moved = {name for name in edited.after if edited.after[name] != edited.before[name]}
    assert moved == {first, second}
    assert set(edited.seconds_per_step) == {"edit", "synthesis"}
    assert edited.seconds == pytest.approx(sum(edited.seconds_per_step.values()))
    assert np.abs(np.asarray(edited.image.resize((512, 512))) - np.asarray(unmoved.image)).any()


def test_full_strength_asks_for_the_pole(editor: Editor, opened: Face) -> None:
    poles = dict(zip(opened.attributes, editor.models.poles.tolist(), strict=True))
    for name in editor.models.shipped[:2]:
        for strength, pole in zip((-1, 1), poles[name], strict=True):
            after = editor.edit(opened, {name: strength}, 512).after[name]
            assert after == pytest.approx(pole, abs=1e-5)


def test_the_two_sizes_show_the_same(editor: Editor, opened: Face, unmoved: Edited) -> None:
    large = editor.edit(opened, {}).image
    small = np.asarray(large.resize((512, 512), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - np.asarray(unmoved.image)).mean() < 1.5
    with pytest.raises(ValueError, match="Got size 256"):
        editor.edit(opened, {}, 256)


def test_bad_strengths(editor: Editor, opened: Face) -> None:
    with pytest.raises(UnknownAttribute, match="Use one of"):
        editor.edit(opened, {"beauty": 0.5})
    for value in (1.5, float("nan"), "0.5", None):
        with pytest.raises(BadStrength, match="from -1 to 1"):
            editor.edit(opened, {editor.models.shipped[0]: value})


def test_an_edit_changes_no_network_and_no_face(editor: Editor, opened: Face) -> None:
    w, z, c = opened.w.copy(), opened.z.copy(), opened.c.copy()
    weights = [p.sum().item() for p in editor.models.flow.parameters()]
    with torch.random.fork_rng():
        editor.edit(opened, {editor.models.shipped[0]: 1}, 512)
    for now, then in zip((opened.w, opened.z, opened.c), (w, z, c), strict=True):
        np.testing.assert_array_equal(now, then)
    assert [p.sum().item() for p in editor.models.flow.parameters()] == weights


def test_times_add_up(editor: Editor, opened: Face) -> None:
    start = time.perf_counter()
    edited = editor.edit(opened, {}, 512)
    assert 0 < edited.seconds <= time.perf_counter() - start
