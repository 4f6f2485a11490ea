"""The verbs of the weights: what this machine has, fetching, checking, recording new files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from sdflow import weights
from sdflow.commands import Report, Verb
from sdflow.commands.publishing import show_pins, weights_pin
from sdflow.commands.reports import show_table
from sdflow.manifest import (
    USES,
    Entry,
    WeightsError,
    add_repository_entry,
    manifest_path,
    read_manifest,
)


def weights_status() -> Report:
    """Which files of the weights this machine has, and where; nothing is opened or fetched."""
    rows = []
    for entry in _entries((), USES):
        for file in entry.files:
            place, path = weights.find(entry, file) or ("not here", None)
            row = {"name": entry.name, "file": file.name, "size": file.size, "use": entry.use}
            row |= {"place": place, "path": path and str(path), "licence": entry.licence}
            row |= {"pinned": entry.is_pinned}
            rows.append(row)
    return {"cache": str(weights.cache_dir()), "files": rows}


def weights_fetch(names: Sequence[str] = (), training: bool = False) -> Report:
    """Make sure that this machine has the named weights, or all, whole and right.

    Files of the Hub that are not pinned are, in a list of weights that can be written.

    Raises:
        WeightsError: a file cannot be had.
    """
    entries = _entries(names, ("runtime", "training") if training else ("runtime",))
    unpinned = [entry.name for entry in entries if entry.is_on_hub and not entry.is_pinned]
    pinned = []
    if unpinned and os.access(manifest_path().parent, os.W_OK):
        pinned = weights_pin(unpinned)["files"]
    paths = {
        entry.name: [str(weights.path(entry.name, file.name)) for file in entry.files]
        for entry in entries
    }
    return {"cache": str(weights.cache_dir()), "weights": paths, "pinned": pinned}


def weights_verify(names: Sequence[str] = ()) -> Report:
    """Check size and sha256 of the named weights, or of all that users need and all that are here.

    Raises:
        WeightsError: a file is damaged, or missing although it was named or users need it.
    """
    right, wrong, unknown = [], [], []
    fetched: dict[str, str] = {}  # name → use of what is wrong
    for entry in _entries(names, USES):
        for file in entry.files:
            place, path = weights.find(entry, file) or (None, None)
            if path is None and (names or entry.use == "runtime"):
                wrong.append(f"{entry.name}/{file.name} is not on this machine.")
                fetched[entry.name] = entry.use
            elif path is not None and not file.sha256:
                unknown.append(f"{path} was not checked: {entry.name} is not pinned.")
            elif path is not None:
                reason = weights.damage(path, file)
                if reason is None:
                    right.append(str(path))
                else:
                    wrong.append(reason)
                    fetched[entry.name] = entry.use
    if wrong:  # without names `fetch` knows of what users need
        others = "" if {*fetched.values()} == {"runtime"} else f" {' '.join(fetched)}"
        raise WeightsError(f"{' '.join(wrong)} Run `python -m sdflow weights fetch{others}`.")
    return {"verified": right, "warnings": unknown}


def weights_add(name: str, files: Sequence[Path], use: str, licence: str) -> Report:
    """Record trained files in the repository's weights/ with their sizes and hashes.

    Raises:
        ValueError, WeightsError: see `manifest.add_repository_entry`.
    """
    entry = add_repository_entry(name, files, use, licence)
    rows = [{"file": file.name, "size": file.size, "sha256": file.sha256} for file in entry.files]
    return {"name": entry.name, "use": entry.use, "licence": entry.licence, "files": rows}


def _entries(names: Sequence[str], uses: Sequence[str]) -> list[Entry]:
    entries = read_manifest()
    if unknown := [name for name in names if name not in entries]:
        raise WeightsError(
            f"There are no weights {unknown[0]!r}. Choose from: {', '.join(entries)}."
        )
    if names:
        return [entries[name] for name in names]
    return [entry for entry in entries.values() if entry.use in uses]


def _no_options(parser: argparse.ArgumentParser) -> None:
    del parser


def _fetch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all that users need")
    parser.add_argument(
        "--training", action="store_true", help="also those of training and evaluation"
    )


def _verify_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all that are here")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="such as encoder; an entry of this name is replaced")
    parser.add_argument("files", nargs="+", type=Path, help="files below weights/, in order")
    parser.add_argument("--use", choices=USES, default="runtime", help="default: runtime")
    parser.add_argument("--licence", default="", help='such as "MIT"; default: as it was')


def _show_status(report: Report) -> str:
    rows = [("weights", "file", "MB", "use", "where")]
    for row in report["files"]:
        size = f"{row['size'] / 1e6:.1f}" if row["size"] else "?"
        place = row["place"] if row["pinned"] else f"{row['place']}, not pinned"
        rows.append((row["name"], row["file"], size, row["use"], place))
    return f"{show_table(rows, right=(2,))}\ncache: {report['cache']}"


def _show_fetched(report: Report) -> str:
    lines = [path for paths in report["weights"].values() for path in paths]
    return "\n".join(
        [*show_pins(report["pinned"]), *lines, f"{len(lines)} files are here and right."]
    )


def _show_verified(report: Report) -> str:
    return f"{len(report['verified'])} files are whole and right."


def _show_added(report: Report) -> str:
    lines = [f"{file['file']}  {file['size']:,} bytes" for file in report["files"]]
    return "\n".join([*lines, f"Recorded as {report['name']} ({report['licence']})."])


VERBS = (
    Verb(
        "weights status",
        "which weights are on this machine, and where",
        _no_options,
        lambda args: weights_status(),
        _show_status,
        ("weights status",),
    ),
    Verb(
        "weights fetch",
        "download what is missing",
        _fetch_options,
        lambda args: weights_fetch(args.names, args.training),
        _show_fetched,
        ("weights fetch", "weights fetch --training", "weights fetch encoder flow"),
    ),
    Verb(
        "weights verify",
        "check sizes and hashes",
        _verify_options,
        lambda args: weights_verify(args.names),
        _show_verified,
        ("weights verify", "weights verify encoder"),
    ),
    Verb(
        "weights add",
        "record trained files in weights/manifest.json",
        _add_options,
        lambda args: weights_add(args.name, args.files, args.use, args.licence),
        _show_added,
        ("weights add encoder weights/encoder.safetensors",),
    ),
)
