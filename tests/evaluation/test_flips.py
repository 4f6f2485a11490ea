"""Flips and curves over strength, with a judge made up from the picture's brightness."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sdflow.evaluation import flips
from sdflow.evaluation.judges import THRESHOLDS
from sdflow.pipeline import Editor


def brightness_judge(images: Tensor, identity: bool = True) -> dict[str, np.ndarray]:
    """Every measure is its threshold plus the mean of the picture, which edits move."""
    mean = images.mean((1, 2, 3)).numpy()
    verdict = {key: threshold + mean for key, threshold in THRESHOLDS.items()}
    return verdict | ({"dlib": 100 * np.stack([mean, mean], 1)} if identity else {})


@pytest.fixture
def held_out(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> flips.HeldOut:
    monkeypatch.setattr(flips, "judge", brightness_judge)
    return flips.draw_faces(editor.models, 4)


def test_held_out_faces_are_reproducible_and_decomposed(
    editor: Editor, held_out: flips.HeldOut
) -> None:
    again = flips.draw_faces(editor.models, 4)
    assert torch.equal(held_out.w, again.w) and held_out.w.shape == (4, 18, 512)
    with torch.no_grad():
        back = editor.models.flow.decode(held_out.z, held_out.c, flips.FINE)
    assert (back - held_out.w).abs().max() < 1e-2
    assert held_out.verdicts["dlib"].shape == (4, 2)


def test_no_strength_judges_the_face_as_it_was(editor: Editor, held_out: flips.HeldOut) -> None:
    verdict = flips.judge_edit(editor.models, held_out, 2, {}, identity=True)
    assert verdict["gender"][0] == pytest.approx(held_out.verdicts["gender"][2], abs=2e-3)


def test_flips_count_faces_of_the_other_side(editor: Editor, held_out: flips.HeldOut) -> None:
    report = flips.measure_flips(editor.models, held_out, most=2)
    assert list(report) == list(editor.models.attributes)
    bright = int((held_out.verdicts["gender"] >= THRESHOLDS["gender"]).sum())
    assert report["gender"]["to_positive"]["faces"] == min(2, 4 - bright)
    assert report["gender"]["to_negative"]["faces"] == min(2, bright)
    assert report["yaw"]["to_positive"]["faces"] == 2 and "degrees" in report["yaw"]["to_positive"]
    for directions in report.values():
        for figures in directions.values():
            assert figures["faces"] == 0 or 0 <= figures["kept"] <= 1
    assert all(turned["distance"] > 0 for turned in report["yaw"].values())


def test_curves_rank_means_over_nine_strengths(
    editor: Editor, held_out: flips.HeldOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    rising = iter(np.arange(1000.0))

    def judge(images: Tensor, identity: bool = True) -> dict[str, np.ndarray]:
        return {key: np.array([next(rising)]) for key in THRESHOLDS}

    monkeypatch.setattr(flips, "judge", judge)
    report = flips.measure_monotony(editor.models, held_out, faces=1)
    assert len(report["smiling"]["means"]) == len(flips.STRENGTHS) == 9
    assert report["smiling"]["spearman"] == 1 and report["young"]["spearman"] == -1
