"""Every verb that makes pictures tells of a GPU that has filled up meanwhile, and of that once."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from sdflow import gpu
from sdflow.gpu import FULL, GPUEditor
from sdflow.pipeline import Editor


@pytest.fixture(autouse=True)
def full(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A GPU opens faces and has no room for more; what it has refused."""
    refused = []

    def run(name: str, given: tuple, named: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if name == "open":
            return editor.open(*given, **named)
        refused.append(name)
        raise torch.OutOfMemoryError("CUDA out of memory")

    made = GPUEditor(editor.models, run, lambda: editor)
    monkeypatch.setattr(gpu, "load_editor", lambda: made)
    return refused


@pytest.mark.parametrize(
    ("verb", "options", "output"),
    [
        ("edit", ("-s", "young=1", "--size", 512), "a.png"),
        ("sweep", ("-a", "young", "--steps", 2), "a.png"),
        ("sweep", ("--grid", "young", "yaw", "--steps", 2), "a.png"),
        ("compare", ("-s", "young=1"), "a.png"),
        ("morph", ("--to", "young=1", "--seconds", 0.2, "--fps", 10), "a.mp4"),
    ],
)
def test_pictures_of_a_face(
    run: Callable, random_file: Path, tmp_path: Path, verb: str, options: tuple, output: str
) -> None:
    report = run(verb, random_file, *options, "-o", tmp_path / output)
    assert report["warnings"] == [FULL]


def test_a_batch(run: Callable, full: list[str], photo_file: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    shutil.copy(photo_file, folder)
    options = ("-s", "young=1", "--paste", "--workers", 1, "--refine", 0)
    report = run("batch", folder, *options, "-o", output)
    with open(output / "batch.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert full == ["edit", "paste"] and row["warnings"] == FULL and report["doubtful"] == 1
