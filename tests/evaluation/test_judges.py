"""The judges' geometry on drawn points and patches; no weights are needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdflow.evaluation import judges


def drawn_points(nose_shift: float = 0.0, mouth: float = 100.0) -> np.ndarray:
    """(1, 68, 2) of a face with eyes 120 pixels apart, level, cheeks 240 apart."""
    points = np.zeros((1, 68, 2))
    points[0, 36:42], points[0, 42:48] = (196, 240), (316, 240)
    points[0, 1], points[0, 15] = (136, 280), (376, 280)
    points[0, 30] = (256 + nose_shift, 300)
    points[0, 48], points[0, 54] = (256 - mouth / 2, 360), (256 + mouth / 2, 360)
    return points


def test_mouth_width_is_in_eye_distances() -> None:
    assert judges.mouth_width(drawn_points(mouth=90)) == pytest.approx([0.75])


def test_yaw_follows_the_nose() -> None:
    yaws = [judges.nose_yaw(drawn_points(shift))[0] for shift in (-60, -20, 0, 20, 60)]
    assert yaws == sorted(yaws)
    assert yaws[2] == pytest.approx(0, abs=0.5)
    assert yaws[4] == pytest.approx(-yaws[0], abs=0.5)


def test_a_frame_across_the_bridge_is_seen_however_the_head_is_turned() -> None:
    grey = torch.zeros(1, 1, 512, 512)
    assert judges.bridge_edges(grey, drawn_points())[0] == pytest.approx(0, abs=1e-3)
    framed = grey.clone()
    framed[:, :, 238:244] = -0.8
    level = judges.bridge_edges(framed, drawn_points())[0]
    assert level > judges.THRESHOLDS["glasses"]
    turned = drawn_points()  # the same face, a quarter turn: x, y to 511 - y, x
    turned = np.stack([511 - turned[..., 1], turned[..., 0]], axis=-1)
    found = judges.bridge_edges(framed.rot90(-1, (2, 3)), turned)[0]
    assert found == pytest.approx(level, rel=0.02)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="512"):
        judges.judge(torch.zeros(1, 3, 256, 256))


def test_distance_is_between_descriptors() -> None:
    first, second = np.eye(3)[:2], np.eye(3)[1:]
    assert judges.distance(first, second) == pytest.approx([2**0.5] * 2)
