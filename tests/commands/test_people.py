"""Verbs of several people: read, compare; grids of sweep; and what is made of some failing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from sdflow import gpu, marking, media
from sdflow.__main__ import main
from sdflow.commands import sheets
from sdflow.commands.progress import Bar
from sdflow.pipeline import Editor

STEP = media.CELL + media.MARGIN


def test_read_one(capsys: pytest.CaptureFixture[str], editor: Editor, face_file: Path) -> None:
    assert main(["read", str(face_file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    value = editor.read(face_file)["smiling"]
    assert f"smiling: {value:.2f}  [serious – smiling]" in lines
    assert lines[0].startswith(f"{face_file}  confidence 0.")


def test_read_several_and_list_what_fails(
    capsys: pytest.CaptureFixture[str], photo_file: Path, random_file: Path, tmp_path: Path
) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (300, 200), "grey").save(grey)
    asked = ["read", photo_file, random_file, grey, tmp_path / "none.jpg", "--face", "all"]
    arguments = [*map(str, asked), "--refine", "0"]
    assert main([*arguments, "--json"]) == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert printed.err == ""
    rows = [(Path(row["photo"]).name, row["face"]) for row in report["faces"]]
    assert rows == [("two.jpg", 0), ("two.jpg", 1), ("random.safetensors", None)]
    assert 0 <= report["faces"][1]["confidence"] <= 1 and report["faces"][2]["confidence"] is None
    failed = {Path(row["photo"]).name: row["error"] for row in report["failures"]}
    assert "No face found" in failed["grey.png"] and "no file" in failed["none.jpg"]


def test_a_table_for_a_person(
    capsys: pytest.CaptureFixture[str], face_file: Path, random_file: Path, tmp_path: Path
) -> None:
    missing = str(tmp_path / "none.jpg")
    assert main(["read", str(face_file), str(random_file), missing]) == 1
    printed = capsys.readouterr()
    heading, first, second = printed.out.splitlines()
    assert heading.split()[:4] == ["photo", "face", "sure", "gender"]
    assert len({len(heading), len(first), len(second)}) == 1
    assert printed.err == f"failed: {missing}: There is no file {missing!r}: check the path.\n"


def test_nothing_to_read(fails: Callable, tmp_path: Path) -> None:
    assert "There is no file" in fails("read", tmp_path / "a.jpg", tmp_path / "b.jpg")


def test_compare_people_and_edits(
    run: Callable, face_file: Path, random_file: Path, tmp_path: Path, bars: list[Bar]
) -> None:
    output = tmp_path / "sheet.png"
    edits = ("-s", "smiling=1", "--to", "young=1,smiling=-0.5")
    report = run("compare", face_file, random_file, *edits, "-o", output)
    assert report["edits"] == [{"smiling": 1}, {"young": 1, "smiling": -0.5}]
    assert [Path(row["photo"]).name for row in report["people"]] == [
        "face.safetensors", "random.safetensors"
    ]  # fmt: skip
    assert [(bar.done, bar.total) for bar in bars] == [(6, 6)]
    width, height = Image.open(output).size
    assert height == media.HEADING + 2 * STEP and width > 4 * STEP  # photo, inversion, two edits
    assert marking.EDITED.encode() in output.read_bytes()


def test_compare_one_person_under_every_attribute(
    run: Callable, editor: Editor, random_file: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, bars: list[Bar],
) -> None:  # fmt: skip
    few = replace(editor.models, shipped=editor.models.shipped[:3])
    monkeypatch.setattr(gpu, "load_models", lambda *given: few)
    output = tmp_path / "sheet.png"
    report = run("compare", random_file, "-o", output)
    assert tuple(report["attributes"]) == few.shipped and not report["edits"]
    assert [(bar.done, bar.total) for bar in bars] == [(7, 7)]
    assert Image.open(output).height == media.HEADING + 3 * STEP
    assert marking.GENERATED.encode() in output.read_bytes()


def test_compare_wants_an_edit_for_several(fails: Callable) -> None:
    assert "-s smiling=1" in fails("compare", "a.jpg", "b.jpg")
    assert "-s smiling=1" in fails("compare", "a.jpg", "--face", "all")
    assert "is the photo itself" in fails("compare", "a.png", "-o", "a.png")
    assert "Give at most 21" in fails("compare", "a.png", *["--to", "smiling=1"] * 22)


def test_words_on_a_sheet_stay_in_their_cell() -> None:
    assert sheets.heading({"smiling": 1, "young": -0.5}) == "smiling +1, young -0.5"
    long = sheets.heading({"smiling": 1, "young": -0.5, "eyeglasses": 1})
    assert len(long) == sheets.LONGEST_HEADING and long.endswith("...")
    assert max(map(len, sheets.label("a" * 100).split("\n"))) <= sheets.LONGEST_LABEL


def test_a_grid_of_two_attributes(
    run: Callable, face_file: Path, tmp_path: Path, bars: list[Bar]
) -> None:
    output = tmp_path / "grid.png"
    grid = ("--grid", "smiling", "young", "--steps", 2)
    report = run("sweep", face_file, *grid, "-o", output)
    assert report["attributes"] == ["smiling", "young"] and report["strengths"] == [-1, 1]
    assert [(bar.done, bar.total) for bar in bars] == [(4, 4)]
    assert Image.open(output).height == media.HEADING + 2 * STEP
    assert marking.EDITED.encode() in output.read_bytes()


def test_a_grid_has_two_attributes(fails: Callable) -> None:
    assert "Leave -a or --grid out" in fails(
        "sweep", "p.jpg", "--grid", "young", "yaw", "-a", "beard"
    )
    assert "Give it once" in fails("sweep", "p.jpg", "--grid", "young", "young")
