"""How sure an inversion is, and the sentences about difficult photos, each on a made-up one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow import doubts
from sdflow.align import Alignment
from sdflow.doubts import confidence, evidence, oval, share_outside, warnings
from sdflow.faces import Face
from sdflow.images import to_tensor
from sdflow.models import ModelSet
from sdflow.networks.parsing import CLASSES
from sdflow.pipeline import Editor

EYES = np.s_[..., 105:135, 60:196]


@pytest.fixture(scope="module")
def image(editor: Editor) -> Tensor:
    """A generated face (1, 3, 512, 512)."""
    return to_tensor(editor.reconstruct(editor.random(4, psi=0.5), 512))


@pytest.fixture(scope="module")
def crop(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2)


def place(left: float = 200, top: float = 150, side: float = 400) -> Alignment:
    quad = np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) * side + (left, top)
    return Alignment(quad, 256, (800, 700))


def seeing(**areas: tuple) -> ModelSet:
    """Models whose parser sees a face, and classes in places."""
    label = torch.full((256, 256), CLASSES.index("face"))
    for name, area in areas.items():
        label[area[-2:]] = CLASSES.index(name)
    scores = 20.0 * F.one_hot(label, len(CLASSES)).permute(2, 0, 1)[None]
    return SimpleNamespace(classes=CLASSES, parser=lambda seen: scores)


# ---- warnings


def test_a_good_photo_gives_none(editor: Editor, crop: Tensor) -> None:
    assert warnings(editor.models, crop, place(), 0.9) == ()


def test_an_opened_face_carries_what_was_found(editor: Editor, opened: Face) -> None:
    assert opened.warnings == () and 0.5 < opened.confidence <= 1


def lenses(crop: Tensor) -> Tensor:
    dark = crop.clone()
    dark[EYES] = -0.95
    return dark


MADE = {
    "pixels wide": lambda crop: (crop, place(side=90), 0.9, {}),
    "outside the photo": lambda crop: (crop, place(left=-200), 0.9, {}),
    "covers part": lambda crop: (crop, place(), 0.9,
                                 {"occluder": np.s_[..., 120:230, 60:200]}),
    "Sunglasses": lambda crop: (lenses(crop), place(), 0.9, {"glasses": EYES}),
    "photo is dark": lambda crop: (0.12 * (crop + 1) - 1, place(), 0.9, {}),
    "resembles": lambda crop: (crop, place(), 0.01, {}),
}  # fmt: skip


@pytest.mark.parametrize("about", MADE)
def test_each_difficulty_is_told_alone(crop: Tensor, about: str) -> None:
    picture, alignment, sure, areas = MADE[about](crop)
    (told,) = warnings(seeing(**areas), picture, alignment, sure)
    assert about in told
    advice = told.split(": ")[-1]  # what to do stands at the end
    assert advice.startswith(("use", "brighten", "refine")) and advice.endswith(".")


def test_clear_glasses_are_no_sunglasses(crop: Tensor) -> None:
    assert warnings(seeing(glasses=EYES), crop, place(), 0.9) == ()
    bright = crop.clone()
    bright[EYES] = 0.6
    assert warnings(seeing(glasses=EYES), bright, place(), 0.9) == ()


def test_what_covers_no_face_is_not_told(crop: Tensor) -> None:
    corner = seeing(occluder=np.s_[..., 0:60, 0:60])
    assert warnings(corner, crop, place(), 0.9) == ()


def test_the_real_parser_sees_a_drawn_mask(editor: Editor, crop: Tensor) -> None:
    """A plain cloth from the nose down, as a face mask hides it."""
    masked = crop.clone()
    masked[..., 140:235, 55:205] = torch.tensor([0.3, 0.6, 0.9])[:, None, None]
    told = warnings(editor.models, masked, place(), 0.9)
    assert any("covers part of the face" in sentence for sentence in told)


def test_several_are_told_together(crop: Tensor) -> None:
    dark = 0.12 * (crop + 1) - 1
    told = warnings(seeing(), dark, place(side=60, left=-20), 0.2)
    assert len(told) == 4 and len(set(told)) == 4
    assert all(sentence.endswith(".") for sentence in told)


def test_the_share_outside_the_photo() -> None:
    inside = np.ones((64, 64), bool)
    assert share_outside(place(), inside) == 0
    assert share_outside(place(left=-200), inside) == pytest.approx(0.5, abs=0.02)
    assert share_outside(place(left=-100, top=400), inside) == pytest.approx(7 / 16, abs=0.02)
    assert share_outside(place(left=900), inside) == 1
    left_half = inside.copy()
    left_half[:, 32:] = False
    assert share_outside(place(left=-200), left_half) > 0.97


def test_the_oval_lies_in_the_middle() -> None:
    inside = oval(256)[0, 0]
    assert inside.shape == (256, 256) and inside.dtype == torch.bool
    assert inside[138, 128] and not inside[5, 5] and not inside[250, 5]
    assert 0.25 < inside.float().mean() < 0.6


# ---- confidence


def test_the_same_picture_is_sure(editor: Editor, crop: Tensor, image: Tensor) -> None:
    distance, difference = evidence(editor.models, crop, image)
    assert distance < 1e-3 and difference < 1e-3
    assert confidence(editor.models, crop, image) > 0.95


def test_another_person_is_not(editor: Editor, crop: Tensor, image: Tensor) -> None:
    other = to_tensor(editor.reconstruct(editor.random(9, psi=0.7), 512))
    mixed = 0.6 * image + 0.4 * other
    sure, less, not_at_all = (confidence(editor.models, crop, shown)
                              for shown in (image, mixed, other))  # fmt: skip
    assert sure > less > not_at_all and not_at_all < doubts.POOR
    assert "resembles" in warnings(editor.models, crop, place(), not_at_all)[0]


def test_confidence_is_the_logistic_of_the_evidence(
    editor: Editor, crop: Tensor, image: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "CALIBRATION", (1.5, -2.0, -3.0))
    monkeypatch.setattr(doubts, "evidence", lambda *_: (0.5, 0.25))
    expected = 1 / (1 + np.exp(-(1.5 - 1.0 - 0.75)))
    assert confidence(editor.models, crop, image) == pytest.approx(expected)


def test_differences_outside_the_oval_do_not_count(editor: Editor, crop: Tensor) -> None:
    outside = ~oval(256).expand_as(crop)
    changed = torch.where(outside, -crop, crop)
    large = changed.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert evidence(editor.models, crop, large)[1] < 1e-6
    inverse = (-crop).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert evidence(editor.models, crop, inverse)[1] > 0.1
