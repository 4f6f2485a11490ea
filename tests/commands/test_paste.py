"""edit --paste: the whole photo comes back, as it was but for the face."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from sdflow import doubts
from sdflow.__main__ import main
from sdflow.faces import load_face, save_face
from sdflow.images import open_photo
from sdflow.pipeline import Editor

ROOT = Path(__file__).parents[2]
SMILE = ("-s", "smiling=1", "--refine", 0, "--paste")


def difference(a: Image.Image, b: Image.Image) -> np.ndarray:
    """Of two pictures, the largest of the three colours, (H, W)."""
    pixels = [np.asarray(image.convert("RGB")).astype(int) for image in (a, b)]
    return np.abs(pixels[0] - pixels[1]).max(axis=2)


def right_half(mask: Image.Image) -> bool:
    """Whether it covers something of the smaller face."""
    return mask.crop((1000, 0, *mask.size)).getbbox() is not None


def place(image: Image.Image) -> dict:
    return image.getexif().get_ifd(ExifTags.IFD.GPSInfo)


def test_as_a_program(photo_file: Path, tmp_path: Path) -> None:
    """In a new process: a JPEG stays one of its own quality, and tells no place."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "sdflow", "edit", photo_file, *map(str, SMILE)]
    command += ["--mask", "mask.png"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "output: edited.jpg" in done.stdout and "mask: mask.png" in done.stdout
    before, after = Image.open(photo_file), Image.open(tmp_path / "edited.jpg")
    assert (after.format, after.size) == ("JPEG", (1600, 1200))
    assert after.quantization == before.quantization
    assert place(before) and not place(after) and not len(after.getexif())
    mask = Image.open(tmp_path / "mask.png")
    assert (mask.mode, mask.size) == ("L", (1600, 1200))
    changed, levels = difference(before, after), np.asarray(mask)
    assert changed[levels == 255].mean() > 2 * changed[levels == 0].mean()


def test_beyond_the_mask_nothing_changes(
    run: Callable, photo_file: Path, tmp_path: Path
) -> None:
    output, mask = tmp_path / "out.png", tmp_path / "mask.png"
    report = run("edit", photo_file, *SMILE, "-o", output, "--mask", mask)
    before, after, levels = open_photo(photo_file), Image.open(output), Image.open(mask)
    changed, touched = difference(before, after), np.asarray(levels) > 0
    assert not changed[~touched].any() and changed[touched].any()
    assert not right_half(levels)
    assert report["touched"] == pytest.approx(touched.mean(), abs=1e-4)
    assert 0.05 < report["touched"] < 0.5
    assert report["output_size"] == [1600, 1200] and report["mask"] == str(mask)
    assert report["pasted_into"] == str(photo_file)
    assert 0 <= report["confidence"] <= 1 and isinstance(report["warnings"], list)
    steps = {"load", "align", "invert", "doubts", "decompose", "edit", "synthesis", "paste"}
    steps |= {"save"}
    assert set(report["seconds_per_step"]) == steps


def test_metadata_are_kept_on_request(run: Callable, photo_file: Path, tmp_path: Path) -> None:
    for name in ("out.jpg", "out.png", "out.webp"):
        output = tmp_path / name
        report = run("edit", photo_file, *SMILE, "-o", output, "--keep-metadata", "--plain")
        assert report["metadata"] and report["plain"]
        assert place(Image.open(output)) == place(Image.open(photo_file))
        assert Image.open(output).getexif()[ExifTags.Base.Make] == "A camera"


def test_several_faces(
    run: Callable, photo_file: Path, tmp_path: Path
) -> None:
    results = []
    for faces in ("all", "0,1"):
        output, mask = tmp_path / f"{faces}.png", tmp_path / f"{faces}-mask.png"
        report = run("edit", photo_file, *SMILE, "--face", faces, "-o", output, "--mask", mask)
        assert [row["face"] for row in report["faces"]] == [0, 1]
        assert report["face"] == ("all" if faces == "all" else [0, 1])
        for row in report["faces"]:
            assert row["after"]["smiling"] > row["before"]["smiling"]
            assert 0 <= row["confidence"] <= 1
        assert right_half(Image.open(mask))
        results.append(output.read_bytes())
    assert results[0] == results[1]


def test_another_edit_on_top(
    run: Callable, photo_file: Path, tmp_path: Path
) -> None:
    """Different edits of different faces, one after the other."""
    first, second, mask = (tmp_path / name for name in ("1.png", "2.png", "mask.png"))
    run("edit", photo_file, *SMILE, "-o", first)
    turned = ("-s", "young=-1", "--refine", 0, "--paste", "--face", 1, "--mask", mask)
    run("edit", first, *turned, "-o", second)
    touched = np.asarray(Image.open(mask)) > 0
    assert right_half(Image.open(mask)) and not touched[:, :700].any()
    assert not difference(Image.open(first), Image.open(second))[~touched].any()
    assert difference(open_photo(photo_file), Image.open(second))[:, :700].any()


def test_a_face_file_and_its_photo(
    run: Callable, photo_file: Path, face_file: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    report = run("edit", face_file, "-s", "smiling=1", "--paste", photo_file)
    assert report["output"] == "edited.jpg" and report["pasted_into"] == str(photo_file)
    run("edit", photo_file, *SMILE, "-o", "straight.jpg")
    assert difference(Image.open("edited.jpg"), Image.open("straight.jpg")).mean() < 0.2


def test_several_faces_are_told_apart(
    photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(doubts, "warnings", lambda *rest: ("It is dark: use another.",))
    arguments = ["edit", str(photo_file), *map(str, SMILE), "--face", "all"]
    assert main([*arguments, "-o", str(tmp_path / "out.png")]) == 0
    printed = capsys.readouterr()
    assert printed.err == (
        "warning: Face 0: It is dark: use another.\nwarning: Face 1: It is dark: use another.\n"
    )
    lines = printed.out.splitlines()
    assert "  face: 0" in lines and "  face: 1" in lines and "face: all" in lines
    assert sum(line.startswith("  smiling: ") for line in lines) == 2
    assert not any("dark: use" in line for line in lines)


def test_transparency_and_jpeg(
    photo: Image.Image, tmp_path: Path, run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clear = photo.copy()
    clear.putalpha(Image.new("L", photo.size, 255))
    clear.save("clear.png", compress_level=1)
    report = run("edit", "clear.png", *SMILE)
    assert report["output"] == "edited.png" and Image.open("edited.png").mode == "RGBA"
    assert "became white" not in str(report["warnings"])
    report = run("edit", "clear.png", *SMILE, "-o", "out.jpg")
    assert "became white" in report["warnings"][-1]


def test_detail_of_the_crop(run: Callable, face_file: Path, tmp_path: Path) -> None:
    """With nothing moved it is the photo's own crop."""
    output = tmp_path / "out.png"
    report = run("edit", face_file, "--detail", "-o", output)
    assert report["detail"] and "detail" in report["seconds_per_step"]
    crop = load_face(face_file).picture
    assert difference(Image.open(output), crop).mean() < 2


# ---- what is wrong


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--mask", "m.png"], "--mask needs --paste. Add it"),
        (["--plain"], "--plain needs --paste"),
        (["--keep-metadata"], "--keep-metadata needs --paste"),
        (["--face", "0,1"], "Several faces need --paste"),
        (["--face", "all"], "Several faces need --paste"),
        (["--face", "all", "--paste", "--save-face", "f.safetensors"], "Choose one with --face"),
        (["--paste", "--size", "512"], "Leave --size out"),
        (["--paste", "--detail"], "Leave --detail out"),
        (["--paste", "--mask", "m.jpg"], "End the name in one of: .png"),
        (["--paste", "-o", "out.heic"], "End the name in one of"),
        (["--paste", "other.jpg"], "Write --paste without a photo"),
        (["--refine", "-1"], "Got -1 steps. Give 0 to 1000"),
        (["--refine", "1001"], "Got 1001 steps. Give 0 to 1000"),
    ],
)
def test_options_that_do_not_fit(
    fails: Callable, options: list[str], reason: str, tmp_path: Path, photo_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert reason in fails("edit", photo_file, *options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [["--face", "0,x"], ["--face", "1,1"], ["--refine", "a.jpg"]])
def test_options_of_another_form(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["edit", "photo.jpg", *options])
    assert caught.value.code == 2
    assert repr(options[1]) in capsys.readouterr().err


def test_face_files_that_do_not_fit(
    fails: Callable, face_file: Path, random_file: Path, photo: Image.Image, tmp_path: Path
) -> None:
    small, other, letter = (tmp_path / name for name in ("small.png", "other.png", "letter.jpg"))
    photo.resize((800, 600)).save(small)
    photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other, compress_level=1)
    letter.write_bytes(b"Dear all,")
    told = {
        "A face file holds no photo. Name it": [face_file, "--paste"],
        "of 1600 x 1200 pixels, the one to": [face_file, "--paste", small],
        "shows something else where the face was": [face_file, "--paste", other],
        "This is no image": [face_file, "--paste", letter],
        "There is no file": [face_file, "--paste", tmp_path / "none.jpg"],
        "A random face has no place in a photo": [random_file, "--paste", small],
        "A random face has no photo to resemble": [random_file, "--refine"],
        "Leave --refine and --tune out": [random_file, "--tune"],
        "A random face has no photo with detail": [random_file, "--detail"],
        "A face file holds one face": [face_file, "--face", 1],
    }
    for reason, options in told.items():
        assert reason in fails("edit", *options)
    assert "This is no image" in fails("edit", letter, "--paste")
    assert "A face file holds one face" in fails(
        "invert", face_file, "--face", 1, "-o", tmp_path / "f.safetensors"
    )


def test_nothing_is_written_over_the_photo(
    fails: Callable, photo: Image.Image, face_file: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    photo.save("edited.png", compress_level=1)
    assert "is the photo itself" in fails("edit", "edited.png")
    assert "is the photo itself" in fails("edit", "edited.png", "--paste")
    assert "is the photo itself" in fails("edit", face_file, "--paste", "edited.png")
    assert "is the photo itself" in fails("sweep", "edited.png", "-o", "./edited.png")
    twice = ("--paste", "-o", "a.png", "--mask", "a.png")
    assert "written twice" in fails("edit", "edited.png", *twice)


def test_a_photo_without_a_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "grey.png")
    assert main(["edit", str(tmp_path / "grey.png"), "--paste", "--face", "all"]) == 2
    assert "No face found" in capsys.readouterr().err


def test_a_tuned_face_is_pasted(
    run: Callable, editor: Editor, photo_file: Path, tmp_path: Path, shorten_tuning: Callable
) -> None:
    shorten_tuning(1)
    tuned = tmp_path / "tuned.safetensors"
    save_face(editor.refine(editor.open(photo_file, steps=0), 0, tune=True), tuned)
    report = run("edit", tuned, "-s", "smiling=1", "--paste", photo_file, "-o", tmp_path / "o.jpg")
    assert report["tuned"] and report["touched"] > 0
