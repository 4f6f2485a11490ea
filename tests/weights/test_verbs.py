"""The verbs below `python -m sdflow weights`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdflow import manifest, weights
from sdflow.__main__ import main
from tests.weights.house import CONTENT, House, put


def test_status(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    put(house.repository / "c.dat", CONTENT["c.dat"])
    assert main(["weights", "status", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["files"]
    assert {row["name"]: row["place"] for row in rows}["wheel"] == "not here"
    assert rows[0]["place"] == "repository"
    assert main(["weights", "status"]) == 0
    assert "not here" in capsys.readouterr().out


def test_fetch_and_verify(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    put(house.repository / "c.dat", CONTENT["c.dat"])
    assert main(["weights", "verify"]) == 2
    assert "wheel/a.bin is not on this machine" in capsys.readouterr().err
    assert main(["weights", "fetch", "--json"]) == 0
    fetched = json.loads(capsys.readouterr().out)["weights"]
    assert set(fetched) == {"own", "wheel", "sdist", "sister"}
    assert main(["weights", "verify"]) == 0
    (house.cache / "wheel" / "b.bin").write_bytes(b"short")
    capsys.readouterr()
    assert main(["weights", "verify"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "b.bin has 5 bytes instead of 2,000" in told
    assert told.endswith("Run `python -m sdflow weights fetch`.\n")
    assert main(["weights", "verify", "hub"]) == 2  # no user needs it: `fetch` wants its name
    assert capsys.readouterr().err.endswith("Run `python -m sdflow weights fetch hub`.\n")
    assert main(["weights", "fetch", "wheel"]) == 0
    assert main(["weights", "fetch", "nothing"]) == 2


def test_add_records_and_replaces(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    before = manifest.read_manifest()
    file = put(house.repository / "net.safetensors", b"one")
    arguments = ["weights", "add", "net", str(file)]
    assert main(arguments) == 2
    assert "State it with --licence" in capsys.readouterr().err
    assert main([*arguments, "--licence", "MIT"]) == 0
    file.write_bytes(b"other")
    assert main([*arguments, "--json"]) == 0
    entry = manifest.find_entry("net")
    assert entry.files[0].size == 5 and entry.licence == "MIT"
    assert weights.path("net") == file
    assert {name: old for name, old in manifest.read_manifest().items() if name != "net"} == before
    assert [path.name for path in house.repository.glob("*.part")] == []


@pytest.mark.parametrize("problem", ["name", "elsewhere", "missing", "empty", "large"])
def test_add_refuses(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str], problem: str
) -> None:
    file = house.repository / "net.bin"
    contents = {"empty": b"", "large": b"0" * 10_000_001}
    if problem == "elsewhere":
        file = tmp_path / "net.bin"
    if problem != "missing":
        put(file, contents.get(problem, b"x"))
    name = "No Name" if problem == "name" else "net"
    assert main(["weights", "add", name, str(file), "--licence", "MIT"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.endswith(".\n")
    assert "net" not in manifest.read_manifest()
