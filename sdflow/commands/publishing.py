"""The verbs for weights that others published: converting, uploading, pinning them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdflow import hub, weights
from sdflow.commands import Report, Verb
from sdflow.commands.card import UNSTATED, record_preloads
from sdflow.manifest import (
    Entry,
    WeightFile,
    WeightsError,
    as_json,
    find_entry,
    hash_file,
    manifest_path,
    read_manifest,
    record_entries,
)

USE = "full-size"
CARD = """\
---
license: other
license_name: see-table
tags:
  - stylegan2
  - face-editing
---

# Weights for SDFlow

Networks that others trained and published, converted to safetensors with nothing else changed, for
the full-size models of SDFlow (a re-implementation of "Semantic Latent Decomposition with
Normalizing Flows for Face Editing", arXiv 2309.05314). For research and other non-commercial use
only, and under what the authors of each file say:

| file | what | from | licence | sha256 of the published file |
|---|---|---|---|---|
{rows}
"""


def weights_convert(files: Sequence[Path], folder: Path) -> Report:
    """Write published checkpoints as safetensors, each under the name of its network.

    Raises:
        WeightsError, OSError: see `checkpoints.convert`; files before it are converted.
    """
    from sdflow import checkpoints

    rows = []
    for file in files:
        written, is_new = checkpoints.convert(file, folder)
        told = weights.describe(written) or {}
        rows.append({"source": str(file), "file": str(written), "is_new": is_new, **told})
    return {"folder": str(folder), "files": rows}


def weights_publish(folder: Path, repository: str, public: bool = False) -> Report:
    """Upload all converted files of a folder with a model card, and record them in the manifest.

    Args:
        folder: what `weights_convert` wrote.
        repository: "owner/name" on the Hub; made if needed, private unless `public`.
        public: everybody may see it; a private one that is there already stays private.

    Raises:
        ValueError: that is no name of a repository.
        WeightsError: no converted files there, or the Hub does not take them.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"{repository!r} names no Hub repository. Write it as OWNER/NAME.")
    told = _converted(folder)
    local = {f"{name}.safetensors": folder / f"{name}.safetensors" for name in told}
    card = _card(told).encode()
    source = hub.upload(repository, {**local, "README.md": card}, private=not public)
    entries = []
    for name, about in told.items():
        path = local[f"{name}.safetensors"]
        file = WeightFile(path.name, path.stat().st_size, hash_file(path))
        if hub.look_up(repository, file, source.commit) != (source.commit, file):
            raise WeightsError(f"{repository} holds another {file.name} than {path}. Try again.")
        entries.append(Entry(name, USE, about["licence"], source, (file,)))
    report = {"repository": repository, "commit": source.commit, "public": not source.private}
    report |= {"warnings": [], "entries": [as_json(entry) for entry in entries]}
    unstated = [name for name in told if told[name]["licence"].startswith(UNSTATED)]
    if unstated and not source.private:
        report["warnings"].append(
            f"Everybody can now see {', '.join(unstated)}, whose authors state no licence. "
            "Ask them, or make the repository private."
        )
    if public and source.private:
        report["warnings"].append(
            f"{repository} was private and still is. To show it to everybody, change that in its "
            "settings on the Hub and publish again."
        )
    try:
        record_entries(entries)
        record_preloads()
    except OSError as error:
        report["warnings"].append(
            f"{manifest_path()} cannot be written ({error.strerror}). Copy the entries that "
            "`--json` prints into it."
        )
    return report


def weights_pin(names: Sequence[str] = ()) -> Report:
    """Record commit, size and sha256 of files as the Hub has them now, here and in the Space card.

    Args:
        names: entries of the manifest, also pinned ones; default all that are on the Hub and are
            not pinned.

    Raises:
        WeightsError: no such entries, or the Hub does not show them; nothing is recorded then.
    """
    left = [entry for entry in read_manifest().values() if not entry.is_pinned]
    chosen = (
        [find_entry(name) for name in names]
        if names
        else [entry for entry in left if entry.is_on_hub]
    )
    pinned = [hub.pin(entry) for entry in chosen]
    rows = [
        {"name": new.name, "repository": new.source.repository, "file": file.name}
        | {"commit": new.source.commit, "size": file.size, "sha256": file.sha256}
        | {"was": {"commit": old.source.commit, "size": was.size, "sha256": was.sha256}}
        for old, new in zip(chosen, pinned, strict=True)
        for was, file in zip(old.files, new.files, strict=True)
    ]
    if pinned:
        record_entries(pinned)
        record_preloads()
    unpublished = [entry.name for entry in left if not entry.is_on_hub]
    return {"manifest": str(manifest_path()), "files": rows, "unpublished": unpublished}


def _converted(folder: Path) -> dict[str, dict[str, Any]]:
    """Name → what was written beside the tensors, for all safetensors files of a folder."""
    if not folder.is_dir():
        raise WeightsError(f"There is no folder {folder}. Name that of `weights convert -o`.")
    found = {path: weights.describe(path) for path in sorted(folder.glob("*.safetensors"))}
    if not found:
        raise WeightsError(
            f"{folder} holds no converted files. Write them with `python -m sdflow weights "
            "convert FILE... -o FOLDER`."
        )
    for path, told in found.items():
        if told is None or told["network"] != path.stem:
            raise WeightsError(
                f"{path} was not written by `weights convert`, or renamed. Move it elsewhere."
            )
    return {path.stem: told for path, told in found.items()}


def _card(told: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, about in told.items():
        what = about["what"]
        if about["attributes"]:
            what += f"; c is {', '.join(about['attributes'])}"
        cells = (f"`{name}.safetensors`", what, about["origin"], about["licence"])
        rows.append(f"| {' | '.join((*cells, about['source_sha256']))} |")
    return CARD.format(rows="\n".join(rows))


def _convert_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="as it was published")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="where to")


def _publish_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="that of weights convert")
    parser.add_argument(
        "--repo", required=True, metavar="OWNER/NAME", help="on the Hub; made if needed"
    )
    parser.add_argument(
        "--public", action="store_true", help="everybody may see it; default: private"
    )


def _pin_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="also pinned ones; default: all that are not"
    )


def _show_converted(report: Report) -> str:
    return "\n".join(
        f"{row['file']}  {row['what']} ({'written' if row['is_new'] else 'was there'})"
        for row in report["files"]
    )


def _show_published(report: Report) -> str:
    lines = [
        f"{entry['name']}  {file['size']:,} bytes  sha256 {file['sha256']}"
        for entry in report["entries"]
        for file in entry["files"]
    ]
    who = "everybody sees" if report["public"] else "private"
    lines.append(f"{report['repository']} ({who}) at commit {report['commit']}")
    return "\n".join(lines)


def show_pins(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What `weights_pin` has changed, for a person."""
    lines = []
    for row in rows:
        lines.append(f"{row['name']}: {row['file']} of {row['repository']}")
        for what in ("commit", "size", "sha256"):
            old = row["was"][what] or "not recorded"
            is_same = row["was"][what] == row[what]
            lines.append(f"  {what}: {f'still {old}' if is_same else f'{old} → {row[what]}'}")
    return lines


def _show_pinned(report: Report) -> str:
    lines = show_pins(report["files"]) or ["All that is on the Hub is pinned."]
    if report["unpublished"]:
        lines.append(
            f"Not on the Hub: {', '.join(report['unpublished'])}. `weights publish` pins them."
        )
    return "\n".join(lines)


VERBS = (
    Verb(
        "weights convert",
        "write published checkpoints as safetensors",
        _convert_options,
        lambda args: weights_convert(args.files, args.out),
        _show_converted,
        ("weights convert prior-0010000 labeldist-0010000 -o released",),
    ),
    Verb(
        "weights publish",
        "upload converted checkpoints to a Hub repository, private by default",
        _publish_options,
        lambda args: weights_publish(args.folder, args.repo, args.public),
        _show_published,
        ("weights publish released --repo OWNER/NAME",),
    ),
    Verb(
        "weights pin",
        "record commit, size and sha256 of the files on the Hub",
        _pin_options,
        lambda args: weights_pin(args.names),
        _show_pinned,
        ("weights pin", "weights pin stylegan2 e4e"),
    ),
)
