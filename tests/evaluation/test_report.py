"""The report of a made-up run: figures, scores, Markdown, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sdflow.evaluation import evaluate as command
from sdflow.evaluation import poles, workbench
from sdflow.evaluation.methods import our_method
from sdflow.evaluation.report import summarise_ageing, targets
from sdflow.evaluation.workbench import Settings, Workbench

from .conftest import NAMES


@pytest.fixture
def output(bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "Workbench", lambda settings: bench)
    folder = tmp_path / "out"
    command.evaluate(bench.settings, folder, "python -m sdflow evaluate --faces 60")
    return folder


def test_a_run_leaves_report_scores_and_pictures(output: Path) -> None:
    scores = json.loads((output / "scores.json").read_text())
    assert list(scores)[: len(NAMES) + 1] == [*NAMES, "means"]
    for name in NAMES:
        assert scores[name]["accuracy"] == 1 and scores[name]["identity"] > 0
    assert scores["young"]["preservation_full"] < scores["smiling"]["preservation_full"] == 1
    four = [scores[name]["preservation"] for name in NAMES[:4]]
    assert scores["means"]["four"]["preservation"] == pytest.approx(sum(four) / 4, abs=2e-3)

    report = json.loads((output / "report.json").read_text())
    generated = report["generated"]
    assert set(generated["methods"]) == {"ours", "published", "linear", "projected"}
    assert set(generated["methods"]["published"]["attributes"]) == {"young", "smiling", "yaw"}
    young = generated["methods"]["ours"]["attributes"]["young"]
    assert young["changed"]["eyeglasses"] > 0 and young["spearman"] == 1
    assert [level["level"] for level in young["levels"]] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    against = generated["comparisons"]["projected"]["young"]["preservation"]
    assert against["ours"] < against["other"]
    assert against["difference"]["value"] == pytest.approx(
        against["ours"] - against["other"], abs=2e-3
    )
    assert generated["readout"]["gender"] == {"before": 1.0, "after": 1.0}
    assert report["trials"]["age"]["ours"]["either"]["value"] > 0.01
    met = {row["what"]: row["met"] for row in report["targets"]}
    assert met["editing accuracy at full strength, four"] is True
    for group, mean in scores["means"].items():
        at_level = generated["methods"]["ours"]["means"][group]["at_level"]
        assert mean["preservation"] == at_level["preservation"]["value"]
    assert met["glasses gained by 20 years"] is False

    assert report["floor"] == scores["floor"] and "floor" not in report["trials"]
    assert set(scores["floor"]) == {"faces", "mean", *NAMES} and scores["floor"]["faces"] == 10
    assert 0.9 < scores["floor"]["mean"]["value"] <= 1

    text = (output / "report.md").read_text()
    assert "an unseen change keeps" in text
    assert "Flips judged per attribute: 20 generated faces (target attributes), 10 " in text
    assert "| young |" in text and "`python -m sdflow evaluate --faces 60`" in text
    for name in ("methods", "methods-each", "matrix", "strengths"):
        picture = output / f"generated-{name}.png"
        assert 5_000 < picture.stat().st_size < 100_000
    for name in ("sheet", "pairs"):
        assert (output / f"generated-{name}-2.jpg").stat().st_size > 2_000


def test_a_variant_that_is_not_there_is_named(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(faces=20, people=0, attributes=("gender",), per_target=4, trial=0,
                        linear=False, variants=("no_mi",))  # fmt: skip
    lonely = Workbench(settings, bench.models)
    monkeypatch.setattr(command, "Workbench", lambda settings: lonely)
    command.evaluate(settings, tmp_path / "out", "evaluate")
    assert "variant no_mi was not trained" in (tmp_path / "out" / "report.md").read_text()


def made_up_means(accuracy: float, missing: list[str]) -> dict[str, object]:
    """Means of ours that keep all, over four attributes of which some don't reach the level."""
    value = {"value": 1.0, "interval": None}
    mean = {"attributes": NAMES[:4], "accuracy": {"value": accuracy}, "at_full": {},
            "at_level": {"preservation": value}, "not_reaching_level": missing}  # fmt: skip
    return {"methods": {"ours": {"means": {"four": mean, "all": None}}}, "comparisons": {}}


@pytest.mark.parametrize(("missing", "met"), [([], True), (["young"], False)])
def test_keeping_all_counts_only_where_all_reach_the_level(missing: list[str], met: bool) -> None:
    report = {"generated": made_up_means(0.98, []), "people": made_up_means(0.96, missing),
              "trials": {}}  # fmt: skip
    rows = {row["what"]: row for row in targets(report)}
    assert rows["preservation on real people, four"]["met"] is met
    assert rows["accuracy on real people, four"]["met"] is True
    report["generated"] = made_up_means(0.98, missing)
    rows = {row["what"]: row for row in targets(report)}
    assert rows["other attributes kept at accuracy .95, four"]["met"] is met


@pytest.mark.parametrize(("faces", "met"), [(0, False), (49, False), (50, True)])
def test_few_aged_faces_meet_no_target(faces: int, met: bool) -> None:
    table = {"strength": np.full(faces + 3, 0.5), "judged": np.zeros(faces + 3, bool),
             "parsed": np.zeros(faces + 3, bool)}  # fmt: skip
    table["strength"][:3] = np.nan
    ageing = summarise_ageing(table if faces else {})
    (row,) = targets({"trials": {"age": {"ours": ageing}}})
    assert ageing["aged"] == faces and row["met"] is met


def test_another_training_is_compared_at_poles_of_its_own(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(faces=20, people=0, attributes=("gender",), per_target=8, trial=0,
                        linear=False, variants=("no_mi",))  # fmt: skip
    monkeypatch.setattr(workbench, "variant_method", lambda models, name: our_method(models))
    other = Workbench(settings, bench.models)
    monkeypatch.setattr(command, "Workbench", lambda settings: other)
    monkeypatch.setattr(poles, "ENDS", (0.7, 0.4, 0.3))
    report = command.evaluate(settings, tmp_path / "out", "evaluate")
    assert set(report["generated"]["methods"]) == {"ours", "no_mi"}
    tuned = other.method("no_mi")
    assert tuned.poles[1].tolist() == pytest.approx([0.4, 0.6])
    assert tuned.key != other.variant("no_mi").key
    assert report["generated"]["comparisons"]["no_mi"]["gender"]["accuracy"] > 0.9
