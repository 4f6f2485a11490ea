"""The command line: verbs, reports, and one sentence for everything that is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdflow import __main__ as command_line
from sdflow import gpu, media
from sdflow.__main__ import main
from sdflow.faces import Face, load_face, save_face
from sdflow.pipeline import Editor
from sdflow.selection import shipped_attributes

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def loaded(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are loaded once for all tests."""
    monkeypatch.setattr(gpu, "load_models", lambda *given: editor.models)


@pytest.fixture(scope="module")
def photo_file(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photos") / "two.jpg"
    photo.save(path, quality=95)
    return str(path)


@pytest.fixture(scope="module")
def face_file(opened: Face, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("faces") / "face.safetensors"
    save_face(opened, path)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    """One verb with --json; its report."""
    assert main([*map(str, arguments), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return json.loads(printed.out)  # exactly one object


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The sentence of a verb that fails."""
    assert main([*map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1 and printed.err.endswith(".\n")
    return printed.err


# ---- what the verbs do


def test_edit(capsys: pytest.CaptureFixture[str], photo_file: str, tmp_path: Path) -> None:
    output, face = tmp_path / "out.png", tmp_path / "f.safetensors"
    strengths = ["-s", "smiling=0.8", "-s", "young=-0.4"]
    report = run(
        capsys, "edit", photo_file, *strengths, "-o", output, "--refine", 0, "--save-face", face
    )
    assert report["faces_found"] == 2 and report["face"] == 0 and report["steps"] == 0
    assert report["strengths"] == {"smiling": 0.8, "young": -0.4}
    assert report["output"] == str(output) and report["output_size"] == [1024, 1024]
    assert report["output_bytes"] == output.stat().st_size
    assert Image.open(output).size == (1024, 1024)
    assert report["round_trip_error"] < 1e-3
    steps = {"load", "align", "invert", "doubts", "decompose", "edit", "synthesis", "save"}
    assert set(report["seconds_per_step"]) == steps
    changed = {n for n in report["before"] if report["before"][n] != report["after"][n]}
    assert changed == {"smiling", "young"}
    assert load_face(face).faces_found == 2 and report["face_file"] == str(face)


def test_edit_a_face_file(
    capsys: pytest.CaptureFixture[str],
    editor: Editor,
    opened: Face,
    face_file: str,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out.png"
    report = run(capsys, "edit", face_file, "-o", output, "--size", 512)
    assert report["before"] == report["after"] == editor.read(opened)
    assert report["steps"] == 0 and report["output_size"] == [512, 512]
    expected = np.asarray(editor.reconstruct(opened, 512))
    np.testing.assert_array_equal(np.asarray(Image.open(output)), expected)


def test_a_person_reads_settings_and_values(
    capsys: pytest.CaptureFixture[str], face_file: str, tmp_path: Path
) -> None:
    output = str(tmp_path / "out.jpg")
    assert main(["edit", face_file, "-s", "smiling=-1", "-o", output, "--size", "512"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"photo: {face_file}" in lines and f"output: {output}" in lines
    smiling = next(line for line in lines if line.startswith("smiling: "))
    assert "(strength -1.00)" in smiling and "[serious – smiling]" in smiling
    assert lines[-1].startswith("seconds: load ")


def test_the_second_face(
    capsys: pytest.CaptureFixture[str], photo_file: str, tmp_path: Path
) -> None:
    output, preview = tmp_path / "f.safetensors", tmp_path / "p.webp"
    second = ("--face", 1, "--refine", 0)
    report = run(capsys, "invert", photo_file, "-o", output, *second, "--preview", preview)
    assert report["face"] == 1 and report["output_bytes"] == output.stat().st_size
    assert load_face(output).alignment.quad[:, 0].min() > 900
    assert Image.open(preview).size == (1024, 1024) and report["preview"] == str(preview)


def test_random(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    report = run(capsys, "random", "--seed", 3, "-o", first, "--size", 512)
    assert report["seed"] == 3 and report["faces_found"] == 0
    run(capsys, "random", "--seed", 3, "-o", second, "--size", 512)
    assert first.read_bytes() == second.read_bytes()


def test_random_names_its_file_by_the_seed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = run(capsys, "random", "--size", 512, "-s", "yaw=1")
    assert report["output"] == f"random-{report['seed']}.png"
    assert (tmp_path / report["output"]).stat().st_size == report["output_bytes"]


def test_sweep(
    capsys: pytest.CaptureFixture[str], face_file: str, tmp_path: Path
) -> None:
    output = tmp_path / "sheet.jpg"
    report = run(
        capsys, "sweep", face_file, "-a", "smiling", "young", "--steps", 3, "-o", output
    )
    assert report["attributes"] == ["smiling", "young"]
    assert report["strengths"] == [-1, 0, 1]
    width, height = Image.open(output).size
    assert [width, height] == report["output_size"]
    assert width > 4 * media.CELL and 2 * media.CELL < height < 3 * media.CELL


def test_contact_sheet_labels_rows_and_columns() -> None:
    cells = [[Image.new("RGB", (64, 64), (40 * i, 40 * j, 99)) for j in range(3)] for i in (1, 2)]
    sheet = np.asarray(media.contact_sheet(cells, ["one", "two\nlines"], ["a", "b", "c"], 100))
    step = 100 + media.MARGIN
    left = sheet.shape[1] - 3 * step
    assert sheet[: media.HEADING].min() < 50 and sheet[media.HEADING :, :left].min() < 50  # ink
    for i in range(2):
        for j in range(3):
            colour = sheet[media.HEADING + i * step + 50, left + j * step + 50]
            assert colour.tolist() == [40 * (i + 1), 40 * j, 99]
    for rows, labels in (([], []), (cells, ["one"]), ([cells[0], cells[1][:2]], ["a", "b"])):
        with pytest.raises(ValueError, match="Give a label a row"):
            media.contact_sheet(rows, labels, ["a", "b", "c"])


# ---- what is wrong


@pytest.mark.parametrize(
    ("strength", "reason"),
    [
        ("smiling=abc", "'abc'. Give a number from -1 to 1"),
        ("smiling=", "''. Give a number from -1 to 1"),
        ("smiling=2", "2.0. Give a number from -1 to 1"),
        ("smiling=nan", "nan. Give a number from -1 to 1"),
        ("smiling=-inf", "-inf. Give a number from -1 to 1"),
        ("unknown=1", "Unknown attribute 'unknown'. Use one of: "),
        ("smiling", "Write it as in -s smiling=0.8"),
        ("=1", "Write it as in -s smiling=0.8"),
        ("young=0 -s young=0", "young is given twice"),
    ],
)
def test_bad_strengths(capsys: pytest.CaptureFixture[str], strength: str, reason: str) -> None:
    assert reason in fails(capsys, "edit", "photo.jpg", "-s", *strength.split(" "))
    assert reason in fails(capsys, "random", "-s", *strength.split(" "))


def test_bad_photos(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"empty.jpg": b"", "text.jpg": b"no image", "face.safetensors": b"no face file"}
    files["cut.png"] = b"\x89PNG\r\n\x1a\n" + b"\0" * 9
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    Image.new("RGB", (1, 1)).save(tmp_path / "tiny.png")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    monkeypatch.setattr(gpu, "load_models", lambda *given: pytest.fail("told after loading"))
    for name in (*files, "tiny.png", "huge.png", "none.jpg", "none.safetensors", "."):
        for verb in (["edit"], ["invert", "-o", tmp_path / "f.safetensors"], ["sweep"]):
            fails(capsys, *verb, tmp_path / name)


def test_no_face(capsys: pytest.CaptureFixture[str], tmp_path: Path, photo_file: str) -> None:
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "grey.png")
    assert "No face found" in fails(capsys, "edit", tmp_path / "grey.png", "--refine", 0)
    assert "Choose 0 to 1" in fails(capsys, "edit", photo_file, "--face", 2, "--refine", 0)


def test_bad_outputs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "load_models", lambda *given: pytest.fail("told after loading"))
    folder = tmp_path / "folder.png"
    folder.mkdir()
    told = {
        ".png, .jpg": tmp_path / "out.bmp",
        "End the name": tmp_path / "out",
        "There is no folder": tmp_path / "none" / "out.png",
        "is a folder": folder,
    }
    for reason, path in told.items():
        for verb in (["edit", "photo.jpg"], ["random"], ["sweep", "photo.jpg"]):
            assert reason in fails(capsys, *verb, "-o", path)
    assert ".safetensors" in fails(capsys, "invert", "photo.jpg", "-o", tmp_path / "f.png")
    assert ".safetensors" in fails(capsys, "edit", "photo.jpg", "--save-face", tmp_path / "f.pt")
    assert "End the name" in fails(
        capsys, "invert", "photo.jpg", "-o", tmp_path / "f.safetensors", "--preview", "p.gif"
    )


def test_a_full_disk(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device", "out.png")

    monkeypatch.setattr(Path, "write_bytes", full)
    told = fails(capsys, "random", "--seed", 1, "--size", 512, "-o", tmp_path / "out.png")
    assert told == (
        "error: No space left on device: out.png. Check the path, rights and free space.\n"
    )


@pytest.mark.parametrize("arguments", [["--seed", -1], ["--psi", 2], ["--psi", "nan"]])
def test_random_has_ranges(capsys: pytest.CaptureFixture[str], arguments: list) -> None:
    assert "Give a seed from 0" in fails(capsys, "random", *arguments)


def test_sweep_has_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Give 2 to 21" in fails(capsys, "sweep", "photo.jpg", "--steps", 1)
    assert "Unknown attribute" in fails(capsys, "sweep", "photo.jpg", "-a", "beauty")


@pytest.mark.parametrize(
    "arguments",
    [[], ["nothing"], ["edit"], ["edit", "a", "--size", "7"], ["edit", "a", "--face", "x"]],
)
def test_what_argparse_refuses(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m sdflow" in capsys.readouterr().err


def test_an_interrupt_is_quiet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu, "load_models", interrupt)
    assert main(["random", "-o", str(tmp_path / "out.png")]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


# ---- attributes, training, the process


def test_attributes_lists_what_the_models_ship(capsys: pytest.CaptureFixture[str]) -> None:
    rows = run(capsys, "attributes")["attributes"]
    assert [row["name"] for row in rows] == [row.name for row in shipped_attributes()]
    assert main(["attributes"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == [row["name"] for row in rows]
    assert f"-1 {rows[0]['negative']}, +1 {rows[0]['positive']}" in told[0]


def test_a_row_of_the_table_without_a_slider_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = shipped_attributes()[:3]
    monkeypatch.setattr("sdflow.commands.options.shipped_attributes", lambda: (first, second))
    assert main(["edit", "photo.jpg", "-s", f"{third.name}=1"]) == 2
    assert f"Use one of: {first.name}, {second.name}." in capsys.readouterr().err


def test_missing_packages_of_training(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'accelerate'", name="accelerate")

    monkeypatch.setattr(command_line, "import_module", missing)
    assert "requirements-train.txt" in fails(capsys, "train", "bank")


def test_auto_says_which_models_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDFLOW_MODELS", "")  # so that it is as it was afterwards
    monkeypatch.setattr("sdflow.selection._has_gpu", lambda: False)
    command = ["random", "--seed", "1", "--size", "512", "-o", str(tmp_path / "face.png")]
    assert main([*command, "--models", "auto"]) == 0
    assert "There is no GPU: the embedded models run." in capsys.readouterr().err
    assert main([*command, "--models", "large"]) == 2
    assert "invalid choice: 'large'" in capsys.readouterr().err


def test_as_a_program(tmp_path: Path) -> None:
    """In a new process, from another folder, with models that it loads itself."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "sdflow", "random", "--seed", "1", "--json", "--size", "512"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert json.loads(done.stdout)["output"] == "random-1.png"
    assert Image.open(tmp_path / "random-1.png").size == (512, 512)


def test_a_reader_who_leaves(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = f"{sys.executable} -m sdflow weights status | true"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert done.stderr == b""


def test_importing_the_package_is_quick() -> None:
    code = "import sys, sdflow, sdflow.__main__; print(sdflow.__version__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "0.1.0 False\n", done.stderr


def test_tests_cannot_leave_this_machine() -> None:
    import socket

    with pytest.raises(RuntimeError, match="offline"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(RuntimeError, match="offline"):
        socket.getaddrinfo("example.org", 443)
