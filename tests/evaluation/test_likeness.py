"""Inversions judged stage by stage, in a made-up world; similarity; summaries; calibration."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sdflow import invert, tuning
from sdflow.doubts import CALIBRATION
from sdflow.evaluation import likeness, workbench
from sdflow.evaluation.judges import SAME_PERSON
from sdflow.evaluation.likeness import STAGES, calibrate, judge_inversions, ms_ssim, summarise
from sdflow.evaluation.populations import GENERATED, PEOPLE
from sdflow.evaluation.protocol import TARGETS
from sdflow.evaluation.workbench import Settings, Workbench
from sdflow.images import to_image

from .conftest import draw, entries, see


def smooth(seed: int, size: int = 256) -> Tensor:
    noise = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(noise, (size, size), mode="bicubic").clamp(-1, 1)


# ---- similarity


def test_a_picture_is_like_itself() -> None:
    assert ms_ssim(smooth(0), smooth(0)) == pytest.approx(1, abs=1e-5)


def test_similarity_falls_with_noise_and_is_symmetric() -> None:
    first = smooth(0)
    noise = torch.randn(first.shape, generator=torch.Generator().manual_seed(1))
    noisy = [(first + s * noise).clamp(-1, 1) for s in (0.05, 0.2, 0.6)]
    found = [ms_ssim(first, picture) for picture in noisy]
    assert 1 > found[0] > found[1] > found[2] > 0
    for picture, value in zip(noisy, found, strict=True):
        assert ms_ssim(picture, first) == pytest.approx(value, abs=1e-6)
    assert ms_ssim(first, smooth(5)) < 0.5
    assert ms_ssim(first, -first) == 0


def test_similarity_is_that_of_the_paper() -> None:
    """Flat pictures differ in light alone, which counts at the coarsest scale, with its power."""
    a, b = 0.25, 0.75
    light = (2 * a * b + 0.01**2) / (a * a + b * b + 0.01**2)
    pictures = (torch.full((1, 3, 256, 256), 2 * level - 1) for level in (a, b))
    assert ms_ssim(*pictures) == pytest.approx(light**0.1333, abs=2e-3)


# ---- judged stage by stage


def show(w: Tensor, size: int, tuned: dict[str, Tensor] | None = None) -> Tensor:
    """The made-up picture at 512 px; a tuning makes up for what the code lacks."""
    image = draw(w if tuned is None else w + tuned["all"], size)
    return F.interpolate(image, (512, 512), mode="nearest")


def judge(images: Tensor, identity: bool = True) -> dict[str, np.ndarray]:
    verdict = see(images, False)
    return verdict | {"dlib": verdict["faceres"] / 4} if identity else verdict


@pytest.fixture
def person() -> Tensor:
    w = torch.zeros(1, 18, 512)
    w[..., :5] = torch.tensor([1.0, -1.0, 0.8, -0.9, 0.7])
    return w


@pytest.fixture
def models(bench: Workbench, monkeypatch: pytest.MonkeyPatch, person: Tensor) -> SimpleNamespace:
    """Half of the person is found feed-forward, more with more steps, all by tuning."""
    monkeypatch.setattr(likeness, "judge", judge)
    monkeypatch.setattr(likeness, "evidence", lambda models, crop, image: (
        float((entries(crop) - entries(image)).norm()), 0.125))  # fmt: skip
    monkeypatch.setattr(likeness, "invert", SimpleNamespace(
        STEPS=10, REFINED=60, encode=lambda models, crop: 0.5 * person,
        refine=lambda models, crop, start, steps: start + person * steps / 150))  # fmt: skip
    monkeypatch.setattr(likeness, "tuning", SimpleNamespace(
        tune=lambda models, photo, w: {"all": (person - w).half()}))  # fmt: skip
    return SimpleNamespace(**(vars(bench.models) | {"synthesis": show}))


def photo_of(person: Tensor) -> Image.Image:
    return to_image(show(person, 512))


def test_each_stage_is_judged(models: SimpleNamespace, person: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "person.json"
    judge_inversions(models, photo_of(person), 4, path, True)
    rows = json.loads(path.read_text())
    assert tuple(row["stage"] for row in rows) == STAGES
    for key in ("dlib", "faceres", "l2", "distance"):
        values = [row[key] for row in rows]
        assert values == sorted(values, reverse=True) and values[0] > 5 * values[-1], key
    norm = float(person[0, 0].norm())
    shares = [row["faceres"] / norm for row in rows]
    assert shares == pytest.approx([0.5, 0.5 - 10 / 150, 0.5 - 60 / 150, 0], abs=0.03)
    assert rows[0]["ms_ssim"] < rows[-1]["ms_ssim"] == pytest.approx(1, abs=0.01)
    seconds = [row["seconds"] for row in rows]
    assert 0 <= seconds[0] <= min(seconds[1:]) and seconds[2] <= seconds[3]
    for row in rows:
        assert row["difference"] == 0.125 and row["edits"].keys() == set(TARGETS)
        for edit in row["edits"].values():
            assert edit["flipped"] == 1 and 0.8 < edit["kept"] <= 1 and edit["identity"] > 0
    assert [p.name for p in tmp_path.glob("person*")] == ["person.json"]


@pytest.mark.parametrize("stages", [2, 3])
def test_only_the_stages_asked_for(
    models: SimpleNamespace, person: Tensor, tmp_path: Path, stages: int
) -> None:
    judge_inversions(models, photo_of(person), stages, tmp_path / "p.json", False)
    rows = json.loads((tmp_path / "p.json").read_text())
    assert tuple(row["stage"] for row in rows) == STAGES[:stages]
    assert all("edits" not in row for row in rows)


def test_a_failed_judgement_leaves_no_file(
    models: SimpleNamespace, person: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(likeness, "evidence", fail)
    with pytest.raises(ArithmeticError):
        judge_inversions(models, photo_of(person), 2, tmp_path / "p.json", False)
    assert not (tmp_path / "p.json").exists()


# ---- summaries


def row(stage: str, dlib: float, faceres: float, **more: object) -> dict[str, object]:
    return {"stage": stage, "dlib": dlib, "faceres": faceres, "l2": dlib / 10,
            "ms_ssim": 1 - dlib, "seconds": dlib * 10, **more}  # fmt: skip


def edits(flipped: float, kept: float) -> dict[str, dict[str, float]]:
    return {"young": {"flipped": flipped, "kept": kept, "identity": 0.5},
            "gender": {"flipped": 1.0, "kept": 1.0, "identity": 0.7}}  # fmt: skip


def write(folder: Path, *people: list[dict]) -> list[Path]:
    paths = [folder / f"person-{i}.json" for i in range(len(people))]
    for path, rows in zip(paths, people, strict=True):
        path.write_text(json.dumps(rows))
    return paths


def test_a_summary_of_hand_made_files(tmp_path: Path) -> None:
    assert SAME_PERSON["faceres"] == 0.95
    paths = write(
        tmp_path,
        [row(STAGES[0], 0.5, 1.0, edits=edits(1, 1)), row(STAGES[1], 0.3, 0.6),
         row(STAGES[2], 0.2, 0.5, edits=edits(0, 0.8))],
        [row(STAGES[0], 0.7, 0.9, edits=edits(1, 0.8)), row(STAGES[1], 0.5, 0.97),
         row(STAGES[2], 0.1, 0.3, edits=edits(1, 0.8))],
        [row(STAGES[0], 0.9, 1.3), row(STAGES[1], 0.4, 0.8)],
    )  # fmt: skip
    report = summarise(paths)
    assert list(report) == list(STAGES[:3])
    first, opened, refined = report.values()
    assert (first["people"], opened["people"], refined["people"]) == (3, 3, 2)
    assert first["dlib"] == 0.7 and first["faceres"] == 1.0
    assert first["faceres_same"] == 0.333 and opened["faceres_same"] == 0.667
    assert first["dlib_same"] == pytest.approx(np.mean([d <= SAME_PERSON["dlib"]
                                                        for d in (0.5, 0.7, 0.9)]), abs=1e-3)
    assert opened["l2"] == pytest.approx(0.04) and opened["ms_ssim"] == pytest.approx(0.6)
    assert opened["seconds"] == 4.0
    assert "edits" not in opened and "lost" not in opened
    assert refined["edits"] == {"people": 2, "flipped": 0.75, "kept": 0.9, "identity": 0.6}
    assert refined["lost"] == {"flipped": 0.25, "kept": 0.05}
    assert first["lost"] == {"flipped": 0, "kept": 0}


def test_what_is_lost_is_compared_on_the_same_people(tmp_path: Path) -> None:
    paths = write(
        tmp_path,
        [row(STAGES[0], 0.5, 1, edits=edits(1, 1)), row(STAGES[2], 0.2, 1, edits=edits(1, 1))],
        [row(STAGES[0], 0.5, 1, edits=edits(0, 0))],
    )
    assert summarise(paths)[STAGES[2]]["lost"] == {"flipped": 0, "kept": 0}
    assert summarise([]) == {}


def test_calibration_finds_a_made_up_logistic(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wanted, rows = np.array([6.0, -8.0, -4.0]), []
    for distance, difference in zip(rng.uniform(0, 1.2, 4000), rng.uniform(0, 1, 4000),
                                    strict=True):  # fmt: skip
        p = 1 / (1 + np.exp(-wanted @ (1, distance, difference)))
        same = rng.random() < p
        rows.append(row(STAGES[0], 0.5, 0.5 if same else 1.5, distance=distance,
                        difference=difference))  # fmt: skip
    found = calibrate(write(tmp_path, rows[:2000], rows[2000:]))
    assert found == pytest.approx(wanted, rel=0.12)
    assert len(found) == len(CALIBRATION) and all(isinstance(value, float) for value in found)


def test_calibration_of_people_who_all_agree_is_finite(tmp_path: Path) -> None:
    rows = [row(STAGES[0], 0.5, 0.5, distance=d, difference=0.1) for d in (0.1, 0.2, 0.3)]
    assert all(np.isfinite(calibrate(write(tmp_path, rows))))


# ---- where it is kept


def test_inversions_lie_in_a_folder_of_their_settings(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again() -> Workbench:
        return Workbench(bench.settings, bench.models)

    assert bench.inverted.is_dir() and bench.inverted.parent == bench.folder
    assert again().inverted == bench.inverted
    assert bench.folder_of(GENERATED) == bench.folder
    assert bench.folder_of(PEOPLE) == bench.inverted
    found = {bench.inverted}
    for module, names in ((invert, workbench.INVERTED_WITH), (tuning, ("STEPS", "RATE"))):
        for name in names:
            with monkeypatch.context() as patch:
                patch.setattr(module, name, 2 * getattr(module, name))
                assert again().folder == bench.folder
                found.add(again().inverted)
    assert len(found) == 1 + len(workbench.INVERTED_WITH) + 2


def test_how_many_stages_a_photo_goes_through(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(people=5, refined=3, tuned=1)
    other = Workbench(settings, bench.models)
    monkeypatch.setattr(Workbench, "people", 5)
    stages = [other.inversion_stages(index) for index in range(7)]
    assert stages == [4, 3, 3, 2, 2, 4, 4]  # five people, then portraits
    paths = [other.likeness_path(index) for index in range(7)]
    assert len(set(paths)) == 7 and all(path.parent == other.inverted for path in paths)
    assert paths[0].name == "person-0000-4.json" and paths[5].name.startswith("portrait")
