"""Attributes of one face given to another, and new faces drawn under given attributes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdflow.edit import UnknownAttribute, target_semantics
from sdflow.faces import Face, face_to_bytes
from sdflow.pipeline import Editor
from sdflow.semantics import sample, strengths_towards, transfer, usual_semantics

POLES = torch.tensor([[-0.4, 1.8], [1.1, -0.2]])  # the second one lies the other way round
HAIR = ("dark_hair", "bangs", "beard")


@pytest.fixture(scope="module")
def people(editor: Editor) -> tuple[Face, Face]:
    """A man with a moustache and grey hair, and a woman with black hair."""
    return editor.random(24), editor.random(21)


@pytest.fixture(scope="module")
def usual(editor: Editor) -> np.ndarray:
    return usual_semantics(editor, faces=16)


# ---- strengths


def test_strengths_towards_are_the_inverse_of_targets() -> None:
    rng = torch.Generator().manual_seed(0)
    c = torch.rand(50, 2, generator=rng)
    strengths = 2 * torch.rand(50, 2, generator=rng) - 1
    goal = target_semantics(c, strengths, POLES)
    torch.testing.assert_close(strengths_towards(c, goal, POLES), strengths)


def test_strengths_end_at_the_poles() -> None:
    c = torch.tensor([[0.2, 0.7], [2.0, -0.3], [1.8, 0.5]])
    goal = torch.tensor([[5.0, 5.0], [2.5, -0.5], [1.9, 0.5]])
    expected = torch.tensor([[1.0, -1.0], [0.0, 0.0], [0.0, 0.0]])
    assert torch.equal(strengths_towards(c, goal, POLES), expected)


# ---- transfer


def test_a_transfer_asks_for_the_other_faces_c(
    editor: Editor, people: tuple[Face, Face]
) -> None:
    face, other = people
    strengths = transfer(editor, face, other, HAIR, looks=0)
    assert tuple(strengths) == HAIR
    after = editor.edit(face, strengths, 512).after
    for name in editor.models.shipped:
        wanted = other if name in HAIR else face
        assert after[name] == pytest.approx(wanted.semantics[name], abs=1e-4), name


def test_a_look_brings_it_closer(editor: Editor, people: tuple[Face, Face]) -> None:
    face, other = people
    before, blind, seeing = (
        far(editor.from_code(editor.edit(face, strengths, 512).w), other, editor)
        for strengths in ({}, *(transfer(editor, face, other, looks=n) for n in (0, 1)))
    )
    assert seeing < 0.85 * blind < 0.6 * before


def far(face: Face, other: Face, editor: Editor) -> float:
    """Mean difference of two faces in the attributes that have a slider."""
    return float(np.mean([
        abs(face.semantics[name] - other.semantics[name]) for name in editor.models.shipped
    ]))  # fmt: skip


def test_ones_own_attributes_change_next_to_nothing(
    editor: Editor, people: tuple[Face, Face]
) -> None:
    assert max(map(abs, transfer(editor, people[0], people[0]).values())) < 0.05


def test_what_cannot_be_transferred(editor: Editor, people: tuple[Face, Face]) -> None:
    with pytest.raises(UnknownAttribute, match="'hat'.*Use one of"):  # known, but not shipped
        transfer(editor, *people, names=["hat"])
    with pytest.raises(ValueError, match="Give 0 or more"):
        transfer(editor, *people, looks=-1)


# ---- new faces


def test_the_usual_faces_differ(editor: Editor, usual: np.ndarray) -> None:
    assert usual.shape == (16, len(editor.models.attributes)) and usual.dtype == np.float32
    assert 0 <= usual.min() and usual.max() <= 1 and usual.std(0).mean() > 0.1
    np.testing.assert_allclose(usual_semantics(editor, faces=2), usual[:2], atol=0.01)
    assert np.abs(usual_semantics(editor, faces=2, seed=1) - usual[:2]).max() > 0.1
    with pytest.raises(ValueError, match="Give 1 or more"):
        usual_semantics(editor, faces=0)


@pytest.mark.parametrize(
    "given",
    [{"eyeglasses": 1, "gender": 0}, {"beard": 1, "smiling": 1}, {"young": 0, "yaw": 1},
     {"mouth_open": 0, "dark_hair": 0}],
    ids="-".join,
)  # fmt: skip
def test_new_faces_show_what_was_asked_for(
    editor: Editor, usual: np.ndarray, given: dict[str, float]
) -> None:
    faces = [sample(editor, given, usual, seed) for seed in range(4)]
    right = [(face.semantics[name] > 0.5) == given[name] for face in faces for name in given]
    assert np.mean(right) >= 0.75
    if "beard" in given:  # the rest goes with what was given
        assert np.mean([face.semantics["gender"] for face in faces]) > 0.7


def test_a_seed_is_a_z(editor: Editor, usual: np.ndarray) -> None:
    first, again, other = (
        sample(editor, {"smiling": 1}, usual, seed) for seed in (3, np.int64(3), 4)
    )
    serious = sample(editor, {"smiling": 0}, usual, 3)
    assert np.array_equal(first.w, again.w)
    assert cosine(first.z, serious.z) > 0.6 > 0.3 > abs(cosine(first.z, other.z))
    assert not np.array_equal(*(sample(editor, {}, usual).w for _ in range(2)))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_new_face_is_a_face_like_others(editor: Editor, usual: np.ndarray) -> None:
    face = sample(editor, {"smiling": 0.2}, usual, 5)
    assert face.seed is None and face.crop is None and face.round_trip_error < 1e-3
    reopened = editor.open(face_to_bytes(face))
    smiling = editor.edit(reopened, {"smiling": 1}, 512)
    assert editor.from_code(smiling.w).semantics["smiling"] > face.semantics["smiling"] + 0.3


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "1", None])
def test_bad_values(editor: Editor, usual: np.ndarray, value: object) -> None:
    with pytest.raises(ValueError, match="of smiling is .* Give a number from 0 to 1"):
        sample(editor, {"smiling": value}, usual)


def test_unknown_names_and_bad_seeds(editor: Editor, usual: np.ndarray) -> None:
    with pytest.raises(UnknownAttribute, match="'smile'. Use one of: gender"):
        sample(editor, {"smile": 1}, usual)
    with pytest.raises(ValueError, match="Give 0 or more"):
        sample(editor, {}, usual, seed=-1)


def test_a_code_from_elsewhere(editor: Editor, people: tuple[Face, Face]) -> None:
    face = editor.from_code(people[0].w)
    assert np.array_equal(face.w, people[0].w) and face.seed is None
    np.testing.assert_allclose(face.c, people[0].c, atol=1e-5)
    np.testing.assert_allclose(face.z, people[0].z, atol=1e-4)
