"""A folder of photos: what is done stays done, what fails is listed, Ctrl-C costs one photo."""

from __future__ import annotations

import csv
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdflow import gpu, marking, pipeline
from sdflow.__main__ import main
from sdflow.commands import batch, batch_work
from sdflow.commands.ledger import Ledger
from sdflow.commands.progress import Bar
from sdflow.images import open_photo

ROOT = Path(__file__).parents[2]
QUICK = ("--workers", "1", "--refine", "0", "--size", "512")
PATIENCE = 120  # seconds, on a busy machine


@pytest.fixture
def folder(face_file: Path, random_file: Path, tmp_path: Path) -> Path:
    """Two face files, a broken photo, and what is no photo."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    shutil.copy(face_file, folder / "anna.safetensors")
    shutil.copy(random_file, folder / "ben.safetensors")
    (folder / "carl.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no photo")
    (folder / ".hidden.jpg").write_text("no photo")
    return folder


@pytest.fixture
def do(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict]]:
    """A batch with --json: its exit status and report."""

    def call(folder: Path, *options: object) -> tuple[int, dict]:
        output = ("-o", folder.parent / "out")
        status = main(["batch", *map(str, (folder, *output, *QUICK, *options)), "--json"])
        printed = capsys.readouterr()
        assert printed.err == "" or status == 130
        return status, json.loads(printed.out or "{}")

    return call


def rows_of(output: Path) -> list[dict[str, str]]:
    with open(output / "batch.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_done_once(
    do: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch, bars: list[Bar]
) -> None:
    output = folder.parent / "out"
    status, report = do(folder, "-s", "smiling=1")
    assert status == 1 and report["photos"] == 3 and report["edited_now"] == 2
    assert [(bar.done, bar.total) for bar in bars] == [(0, 0), (3, 3)]
    assert [Path(row["photo"]).name for row in report["failures"]] == ["carl.jpg"]
    rows = {row["file"]: row for row in rows_of(output)}
    assert list(rows) == ["anna.safetensors", "ben.safetensors", "carl.jpg"]
    anna = rows["anna.safetensors"]
    assert anna["output"] == "anna.png" and 0 <= float(anna["confidence"]) <= 1
    assert float(anna["smiling after"]) > float(anna["smiling before"])
    assert anna["young after"] == anna["young before"] and float(anna["seconds"]) > 0
    assert "This is no image" in rows["carl.jpg"]["error"] and not anna["error"]
    assert Image.open(output / "anna.png").size == (512, 512)
    assert marking.EDITED.encode() in (output / "anna.png").read_bytes()
    assert marking.GENERATED.encode() in (output / "ben.png").read_bytes()
    (sheet,) = map(Path, report["sheets"])
    assert Image.open(sheet).width > 2 * batch_work.CELL

    made = (output / "anna.png").stat().st_mtime_ns
    (folder / "carl.jpg").unlink()
    monkeypatch.setattr(gpu, "load_models", lambda *given: pytest.fail("there is nothing to do"))
    status, report = do(folder, "-s", "smiling=1")
    assert status == 0 and report["done_before"] == 2 and report["edited_now"] == 0
    assert [row["file"] for row in rows_of(output)] == ["anna.safetensors", "ben.safetensors"]
    assert (output / "anna.png").stat().st_mtime_ns == made


def test_done_again_where_something_changed(
    do: Callable, folder: Path, face_file: Path, random_file: Path
) -> None:
    (folder / "carl.jpg").unlink()
    output = folder.parent / "out"
    assert do(folder)[1]["edited_now"] == 2
    shutil.copy(face_file, folder / "ben.safetensors")  # another photo
    status, report = do(folder)
    assert (status, report["edited_now"], report["done_before"]) == (0, 1, 1)
    assert (output / "ben.png").read_bytes() == (output / "anna.png").read_bytes()
    (output / "anna.png").unlink()  # a picture is gone
    assert do(folder)[1]["edited_now"] == 1
    report = do(folder, "--suffix", "_x", "--format", "webp")[1]  # other settings
    assert report["edited_now"] == 2 and (output / "anna_x.webp").exists()
    assert [row["output"] for row in rows_of(output)] == ["anna_x.webp", "ben_x.webp"]


def test_whole_photos_with_all_faces(do: Callable, photo_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(photo_file, folder)
    output = tmp_path / "out"
    options = ("-s", "smiling=1", "--paste", "--face", "all", "--size", "1024")
    status, report = do(folder, *options)
    assert status == 0 and report["faces"] == 2
    rows = rows_of(output)
    assert [(row["face"], row["output"]) for row in rows] == [("0", "two.jpg"), ("1", "two.jpg")]
    before, after = (np.asarray(open_photo(path)).astype(int) for path in (
        photo_file, output / "two.jpg"
    ))  # fmt: skip
    changed = np.abs(after - before).max(axis=2) > 20
    assert changed[:, :800].any() and changed[:, 1000:].any() and changed.mean() < 0.5


def test_faces_apart(do: Callable, photo_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(photo_file, folder)
    status, report = do(folder, "--face", "all")
    assert status == 0 and report["faces"] == 2
    assert [row["output"] for row in rows_of(tmp_path / "out")] == [
        "two_face0.png", "two_face1.png"
    ]  # fmt: skip
    assert do(folder, "--face", "all")[1]["done_before"] == 1


def test_a_fault_of_ours_ends_one_photo_only(
    do: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, faults = pipeline.Editor.edit, [RuntimeError("shapes differ"), None]

    def broken(*arguments: object) -> object:
        if (fault := faults.pop(0)) is not None:
            raise fault
        return edit(*arguments)

    monkeypatch.setattr(pipeline.Editor, "edit", broken)
    status, report = do(folder)
    assert status == 1 and report["edited_now"] == 1
    assert report["failures"][0]["error"] == "RuntimeError: shapes differ."


def test_ctrl_c_in_one_process(
    do: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, waiting = pipeline.Editor.edit, [None, KeyboardInterrupt()]

    def interrupted(*arguments: object) -> object:
        if (interrupt := waiting.pop(0)) is not None:
            raise interrupt
        return edit(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.Editor, "edit", interrupted)
        assert do(folder)[0] == 130
    assert [row["file"] for row in rows_of(folder.parent / "out")] == ["anna.safetensors"]
    assert do(folder)[1]["done_before"] == 1


def test_processes_and_ctrl_c(folder: Path, do: Callable) -> None:
    """Two processes on a terminal: interrupted they leave, and what is done is kept."""
    for number in range(8):
        shutil.copy(folder / "anna.safetensors", folder / f"d{number}.safetensors")
    output = folder.parent / "out"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "sdflow", "batch", str(folder), "-o", str(output), *QUICK]
    process = subprocess.Popen(
        [*command, "--workers", "2"], env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(theirs)
    seen, asked = "", False
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 1)[0]:
            try:
                seen += os.read(ours, 4096).decode()
            except OSError:  # the process has left
                break
        if not asked and "] 3 of 11" in seen:
            asked = True
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    process.communicate(timeout=PATIENCE)
    os.close(ours)
    assert process.returncode == 130, seen
    assert "of 11 photos. The same command goes on." in seen and "Traceback" not in seen
    assert nobody_is_left(process.pid)
    done = {row["file"] for row in rows_of(output) if not row["error"]}
    assert 1 <= len(done) < 10
    status, report = do(folder)
    assert (status, report["done_before"], report["edited_now"]) == (1, len(done), 10 - len(done))


def nobody_is_left(group: int) -> bool:
    """Whether all processes of a group leave within some seconds; the dead do not count."""
    for _ in range(100):
        states = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has just left
                states.append(path.read_text().rpartition(")")[2].split())
        if not any(int(pgrp) == group and state != "Z" for state, _, pgrp, *_ in states):
            return True
        time.sleep(0.1)
    return False


# ---- what is wrong


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--plain"], "--plain needs --paste"),
        (["--keep-metadata"], "--keep-metadata needs --paste"),
        (["--paste", "--size", "512"], "Leave --size out"),
        (["--paste", "--detail"], "Leave --detail out"),
        (["--workers", "0"], "Give 1 to 64 with --workers"),
        (["--suffix", "/../x"], "cannot be part of a file's name"),
        (["-s", "smiling=2"], "Give a number from -1 to 1"),
        (["--refine", "-1"], "Give 0 to 1000 with --refine"),
    ],
)
def test_options_that_do_not_fit(
    fails: Callable, folder: Path, tmp_path: Path, options: list[str], reason: str
) -> None:
    assert reason in fails("batch", folder, "-o", tmp_path / "new", *options)
    assert not (tmp_path / "new").exists()


def test_folders_that_do_not_fit(fails: Callable, folder: Path, tmp_path: Path) -> None:
    assert "There is no folder" in fails("batch", tmp_path / "none", "-o", tmp_path / "new")
    assert "There are no photos" in fails("batch", folder / "below", "-o", tmp_path / "new")
    assert "is the folder of the photos" in fails("batch", folder, "-o", f"{folder}/../photos")
    assert "has files that no batch made" in fails("batch", folder, "-o", tmp_path)
    assert "is a file" in fails("batch", folder, "-o", folder / "notes.txt")
    output = tmp_path / "out"
    output.mkdir()
    (output / "batch.csv").write_text("a,b\n1,2\n")
    assert "is no list of a batch" in fails("batch", folder, "-o", output)


def test_no_two_results_have_one_name() -> None:
    files = [Path(name) for name in (
        "a.jpg", "a.png", "B.jpg", "b.png", "c.jpg", "a_png.webp", "c_face1.jpg",
    )]  # fmt: skip
    names = batch.name_outputs(files)
    assert len({name.casefold() for name in names.values()}) == len(files)
    assert names["c.jpg"] == "c" and names["a.jpg"] == "a_jpg"
    assert not names["c_face1.jpg"].endswith("_face1")


def test_the_list_is_whole_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "batch.csv", ["smiling"])
    ledger.put("b.jpg", [{"file": "b.jpg", "warnings": "It is dark, really: use\nanother."}])
    ledger.put("\udcff.jpg", [{"file": "\udcff.jpg", "error": "Ünd"}])  # a name that is no text
    before = ledger.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *paths: pytest.fail("power cut"))
        with pytest.raises(pytest.fail.Exception):
            ledger.put("a.jpg", [{"file": "a.jpg"}])
    assert ledger.path.read_bytes() == before
    again = Ledger(ledger.path, ["smiling", "young"])
    assert list(again.rows) == ["b.jpg", "\udcff.jpg"]
    assert again.rows["b.jpg"][0]["warnings"] == "It is dark, really: use\nanother."
    assert again.rows["\udcff.jpg"][0]["error"] == "Ünd"
    assert set(again.rows["b.jpg"][0]) == set(again.columns)
