"""Detail of the photo under edits: what stays, what the edit draws, and the parts it is made of.

Made-up photos are generated faces with something painted in that no code holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from sdflow import detail
from sdflow.compose import parse
from sdflow.detail import (
    View,
    blur,
    carry,
    displacement,
    grain_of,
    outlines,
    resize,
    softness,
    spread,
    thin_plate,
    unlike,
    warp,
)
from sdflow.pipeline import Editor
from tests.drawn import FACE, classes_of

SIZE = 512
FOREHEAD = np.s_[..., 150:180, 215:300]
CHEEK = np.s_[..., 300:340, 160:200]


@dataclass
class Faces:
    """A face, and the same smiling (or no longer), as the generator draws them."""

    plain: View
    smiling: View


@pytest.fixture(scope="module")
def faces(editor: Editor) -> Faces:
    face = editor.random(4, psi=0.5)
    w = torch.from_numpy(face.w)[None]
    side = -1.0 if face.semantics["smiling"] > 0.5 else 1.0
    moved = torch.from_numpy(editor.edit(face, {"smiling": side}, 512).w)[None]
    with torch.no_grad():
        pictures = [editor.models.synthesis(code, SIZE).clamp(-1, 1) for code in (w, moved)]
    return Faces(*(seen(editor, picture) for picture in pictures))


def seen(editor: Editor, picture: Tensor) -> View:
    return View(picture, parse(editor.models, picture))


def painted(picture: Tensor, place: object, colour: tuple[float, float, float]) -> Tensor:
    picture = picture.clone()
    picture[place] = torch.tensor(colour)[:, None, None]
    return picture


def freckled(picture: Tensor) -> tuple[Tensor, Tensor]:
    """The picture with dark dots on the forehead, and where they are, (512, 512) bool."""
    dots = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    for y in range(155, 178, 9):
        for x in range(220, 296, 12):
            dots[y : y + 3, x : x + 3] = True
    return torch.where(dots, picture - 0.35, picture).clamp(-1, 1), dots


# ---- carrying over


def test_without_an_edit_the_photo_stays(editor: Editor, faces: Faces) -> None:
    picture = painted(faces.plain.picture, CHEEK, (0.9, 0.8, -0.9))
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    photo = seen(editor, (picture + 0.02 * noise).clamp(-1, 1))
    carried = carry(photo, faces.plain, faces.plain)
    assert carried.picture.shape == (1, 3, SIZE, SIZE) and carried.photo.shape[1] == 1
    assert (carried.picture - photo.picture).abs().max() < 1 / 255
    assert (carried.photo > 0.999).float().mean() > 0.99


def test_freckles_and_an_earring_survive_a_smile(editor: Editor, faces: Faces) -> None:
    picture, dots = freckled(faces.plain.picture)
    ear = np.s_[..., 300:316, 408:420]  # on the lobe
    photo = seen(editor, painted(picture, ear, (1.0, 0.9, -1.0)))
    carried = carry(photo, faces.plain, faces.smiling)
    bare = carry(seen(editor, faces.plain.picture), faces.plain, faces.smiling)
    change = (carried.picture - bare.picture).mean(1)[0]  # what the freckles make of it
    wanted = (picture - faces.plain.picture).mean(1)[0]
    assert change[dots].mean() < 0.6 * wanted[dots].mean() < 0
    forehead = torch.zeros_like(dots)
    forehead[150:185, 215:300] = True
    assert change[forehead & ~dots].abs().mean() < 0.05
    earring = carried.picture[ear] - bare.picture[ear]
    assert earring[:, 2].mean() < 0.5 * (-1.0 - faces.plain.picture[ear][:, 2]).mean() < 0


def test_the_smile_is_there(faces: Faces) -> None:
    carried = carry(faces.plain, faces.plain, faces.smiling)
    mouth = np.s_[..., 340:420, 190:320]

    def apart(a: Tensor, b: Tensor) -> float:
        return float((a[mouth] - b[mouth]).abs().mean())

    before = apart(faces.plain.picture, faces.smiling.picture)
    assert apart(carried.picture, faces.smiling.picture) < 0.5 * before
    assert (carried.photo[mouth] < 0.5).any()


def test_what_the_edit_draws_is_drawn(editor: Editor, faces: Faces) -> None:
    blue = (-0.9, -0.6, 0.9)
    edited = seen(editor, painted(faces.plain.picture, CHEEK, blue))
    picture, dots = freckled(faces.plain.picture)
    carried = carry(seen(editor, picture), faces.plain, edited)
    inner = np.s_[..., 306:334, 166:194]
    error = (carried.picture[inner] - edited.picture[inner]).abs().mean()
    assert error < 0.25 * (faces.plain.picture[inner] - edited.picture[inner]).abs().mean()
    # elsewhere the photo stays, dots and all
    assert (carried.picture - picture)[FOREHEAD].abs().max() < 0.05
    assert carried.photo[FOREHEAD].min() > 0.9


def test_the_background_is_the_photos_own(faces: Faces) -> None:
    wall = torch.where(faces.plain.classes[:, :1] > 0.9, 0.5, 0.0)
    wall = (resize(wall, SIZE) > 0.49).float()
    stripes = (torch.arange(SIZE) // 8 % 2 * 1.6 - 0.8).expand(1, 3, SIZE, SIZE)
    photo = View(torch.where(wall > 0, stripes, faces.plain.picture), faces.plain.classes)
    carried = carry(photo, faces.plain, faces.smiling)
    deep = torch.nn.functional.max_pool2d(1 - wall, 61, 1, 30)[0, 0] == 0
    assert deep[:40].sum() > 200
    change = (carried.picture - photo.picture)[0, :, :40][:, deep[:40]]
    assert change.abs().mean() < 0.02 * 1.6  # the stripes' height


def test_what_shall_go_does_not_stay(editor: Editor, faces: Faces) -> None:
    photo = seen(editor, painted(faces.plain.picture, CHEEK, (0.9, 0.9, -0.9)))
    gone = torch.zeros(1, 1, 256, 256)
    gone[..., 145:175, 75:105] = 1
    left, taken = (carry(photo, faces.plain, faces.plain, g) for g in (None, gone))
    inner = np.s_[..., 305:335, 165:195]
    assert (left.picture - photo.picture)[inner].abs().max() < 0.01
    assert (taken.picture - photo.picture)[inner].abs().mean() > 0.4
    assert taken.photo[inner].max() < 0.2 and left.photo[inner].min() > 0.9


def test_a_grey_photo_stays_grey(editor: Editor, faces: Faces) -> None:
    grey = seen(editor, detail.grey(faces.plain.picture).clone())
    for edited in (faces.plain, faces.smiling):
        carried = carry(grey, faces.plain, edited).picture
        assert (carried - carried[:, :1]).abs().max() < 1e-4
    colour = carry(faces.plain, faces.plain, faces.smiling).picture
    assert (colour - colour[:, :1]).abs().mean() > 0.02


def test_every_run_gives_the_same_picture(faces: Faces) -> None:
    noise = torch.randn(faces.plain.picture.shape, generator=torch.Generator().manual_seed(2))
    photo = View((faces.plain.picture + 0.05 * noise).clamp(-1, 1), faces.plain.classes)
    torch.manual_seed(1)
    first = carry(photo, faces.plain, faces.smiling)
    torch.manual_seed(2)
    assert torch.equal(carry(photo, faces.plain, faces.smiling).picture, first.picture)


# ---- how soft, how noisy


def test_a_soft_photo_asks_for_blur(faces: Faces) -> None:
    assert softness(faces.plain, faces.plain) == 0
    found = []
    for sigma in (1.0, 2.0):  # pixels of 512
        soft = View(blur(faces.plain.picture, sigma), faces.plain.classes)
        found.append(softness(soft, faces.plain))
    assert 0 < found[0] < found[1]
    sharper = View(faces.plain.picture * 1.5, faces.plain.classes)
    assert softness(sharper, faces.plain) == 0


def test_an_edit_of_a_soft_photo_is_soft(faces: Faces) -> None:
    soft = View(blur(faces.plain.picture, 2.5), faces.plain.classes)
    eye = np.s_[..., 330:430, 180:330]

    def edges(picture: Tensor) -> float:
        part = picture[eye].mean(1)
        return float((part[:, 1:] - part[:, :-1]).abs().mean())

    carried = carry(soft, faces.plain, faces.smiling).picture
    assert edges(carried) < 0.85 * edges(faces.smiling.picture)


def test_grain_is_measured(faces: Faces) -> None:
    face = resize(faces.plain.classes[:, 1:2], SIZE)
    picture = faces.plain.picture
    draw = torch.Generator().manual_seed(3)
    noise = torch.randn(1, 1, SIZE, SIZE, generator=draw)
    assert grain_of(picture, picture, face) == 0
    assert grain_of(blur(picture, 2), picture, face) == 0
    weak, strong = (grain_of(picture + s * noise, picture, face) for s in (0.01, 0.02))
    assert 0.004 < weak < 0.014 and 1.5 * weak < strong < 0.03
    assert grain_of(picture + noise, picture, face) == detail.GRAIN
    assert grain_of(picture + noise, picture, 0 * face) == 0


# ---- warps


def test_the_spline_interpolates(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    points, places = rng.random((20, 2)), rng.random((50, 2))
    plane = points @ [[0.2, -0.1], [0.05, 0.3]] + (0.1, 0.7)
    expected = places @ [[0.2, -0.1], [0.05, 0.3]] + (0.1, 0.7)
    np.testing.assert_allclose(thin_plate(points, plane, places), expected, atol=1e-6)
    values = rng.standard_normal((20, 2))
    smooth = np.abs(thin_plate(points, values, points) - values).mean()
    monkeypatch.setattr(detail, "STIFFNESS", 0.0)
    np.testing.assert_allclose(thin_plate(points, values, points), values, atol=1e-6)
    assert 0 < smooth < 0.5 * np.abs(values).mean()


def shifted(picture: Tensor, x: int, y: int) -> Tensor:
    """The picture moved by x pixels to the right and y down."""
    return torch.roll(picture, (y, x), (2, 3))


@pytest.mark.parametrize(("x", "y"), [(14, 0), (-14, 6), (0, -14)])
def test_displacement_leads_from_the_edit_to_the_inversion(
    faces: Faces, x: int, y: int
) -> None:
    edited = shifted(faces.plain.picture, x, y)
    flow = displacement(faces.plain.picture, edited)
    assert flow.shape == (1, 2, 256, 256)
    middle = flow[0, :, 110:170, 105:150].mean((1, 2)) * SIZE
    assert middle.tolist() == pytest.approx([-x, -y], abs=5)
    assert flow[0, :, 0].abs().max() < 0.01 and flow[0, :, :, -1].abs().max() < 0.01
    face = np.s_[..., 200:400, 180:330]
    moved = warp(faces.plain.picture, flow)
    before = (faces.plain.picture - edited)[face].abs().mean()
    assert (moved - edited)[face].abs().mean() < 0.5 * before


def test_no_displacement_of_the_same_picture(faces: Faces) -> None:
    flow = displacement(faces.plain.picture, faces.plain.picture)
    assert not flow.any()
    assert warp(faces.plain.picture, flow) is faces.plain.picture


def test_warp_takes_each_pixel_from_its_place_plus_flow() -> None:
    x = ((torch.arange(64) + 0.5) / 64).expand(1, 1, 64, 64)
    flow = torch.zeros(1, 2, 256, 256)
    flow[:, 0] = 0.125
    torch.testing.assert_close(warp(x, flow)[..., 8:48], x[..., 16:56], rtol=0, atol=1e-4)


# ---- classes


def hair(bottom: int) -> tuple[slice, slice]:
    """A broad block of hair around the face's upper part, down to a row."""
    return slice(40, bottom), slice(60, 196)


def test_unlike_is_where_the_classes_differ() -> None:
    first, second = (classes_of(hair=hair(row), face=FACE) for row in (110, 150))
    assert not unlike(first, first).any()
    found = unlike(first, second)[0, 0]
    assert found[115:145, 65:75].min() == 1 and found[115:145, 182:190].min() == 1
    assert found[:100].max() == 0 and found[160:].max() == 0 and found[120, 128] == 0
    doubtful = 0.9 * first + 0.1 / 8  # a parser that is less sure says the same
    assert not unlike(first, doubtful).any()


def test_an_outline_that_moves_far_is_the_edits() -> None:
    before, after = (classes_of(hair=hair(row), face=FACE) for row in (110, 160))
    far, little = outlines(before, before, after)
    assert far[0, 0, 120:150, 65:72].min() > 0.9 and little[0, 0, 120:150, 65:72].max() < 0.1
    assert far[0, 0, 50:90].max() < 0.1
    other = classes_of(hair=hair(116), face=FACE)  # the photo's own hair is a bit longer
    far, _ = outlines(other, before, after)
    assert far[0, 0, 112:150, 65:72].min() > 0.9  # up to the photo's own outline


def test_an_outline_that_moves_a_little_is_the_photos() -> None:
    before, after = (classes_of(hair=hair(row), face=FACE) for row in (110, 113))
    far, little = outlines(before, before, after)
    assert not far.any() and little[0, 0, 111, 68] > 0.9
    assert little[0, 0, 40:100].max() < 0.1
    far, little = outlines(before, before, before)
    assert not far.any() and not little.any()


def test_a_hand_in_front_has_no_outline_to_move() -> None:
    hand = slice(115, 155), slice(60, 80)
    before, after = (classes_of(hair=hair(row), face=FACE) for row in (110, 160))
    photo = classes_of(hair=hair(110), face=FACE, occluder=hand)
    far, _ = outlines(photo, before, after)
    assert far[0, 0, 122:148, 64:74].max() < 0.1
    assert far[0, 0, 122:148, 182:190].min() > 0.9


def test_the_collar_is_not_the_edits() -> None:
    before, after = (classes_of(face=FACE, neck=(slice(200, row), slice(100, 156)))
                     for row in (230, 245))  # fmt: skip
    far, little = outlines(before, before, after)
    assert not far.any() and little[0, 0, 237, 128] > 0.9


def test_tone_spreads_within_its_class() -> None:
    classes = classes_of(face=(slice(0, 256), slice(0, 128)))
    residual = torch.zeros(1, 3, 256, 256)
    residual[..., :128], residual[..., 128:] = 0.3, -0.2
    known = torch.ones(1, 1, 256, 256)
    known[..., 60:200, :] = 0
    wanted = spread(residual, classes, known, classes)
    assert wanted[..., 128, :110].sub(0.3).abs().max() < 0.02
    assert wanted[..., 128, 146:].add(0.2).abs().max() < 0.02


@pytest.mark.parametrize("sigma", [0.7, 3.0, 20.0])
def test_blur_is_a_gaussian(sigma: float) -> None:
    point = torch.zeros(1, 1, 257, 257)
    point[..., 128, 128] = 1
    found = blur(point, sigma)[0, 0]
    assert found.sum() == pytest.approx(1, abs=0.02)
    x = torch.arange(257.0) - 128
    assert (found.sum(0) * x**2).sum().sqrt() == pytest.approx(sigma, rel=0.15)
    flat = torch.full((1, 2, 64, 64), 0.3)
    torch.testing.assert_close(blur(flat, sigma), flat)
    assert blur(flat, 0) is flat
