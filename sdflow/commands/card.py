"""The Space card: which files of the Hub a Space has before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sdflow.manifest import Entry, manifest_path, read_manifest

UNSTATED = "none"  # how the licence of files begins that nobody may show to everybody


def card_path() -> Path:
    """README.md, whose front matter the Hub reads."""
    return manifest_path().parent.parent / "README.md"


def models(entries: Iterable[Entry]) -> list[str]:
    """Public repositories of the Hub that weights come from."""
    return sorted({entry.source.repository for entry in _public(entries)})


def preloads(entries: Iterable[Entry]) -> list[str]:
    """Repository, files and commit of each public network that is pinned, as Spaces take them.

    A build has no token: files that their owner keeps private come when the Space starts.
    """
    return [
        f"{entry.source.repository} {','.join(file.member or file.name for file in entry.files)} "
        f"{entry.source.commit}"
        for entry in _public(entries)
        if entry.is_pinned
    ]


def record_preloads() -> bool:
    """Write both into the front matter; False where there is no card.

    Raises:
        OSError: it cannot be written.
    """
    from huggingface_hub import metadata_load, metadata_save

    path = card_path()
    if not path.exists():
        return False
    entries = list(read_manifest().values())
    matter = metadata_load(path) or {}
    for name, lines in (("models", models(entries)), ("preload_from_hub", preloads(entries))):
        matter.pop(name, None)
        if lines:
            matter[name] = lines
    metadata_save(path, matter)
    return True


def _public(entries: Iterable[Entry]) -> list[Entry]:
    """Of a private repository a Space's build would fail, whatever the licence is."""
    return [entry for entry in entries if entry.is_on_hub and not entry.source.private
            and not entry.licence.startswith(UNSTATED)]  # fmt: skip
