"""Editor: edited faces back in their photo, and the photo's detail in an edited face."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sdflow.faces import Face
from sdflow.originals import open_original
from sdflow.paste import Pasted
from sdflow.pipeline import Edited, Editor


@pytest.fixture(scope="module")
def unmoved(editor: Editor, opened: Face) -> Edited:
    return editor.edit(opened, {})


@pytest.fixture(scope="module")
def moved(editor: Editor, opened: Face) -> Edited:
    return editor.edit(opened, {"smiling": away(opened, "smiling"), "young": -0.8})


@pytest.fixture(scope="module")
def pasted(editor: Editor, photo: Image.Image, opened: Face, moved: Edited) -> Pasted:
    return editor.paste(photo, (opened, moved))


def away(face: Face, name: str) -> float:
    return -1.0 if face.semantics[name] > 0.5 else 1.0


def apart(image: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(image, dtype=int) - np.asarray(other, dtype=int)).max(2)


def box_of(face: Face) -> tuple[slice, slice]:
    """Rows and columns around the middle of a face."""
    (x, y), side = face.alignment.quad.mean(0), np.ptp(face.alignment.quad[:, 0])
    reach = int(0.2 * side)
    return slice(int(y) - reach, int(y) + reach), slice(int(x) - reach, int(x) + reach)


def test_no_edit_gives_the_photo_back(
    editor: Editor, photo: Image.Image, opened: Face, unmoved: Edited
) -> None:
    before = photo.copy()
    pasted = editor.paste(photo, (opened, unmoved))
    assert not apart(pasted.image, photo).any()
    assert not apart(photo, before).any()


def test_an_edit_changes_the_face_alone(
    photo: Image.Image, opened: Face, moved: Edited, pasted: Pasted
) -> None:
    changed, mask = apart(pasted.image, photo), np.asarray(pasted.mask)
    assert pasted.image.size == pasted.mask.size == photo.size
    assert not changed[mask == 0].any() and (mask == 0).mean() > 0.5
    assert changed[box_of(opened)].mean() > 3
    assert not changed[:, 1000:].any()  # the other face


def test_the_smaller_face_is_changed_after_the_larger(
    editor: Editor, photo: Image.Image, opened: Face, moved: Edited, pasted: Pasted
) -> None:
    other = editor.open(photo, face=1, steps=0)
    edited = editor.edit(other, {"smiling": away(other, "smiling")})
    both = editor.paste(open_original(photo), (opened, moved), (other, edited))
    assert apart(both.image, photo)[box_of(other)].mean() > 3
    assert not apart(both.image, pasted.image)[:, :900].any()
    mask = np.asarray(both.mask)
    assert (mask >= np.asarray(pasted.mask)).all()
    assert mask[box_of(opened)].min() > 0 and mask[box_of(other)].min() > 0
    assert not apart(both.image, photo)[mask == 0].any()


def test_the_plain_way_pastes_the_whole_crop(
    editor: Editor, photo: Image.Image, opened: Face, unmoved: Edited
) -> None:
    plain = editor.paste(photo, (opened, unmoved), plain=True)
    middle = box_of(opened)
    assert apart(plain.image, photo)[middle].mean() > 0.5  # the inversion is not the photo
    mask = np.asarray(plain.mask)
    assert mask[middle].min() == 255
    assert not apart(plain.image, photo)[mask == 0].any()
    shown = np.asarray(plain.image)[middle].astype(float).mean((0, 1))
    face = np.asarray(unmoved.image)[307:717, 307:717].astype(float).mean((0, 1))
    assert np.abs(shown - face).max() < 4


def test_no_face_leaves_the_photo(editor: Editor, photo: Image.Image) -> None:
    pasted = editor.paste(photo)
    assert not apart(pasted.image, photo).any() and pasted.mask.getextrema() == (0, 0)


def test_faces_of_no_photo_or_of_another_are_refused(
    editor: Editor, photo: Image.Image, opened: Face, moved: Edited
) -> None:
    random = editor.random(3)
    with pytest.raises(ValueError, match="no place in a photo. Open a photo first"):
        editor.paste(photo, (random, moved))
    for plain in (False, True):
        with pytest.raises(ValueError, match=r"photo.*\.$"):
            editor.paste(photo.resize((800, 600)), (opened, moved), plain=plain)


def test_a_jpeg_is_pasted_into_what_its_file_has(editor: Editor, photo: Image.Image) -> None:
    stream = io.BytesIO()
    photo.crop((1000, 400, 1480, 880)).save(stream, "JPEG", quality=90)
    face = editor.open(stream.getvalue(), steps=0)
    pasted = editor.paste(stream.getvalue(), (face, editor.edit(face, {})))
    assert not apart(pasted.image, open_original(stream.getvalue()).image).any()


# ---- detail in the crop


def test_detail_without_an_edit_is_the_photos_crop(editor: Editor, opened: Face) -> None:
    for size in (512, 1024):
        shown = editor.edit(opened, {}, size, detail=True)
        crop = opened.picture.resize((size, size), Image.Resampling.LANCZOS)
        assert shown.image.size == (size, size)
        assert apart(shown.image, crop).max() <= 1
    assert "detail" in shown.seconds_per_step


def test_detail_under_an_edit(editor: Editor, opened: Face, moved: Edited) -> None:
    strengths = {"smiling": away(opened, "smiling"), "young": -0.8}
    shown = editor.edit(opened, strengths, detail=True)
    np.testing.assert_array_equal(shown.w, moved.w)
    assert shown.after == moved.after
    corner = np.s_[:60, :60]  # where the photo stays
    assert apart(shown.image, opened.picture)[corner].mean() < 0.5
    assert apart(shown.image, moved.image)[300:800, 300:700].mean() > 1
    assert apart(shown.image, opened.picture)[300:800, 300:700].mean() > 3


def test_a_random_face_has_no_detail(editor: Editor) -> None:
    face = editor.random(3)
    plain, asked = (editor.edit(face, {}, 512, detail=detail) for detail in (False, True))
    np.testing.assert_array_equal(np.asarray(plain.image), np.asarray(asked.image))
