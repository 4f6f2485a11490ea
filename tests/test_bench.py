"""The benchmark: every step is measured; one round, one step of refinement."""

from __future__ import annotations

import json

import pytest

from sdflow import bench
from sdflow.__main__ import main
from sdflow.pipeline import Editor

STEPS = {
    "align", "parse", "invert_encoder", "invert_forward", "invert", "refine_step", "tune_step",
    "doubts", "decompose", "edit", "synthesis_plain", "synthesis_fast", "synthesis_preview",
    "detail", "paste", "open_photo", "open_refined", "open_tuned", "edit_at_1024",
    "edit_and_paste",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(editor: Editor) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "Editor", lambda: editor)
        patch.setattr(bench, "STEPS", 1)
        patch.setattr(bench, "TUNED", 1)
        patch.setattr(bench, "LARGE_PHOTO", (2000, 1500))
        patch.setattr(bench, "LARGE_CROP", 800)
        return bench.benchmark(repeat=1)


def test_every_step_is_measured(report: dict) -> None:
    assert set(report["steps"]) == STEPS
    assert all(step["ms"] > 0 and step["of_plain"] > 0 for step in report["steps"].values())
    assert report["steps"]["synthesis_plain"]["of_plain"] == 1
    assert report["cold_start_seconds"] > 0 and report["repeat"] == 1
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_sums_are_what_a_person_waits_for(report: dict) -> None:
    ms = {name: step["ms"] for name, step in report["steps"].items()}
    assert ms["edit_and_paste"] == pytest.approx(
        ms["edit"] + ms["synthesis_fast"] + ms["paste"], abs=0.1
    )
    opened = ms["align"] + ms["invert_forward"] + ms["doubts"] + ms["decompose"]
    assert ms["open_refined"] == pytest.approx(opened + 60 * ms["refine_step"], abs=1)
    more = 60 * ms["tune_step"] + ms["doubts"] + ms["decompose"]
    assert ms["open_tuned"] == pytest.approx(ms["open_refined"] + more, abs=1)


def test_memory_is_that_of_each_process(report: dict) -> None:
    memory = report["peak_memory_mb"]
    assert 100 < memory["cold_start"] < 10_000
    assert 100 < memory["whole_benchmark"] < 20_000


def test_the_table_names_every_step(
    report: dict, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "benchmark", lambda repeat: report | {"repeat": repeat})
    assert main(["bench", "--repeat", "3"]) == 0
    table = capsys.readouterr().out
    assert all(f"\n{name} " in table for name in STEPS)
    assert main(["bench", "--json", "--repeat", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["repeat"] == 2


@pytest.mark.parametrize("repeat", [0, -1, 101])
def test_the_number_of_rounds_is_limited(
    repeat: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--repeat", str(repeat)]) == 2
    assert capsys.readouterr().err == f"error: Got {repeat} rounds. Give 1 to 100.\n"
