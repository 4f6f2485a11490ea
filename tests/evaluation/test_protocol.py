"""The protocol in the made-up world: which faces, what is stored, what a second run does."""

from __future__ import annotations

import numpy as np
import pytest

from sdflow.evaluation import metrics, populations, protocol, trials
from sdflow.evaluation.figures import KEPT, measure_flips
from sdflow.evaluation.methods import OURS
from sdflow.evaluation.populations import GENERATED
from sdflow.evaluation.protocol import STRENGTHS, choose_faces, read_sweep
from sdflow.evaluation.stages import count_edits, run_stages
from sdflow.evaluation.workbench import Settings, Workbench

from .conftest import NAMES, see


def alone(bench: Workbench, **changes: object) -> Workbench:
    """The same world, our method alone."""
    plain = {"faces": 60, "people": 0, "per_target": 20, "trial": 0, "linear": False}
    return Workbench(Settings(**(plain | changes)), bench.models)


@pytest.mark.parametrize(("positives", "down"), [(30, 10), (4, 4), (57, 17), (0, 0)])
def test_faces_come_from_both_sides_as_far_as_there_are(positives: int, down: int) -> None:
    glasses = np.where(np.arange(60) < positives, 50.0, 10.0)
    rows, signs = choose_faces({"glasses": glasses}, "eyeglasses", 20)
    assert len(set(rows)) == len(rows) == 20
    assert signs.count(-1) == down
    assert all((glasses[row] > 36) == (sign < 0) for row, sign in zip(rows, signs, strict=True))
    assert choose_faces({"glasses": glasses}, "eyeglasses", 20) == (rows, signs)


def test_parts_make_the_same_faces_whatever_the_number(bench: Workbench) -> None:
    small, large = alone(bench, faces=15), alone(bench, faces=33)
    for one in (small, large):
        for rows in one.parts(GENERATED):
            one.make_part(GENERATED, rows)
    first, second = (one.population(GENERATED) for one in (small, large))
    assert first.w.shape == (15, 18, 512) and second.w.shape == (33, 18, 512)
    assert np.array_equal(first.w, second.w[:15])
    assert second.pictures.shape[0] == len(second.verdicts["gender"]) == 33


def test_a_sweep_flips_faces_and_sees_age_drag_glasses_along(bench: Workbench) -> None:
    bench = alone(bench)
    run_stages(bench)
    weights = metrics.resample(60, draws=50)
    flips = {}
    for task in bench.tasks():
        path = task.path(bench.folder, bench.method(OURS).key)
        sweep = read_sweep(bench.models, bench.population(GENERATED), path)
        assert sweep.measures["gender"].shape == (len(task.rows), len(STRENGTHS))
        assert (sweep.measures["identity"][:, 0] == 0).all()
        flips[task.attribute] = measure_flips(sweep, task.attribute, NAMES, weights)
    assert list(flips) == list(NAMES)
    assert all(one.curves["accuracy"][0, -1] == 1 for one in flips.values())
    assert flips["smiling"].curves[KEPT][0, -1] == 1
    assert 0 < flips["young"].others["eyeglasses"][0, -1] < 1
    share = flips["young"].others["eyeglasses"][0, -1]
    assert flips["young"].curves[KEPT][0, -1] == pytest.approx(1 - share / 4)
    assert flips["young"].others["gender"][0, -1] == 0


def test_what_is_stored_is_not_done_again(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = alone(bench, attributes=("gender",))
    run_stages(bench)
    assert count_edits(bench) == {GENERATED: 20 * 8}
    monkeypatch.setattr(protocol, "judge", None)
    run_stages(Workbench(bench.settings, bench.models))
    with pytest.raises(TypeError):
        run_stages(alone(bench, attributes=("smiling",)))


def test_changed_judges_are_noticed(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = alone(bench, attributes=("gender",))
    run_stages(bench)
    monkeypatch.setattr(
        populations, "judge", lambda images, identity: {**see(images, False), "gender": [9.0]}
    )
    with pytest.raises(ValueError, match="gender otherwise"):
        alone(bench, attributes=("gender",)).population(GENERATED)


def test_ageing_counts_the_glasses_that_come(bench: Workbench) -> None:
    bench = alone(bench, trial=10)
    run_stages(bench)
    table = trials.pq.read_table(bench.trial_path(trials.AGE, OURS)).to_pydict()
    strengths = np.array(table["strength"])
    aged = ~np.isnan(strengths)
    assert aged.any() and (np.array(table["years"])[aged] >= trials.YEARS).all()
    assert (np.array(table["years"])[aged] < trials.YEARS + 6).all()  # no further than needed
    assert any(table["judged"]) and table["judged"] == table["parsed"]


def test_five_at_once_reach_the_other_side(bench: Workbench) -> None:
    bench = alone(bench, trial=10)
    run_stages(bench)
    table = trials.pq.read_table(bench.trial_path(trials.FIVE_AT_ONCE, OURS)).to_pydict()
    assert len(table["row"]) == 10
    assert all(all(table[name]) for name in trials.FIVE if name not in ("eyeglasses", "young"))


def test_an_unseen_change_moves_only_faces_near_a_threshold(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = alone(bench, attributes=("gender",), trial=60)
    run_stages(bench)
    path = bench.trial_path(trials.FLOOR, OURS)
    table = trials.pq.read_table(path).to_pydict()
    assert set(table) == {"row", *NAMES} and len(table["row"]) == 60
    assert 0.95 < np.mean([table[name] for name in NAMES]) <= 1
    monkeypatch.setattr(trials, "UNSEEN", 5.0)
    bench.trial(trials.FLOOR, OURS)
    table = trials.pq.read_table(path).to_pydict()
    assert np.mean([table[name] for name in NAMES]) < 0.8
