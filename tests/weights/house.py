"""A house for the tests of weights: repository, cache and archive shelf of its own."""

from __future__ import annotations

import ctypes
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

LIBC = ctypes.CDLL(None)
ROOT = Path(__file__).resolve().parent.parent.parent
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

    def run(self, code: str, bound: bool = False, **environment: str) -> subprocess.Popen[str]:
        """A Python process that uses this house; `bound` by file permissions even if root's."""
        start = "from sdflow import manifest, weights; manifest.REPOSITORY_WEIGHTS = "
        start += f"__import__('pathlib').Path({str(self.repository)!r})\n"
        return subprocess.Popen(
            [sys.executable, "-c", start + code],
            cwd=ROOT,
            env={**os.environ, **environment},
            preexec_fn=_give_up_rights if bound and os.geteuid() == 0 else None,
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


def _give_up_rights() -> None:
    """What this process starts next may not pass over the permissions of files."""
    drop_from_bounding_set, dac_override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE of Linux
    LIBC.prctl(drop_from_bounding_set, dac_override)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
