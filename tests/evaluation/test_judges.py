"""The judges: geometry on drawn points and patches; the networks on one generated face."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdflow.attributes import ATTRIBUTES
from sdflow.evaluation import geometry, judges
from sdflow.training.probes import render_codes
from sdflow.weights import load

CANDIDATES = {
    "eyeglasses", "gender", "young", "smiling", "yaw", "pitch", "beard", "long_hair", "bangs",
    "bald", "mouth_open", "dark_hair", "hat", "open_eyes",
}  # fmt: skip


def drawn_points(
    nose_shift: float = 0.0, mouth: float = 100.0, lift: float = 0.0, gap: float = 0.0
) -> np.ndarray:
    """(1, 68, 2) of a face with eyes 120 pixels apart, level, cheeks 240 apart.

    Args:
        nose_shift: of the nose tip, to the right, pixels.
        mouth: width, pixels.
        lift: by which the nose's tip and base rise, pixels.
        gap: between the lips, of 12 pixels each, and between lids, pixels.
    """
    points = np.zeros((1, 68, 2))
    points[0, 36:42], points[0, 42:48] = (196, 240), (316, 240)
    for outer, inner, upper, lower in ((36, 39, [37, 38], [41, 40]), (42, 45, [43, 44], [47, 46])):
        points[0, outer, 0] -= 20
        points[0, inner, 0] += 20
        points[0, upper, 1] -= gap / 2
        points[0, lower, 1] += gap / 2
    points[0, [0, 1]], points[0, [15, 16]] = (136, 280), (376, 280)
    points[0, 17:27], points[0, 8] = (256, 200), (256, 440)
    points[0, 30] = (256 + nose_shift, 300 - lift)
    points[0, 33] = (256 + nose_shift, 320 - lift)
    points[0, 48], points[0, 54] = (256 - mouth / 2, 360), (256 + mouth / 2, 360)
    points[0, [61, 62, 63]], points[0, [67, 66, 65]] = (256, 360 - gap / 2), (256, 360 + gap / 2)
    points[0, [50, 51, 52]] = points[0, [61, 62, 63]] - (0, 12)
    points[0, [58, 57, 56]] = points[0, [67, 66, 65]] + (0, 12)
    return points


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """The same face, larger by half, moved, and turned in the picture's plane."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (points - 256) @ rotation * 1.5 + 300


def test_mouth_width_is_in_eye_distances() -> None:
    assert geometry.mouth_width(drawn_points(mouth=90)) == pytest.approx([0.75])


def test_yaw_follows_the_nose() -> None:
    yaws = [geometry.nose_yaw(drawn_points(shift))[0] for shift in (-60, -20, 0, 20, 60)]
    assert yaws == sorted(yaws)
    assert yaws[2] == pytest.approx(0, abs=0.5)
    assert yaws[4] == pytest.approx(-yaws[0], abs=0.5)


def test_a_lifted_nose_looks_up() -> None:
    pitches = [geometry.nose_pitch(drawn_points(lift=lift))[0] for lift in (-20, 0, 20)]
    assert pitches == sorted(pitches)
    assert pitches[2] - pitches[0] == pytest.approx(43.7 * 40 / 120)


def test_gaps_are_shares() -> None:
    shut, open_ = drawn_points(), drawn_points(gap=24)
    assert geometry.mouth_gap(shut) == pytest.approx([0])
    assert geometry.mouth_gap(open_) == pytest.approx([0.5])
    assert geometry.eye_opening(shut) == pytest.approx([0])
    assert geometry.eye_opening(open_) == pytest.approx([0.6])


@pytest.mark.parametrize(
    "measure",
    [geometry.mouth_width, geometry.mouth_gap, geometry.eye_opening, geometry.nose_pitch],
)
def test_size_place_and_tilt_do_not_count(measure: object) -> None:
    points = drawn_points(gap=10, lift=5)
    assert measure(turned(points, 20)) == pytest.approx(measure(points))


def test_a_frame_across_the_bridge_is_seen_however_the_head_is_turned() -> None:
    grey = torch.zeros(1, 1, 512, 512)
    assert geometry.bridge_edges(grey, drawn_points())[0] == pytest.approx(0, abs=1e-3)
    framed = grey.clone()
    framed[:, :, 238:244] = -0.8
    level = geometry.bridge_edges(framed, drawn_points())[0]
    assert level > judges.THRESHOLDS["glasses"]
    quarter = drawn_points()  # the same face, a quarter turn: x, y to 511 - y, x
    quarter = np.stack([511 - quarter[..., 1], quarter[..., 0]], axis=-1)
    found = geometry.bridge_edges(framed.rot90(-1, (2, 3)), quarter)[0]
    assert found == pytest.approx(level, rel=0.02)


def test_every_candidate_has_a_judge() -> None:
    assert set(judges.JUDGED) == CANDIDATES
    assert {row.name for row in ATTRIBUTES.values() if row.teacher} <= CANDIDATES


def test_positive_side_is_at_and_above_the_threshold_or_below_it() -> None:
    verdict = {"age": np.array([20.0, 40.0, 60.0]), "hat": np.array([-1.0, 0.0, 1.0])}
    assert judges.positive(verdict, "young").tolist() == [True, False, False]
    assert judges.positive(verdict, "hat").tolist() == [False, True, True]


def test_the_average_face_and_its_mirror_image() -> None:
    """W's mean is a woman of middle age who smiles, without a hat, glasses or a beard."""
    mean = load("w_mean")["w_mean"].float()[None]  # (1, 512)
    face = next(render_codes(mean))
    verdict = judges.judge(torch.cat([face, face.flip(3)]))
    sides = {name: judges.positive(verdict, name) for name in judges.JUDGED}
    assert verdict["face_seen"].all()
    for name in ("eyeglasses", "beard", "bald", "hat"):
        assert not sides[name].any(), name
    assert verdict["glasses_probe"].max() < 0
    assert verdict["yaw"][0] == pytest.approx(-verdict["yaw"][1], abs=2)
    assert verdict["pitch"] == pytest.approx(0, abs=8)
    assert verdict["dlib"].shape == (2, 128) and verdict["faceres"].shape == (2, 1024)
    assert judges.distance(*verdict["faceres"]) < 0.3
    alone = judges.judge(torch.nn.functional.interpolate(face, scale_factor=2), identity=False)
    assert "dlib" not in alone
    assert alone["beard"] == pytest.approx(verdict["beard"][:1], abs=0.05)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="512"):
        judges.judge(torch.zeros(1, 3, 256, 256))


def test_distance_is_between_descriptors() -> None:
    first, second = np.eye(3)[:2], np.eye(3)[1:]
    assert judges.distance(first, second) == pytest.approx([2**0.5] * 2)
