"""The service behind the page: loading that fails and recovers, files that go again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from sdflow.attributes import ATTRIBUTES
from sdflow.images import BadImage
from sdflow.manifest import WeightsError
from sdflow.page import readout
from sdflow.page.service import KEPT, NO_FACE, NO_PHOTO, NOT_LOADED, Service, remove_old
from sdflow.pipeline import Editor


def test_loading_fails_and_is_tried_again(
    tmp_path: Path, editor: Editor, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [WeightsError("/secret/path is damaged."), None]

    def load() -> Editor:
        if error := outcomes.pop(0):
            raise error
        return editor

    service = Service(tmp_path, load)
    assert service.status == "loading"
    with pytest.raises(WeightsError, match=NOT_LOADED):
        _ = service.editor
    assert service.status == "failed" and "/secret/path" in capsys.readouterr().err
    assert service.editor is editor and service.status == "ready"
    assert service.editor is editor and not outcomes


def test_attributes_are_known_before_the_models(tmp_path: Path, editor: Editor) -> None:
    def load() -> Editor:
        raise AssertionError("nobody asked for the models")

    assert Service(tmp_path, load).attributes == editor.attributes


def test_missing_faces_and_photos_are_told(tmp_path: Path, editor: Editor) -> None:
    service = Service(tmp_path, lambda: editor)
    with pytest.raises(BadImage, match=NO_PHOTO):
        service.open(None)
    with pytest.raises(ValueError, match=NO_FACE):
        service.edit(None, {})


def test_a_pair_is_written_for_the_eye_and_the_download(tmp_path: Path, editor: Editor) -> None:
    service = Service(tmp_path, lambda: editor)
    token = service.random(3).token
    pairs = [service.pair(token, service.edit(token, {"smiling": s}, 512)) for s in (0.2, 0.9)]
    assert pairs[0][0] == pairs[1][0] and pairs[0][1] != pairs[1][1]
    assert [Image.open(file).size for file in pairs[0]] == [(1024, 1024), (512, 512)]
    assert token not in str(pairs)
    png = service.download(Image.open(pairs[0][1]))
    assert png.name == "sdflow-edit.png" and Image.open(png).format == "PNG"
    assert all(folder.stat().st_mode & 0o77 == 0 for folder in tmp_path.iterdir() if
               folder.is_dir())  # fmt: skip


def test_old_files_and_empty_folders_go(tmp_path: Path) -> None:
    for name in ("old/a.jpg", "new/b.jpg", "c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    past = time.time() - KEPT - 60
    for path in (tmp_path / "old/a.jpg", tmp_path / "c.jpg"):
        os.utime(path, (past, past))
    remove_old(tmp_path, KEPT)
    os.utime(tmp_path / "old", (past, past))
    remove_old(tmp_path, KEPT)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b.jpg", "new"]


def test_the_readout_names_every_attribute() -> None:
    rows = list(ATTRIBUTES.values())
    before = dict.fromkeys(ATTRIBUTES, 0.25)
    table = readout.readout(rows, before, before | {"smiling": 1.4})
    assert all(row.label in table and row.negative in table for row in rows)
    assert table.count("class='moved'") == 1
    assert "left:100.0%" in table and "<td>1.00</td>" in table and "1.40" not in table


def test_groups_keep_their_order() -> None:
    smile, glasses, mouth = (ATTRIBUTES[n] for n in ("smiling", "eyeglasses", "mouth_open"))
    groups = readout.grouped([smile, glasses, mouth])
    assert groups == [("Expression", [smile, mouth]), ("Accessories", [glasses])]
