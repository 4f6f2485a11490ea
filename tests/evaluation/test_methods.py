"""Methods in the made-up world: how a face moves under a flow and along directions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from sdflow.decompose import decompose
from sdflow.edit import edit, target_semantics
from sdflow.evaluation import directions, poles
from sdflow.evaluation.methods import (
    Direction,
    DirectionMethod,
    our_method,
    variant_method,
)
from sdflow.evaluation.poles import nearest_best, tune_flow
from sdflow.evaluation.populations import Face, draw_codes
from sdflow.evaluation.workbench import Workbench
from sdflow.pipeline import Editor

from .conftest import NAMES, draw, entries


def face_of(w: torch.Tensor) -> Face:
    picture = torch.nn.functional.avg_pool2d(draw(w), 2)
    return Face(w, picture)


def test_our_edit_reaches_the_pole_and_leaves_the_face_at_no_strength(bench: Workbench) -> None:
    method = our_method(bench.models)
    face = face_of(draw_codes(bench.models, 1))
    unmoved, half, whole = method.edit(face, [{}, {"smiling": 0.5}, {"smiling": 1.0}])
    assert torch.allclose(unmoved, face.w[0], atol=1e-6)
    smile = NAMES.index("smiling")
    c = [float(entries(draw(w[None])).sigmoid()[0, smile]) for w in (unmoved, half, whole)]
    assert c[2] == pytest.approx(0.95, abs=0.01)
    assert c[1] == pytest.approx((c[0] + c[2]) / 2, abs=0.01)


def test_our_method_does_what_the_editor_does(editor: Editor) -> None:
    models = editor.models
    face = Face(draw_codes(models, 1), torch.zeros(1, 3, 256, 256))
    method = our_method(models)
    (moved,) = method.edit(face, [{models.attributes[0]: 0.7}])
    c = models.estimator(face.picture)
    z, _ = decompose(models.flow, face.w, c)
    strengths = torch.zeros_like(c)
    strengths[0, 0] = 0.7
    c_target = target_semantics(c, strengths, models.poles)
    same = edit(models.flow, face.w, z, c, c_target, models.gates)[0]
    assert torch.allclose(moved, same, atol=1e-4)
    assert (moved - face.w[0]).abs().max() > 0.05


def test_a_direction_moves_the_score_linearly_and_never_backwards() -> None:
    normal = torch.nn.functional.one_hot(torch.tensor(3), 512).float()
    method = DirectionMethod("linear", {"smiling": Direction(normal, normal, (-2.0, 2.0))})
    w = torch.zeros(1, 18, 512)
    moved = method.edit(Face(w + normal, torch.empty(0)), [{"smiling": s} for s in (-1, -0.5, 1)])
    assert moved.shape == (3, 18, 512)
    assert moved[:, 5, 3].tolist() == pytest.approx([-2.0, -0.5, 2.0])
    beyond = method.edit(Face(w + 5 * normal, torch.empty(0)), [{"smiling": 1.0}])
    assert beyond[0, 0, 3] == 5


def test_a_method_is_named_after_what_it_does() -> None:
    normal = torch.ones(512) / 512**0.5
    near, far = (DirectionMethod("linear", {"yaw": Direction(normal, normal, (-p, p))})
                 for p in (1.0, 2.0))  # fmt: skip
    assert near.key != far.key and len(near.key) == 12


def test_a_boundary_is_found_again_in_noise() -> None:
    w = torch.randn(400, 24, generator=torch.Generator().manual_seed(0))
    truth = torch.nn.functional.normalize(torch.arange(24.0) % 7 - 3, dim=0)
    label = (3 * (w @ truth)).sigmoid()
    label[:20] = torch.nan
    normal, found = directions.fit_boundary(w, label)
    assert normal.norm() == pytest.approx(1, abs=1e-5)
    assert normal @ truth > 0.9 and found["auc"] > 0.8


def test_projected_ways_leave_the_other_scores_alone() -> None:
    normals = torch.nn.functional.normalize(
        torch.randn(4, 512, generator=torch.Generator().manual_seed(1)) + 0.5, dim=1
    )
    way = directions.project_out(normals, 2)
    assert normals @ way == pytest.approx([0, 0, 1, 0], abs=1e-5)


def test_poles_stand_where_the_judges_see_flips(bench: Workbench) -> None:
    w, labels = bench.bank_codes
    normal = torch.nn.functional.one_hot(torch.tensor(1), 512).float()
    direction, shares = directions.tune_poles(
        bench.models, "gender", normal, normal, w, labels[:, 1]
    )
    assert direction.poles[0] < -1 < 1 < direction.poles[1]
    assert max(shares[0]) == max(shares[1]) == 1
    for share, pole in zip(shares, direction.poles, strict=True):  # no farther than needed
        reach = abs(pole - (w @ normal).mean()) / (w @ normal).std()
        assert reach == pytest.approx(directions.REACHES[share.index(1)], abs=1e-4)
    turned, _ = directions.tune_poles(bench.models, "gender", normal, 0 * normal, w, labels[:, 1])
    assert turned.poles[1] < direction.poles[1] + 1e-6  # a way that does nothing stays nearest


def test_unknown_faces_and_those_on_the_other_side_already_are_no_starts(bench: Workbench) -> None:
    """Where the judge sees men, labels of women or of nobody make no start."""
    method = our_method(bench.models)
    w = torch.zeros(6, 512)
    w[:, NAMES.index("gender")] = torch.tensor([2.0, 2.0, 2.0, -2.0, -2.0, -2.0])
    label = torch.tensor([0.1, 0.1, torch.nan, torch.nan, torch.nan, torch.nan])
    args = (bench.models, "gender", 1.0, [method])
    assert nearest_best(*args, w, label) == (0, [0.0])
    label[3] = 0.1
    assert nearest_best(*args, w, label) == (0, [1.0])


def test_a_variants_poles_go_as_far_as_flips_need(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    w, labels = bench.bank_codes
    ours = our_method(bench.models)
    for ends in (poles.ENDS, (0.6, 0.45, 0.3)):  # a face flips at .5
        monkeypatch.setattr(poles, "ENDS", ends)
        found, shares = tune_flow(bench.models, ours, "smiling", w, labels[:, 3])
        assert max(shares[0]) == max(shares[1]) == 1
        assert found == (ends[shares[0].index(1)], 1 - ends[shares[1].index(1)])
    assert found == (0.45, 0.55)
    farther = ours.with_poles({"smiling": (0.1, 0.7)})
    assert farther.key != ours.key and ours.poles[3].tolist() == pytest.approx([0.05, 0.95])
    assert farther.poles[3].tolist() == pytest.approx([0.1, 0.7])


def test_without_gates_every_layer_moves(bench: Workbench) -> None:
    gates = bench.models.gates
    ours, ungated = our_method(bench.models), variant_method(bench.models, "ungated")
    assert ungated.name == "ungated" and bool((ungated.gates == 1).all())
    assert (ungated.key == ours.key) == bool((gates == 1).all())
    assert torch.equal(ours.gates, gates) and torch.equal(ours.poles, ungated.poles)


def test_tuned_files_are_named_after_all_they_depend_on(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paths() -> tuple[Path, Path]:
        again = Workbench(bench.settings, bench.models)
        return tuple(again.direction_path(m, "young") for m in ("linear", "published"))

    first = paths()
    assert paths() == first
    with bench.settings.published.open("ab") as file:
        file.write(b"0")
    second = paths()
    assert second[0] == first[0] and second[1] != first[1]
    os.utime(bench.bank / "generated-00000.labels.parquet", (1, 1))
    third = paths()
    assert not {*third} & {*first, *second}
    monkeypatch.setattr(poles, "TUNED_ON", 3)
    assert not {*paths()} & {*third}


def test_a_published_direction_is_turned_by_the_labels(bench: Workbench) -> None:
    w, labels = bench.bank_codes
    path = bench.settings.published
    normal = directions.published_normal(path, "young", w, labels[:, NAMES.index("young")])
    assert normal[2] > 0.8 and normal[0] < 0  # the file's points to the old
