"""`python -m sdflow weights convert`: published files as safetensors, once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sdflow import checkpoints
from sdflow.__main__ import main
from tests.weights.published import published, save


def test_files_are_converted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [
        save(published("flow_a3"), tmp_path / "prior-0010000"),
        save(published("flow_a5"), tmp_path / "another", is_zip=False),
    ]
    arguments = ["weights", "convert", *map(str, sources), "-o", str(tmp_path / "made" / "here")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.count("written") == 2 and "flow_a3.safetensors  SDFlow's released flow" in out
    made = [tmp_path / "made" / "here" / f"flow_{which}.safetensors" for which in ("a3", "a5")]
    assert sorted(made[0].parent.iterdir()) == made
    before = [path.stat().st_mtime_ns for path in made]
    assert main([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["files"]
    assert [row["is_new"] for row in rows] == [False, False]
    assert [path.stat().st_mtime_ns for path in made] == before
    with safe_open(made[0], "numpy") as stored:
        told = json.loads(stored.metadata()["sdflow"])
    assert told["source_sha256"] == hashlib.sha256(sources[0].read_bytes()).hexdigest()
    assert told["network"] == "flow_a3" and "none stated" in told["licence"]
    assert told["attributes"] == ["Eyeglasses", "Male", "Young"] and "2309.05314" in told["origin"]


def test_the_same_bytes_and_tensors_come_out(tmp_path: Path) -> None:
    source = save(published("flow_a5"), tmp_path / "prior")
    first, _ = checkpoints.convert(source, tmp_path / "one")
    second, _ = checkpoints.convert(source, tmp_path / "two")
    again, is_new = checkpoints.convert(first, tmp_path / "three")  # as well as the original
    assert first.read_bytes() == second.read_bytes() == again.read_bytes() and is_new
    assert checkpoints.convert(first, first.parent) == (first, False)
    original, read = checkpoints.read(source), checkpoints.read(first)
    assert (read.name, read.attributes) == (original.name, original.attributes)
    assert list(read.state) == list(original.state)
    assert all(torch.equal(value, original.state[key]) for key, value in read.state.items())
    assert all(value.dtype == original.state[key].dtype for key, value in read.state.items())


def test_the_mean_code_goes_along(tmp_path: Path) -> None:
    content = published("stylegan2")
    content["latent_avg"] = torch.arange(512.0)
    source = save(content, tmp_path / "stylegan2.pt")
    made, _ = checkpoints.convert(source, tmp_path)
    read = checkpoints.read(made)
    assert read.name == "stylegan2" and torch.equal(read.w_mean, torch.arange(512.0))
    assert "latent_avg" not in read.state


def test_another_file_replaces_the_converted_one(tmp_path: Path) -> None:
    content = published("flow_a3")
    made, _ = checkpoints.convert(save(content, tmp_path / "prior"), tmp_path)
    content["chain.0.bias"] = torch.full((512,), 7.0)
    assert checkpoints.convert(save(content, tmp_path / "prior"), tmp_path) == (made, True)
    assert checkpoints.read(made).state["chain.0.bias"][0] == 7
    made.write_bytes(made.read_bytes()[:-9])
    assert checkpoints.convert(tmp_path / "prior", tmp_path) == (made, True)
    assert checkpoints.read(made).state["chain.0.bias"][0] == 7


@pytest.mark.parametrize("problem", ["foreign", "cut", "missing", "folder"])
def test_what_cannot_be_converted_is_told(
    problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = save(published("flow_a3"), tmp_path / "good")
    bad, folder = tmp_path / "bad", tmp_path / "out"
    if problem == "foreign":
        save_file({"x": torch.ones(2)}, bad)
    elif problem == "cut":
        bad.write_bytes(good.read_bytes()[:5000])
    elif problem == "folder":
        bad = good
        folder.write_text("in the way")
    assert main(["weights", "convert", str(bad), "-o", str(folder)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and told.err.endswith(".\n")
    assert not list(tmp_path.glob("**/*.part"))


def test_a_full_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nearly_full(tensors: object, path: Path, told: object) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoints, "save_file", nearly_full)
    source = save(published("flow_a3"), tmp_path / "prior")
    assert main(["weights", "convert", str(source), "-o", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "cannot be written" in err and err.endswith(
        "Free some space, or name another folder.\n"
    )
    assert list((tmp_path / "out").iterdir()) == []
