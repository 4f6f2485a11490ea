"""The command line: `python -m sdflow VERB`. Each verb is one row of VERBS at the end of the file.

A row names a function that declares the options, one that does the work and returns a report, and
one that writes the report for a person. `--json` prints the report itself, as one object. Errors
of known types are one line on stderr and exit status 2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdflow import __version__, weights
from sdflow.manifest import USES, Entry, WeightsError, add_repository_entry, read_manifest

Report = dict[str, Any]  # what --json prints


@dataclass(frozen=True)
class Verb:
    """One verb of the command line; a name of two words is a verb within a group."""

    name: str
    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Report]
    show: Callable[[Report], str]


def weights_status(training: bool = True) -> Report:
    """Which files of the weights this machine has, and where; nothing is opened or fetched."""
    rows = []
    for entry in _entries((), training):
        for file in entry.files:
            place, path = weights.find(entry, file) or ("not here", None)
            row = {"name": entry.name, "file": file.name, "size": file.size, "use": entry.use}
            row |= {"place": place, "path": path and str(path), "licence": entry.licence}
            rows.append(row)
    return {"cache": str(weights.cache_dir()), "files": rows}


def weights_fetch(names: Sequence[str] = (), training: bool = False) -> Report:
    """Make sure that this machine has the named weights, or all, whole and right.

    Raises:
        WeightsError: a file cannot be had.
    """
    paths = {
        entry.name: [str(weights.path(entry.name, file.name)) for file in entry.files]
        for entry in _entries(names, training)
    }
    return {"cache": str(weights.cache_dir()), "weights": paths}


def weights_verify(names: Sequence[str] = ()) -> Report:
    """Check size and sha256 of the named weights, or of all that users need and all that are here.

    Raises:
        WeightsError: a file is damaged, or missing although it was named or users need it.
    """
    right, wrong = [], []
    for entry in _entries(names, training=True):
        for file in entry.files:
            place, path = weights.find(entry, file) or (None, None)
            if path is None and (names or entry.use == "runtime"):
                wrong.append(f"{entry.name}/{file.name} is not on this machine.")
            elif path is not None:
                reason = weights.damage(path, file)
                right.append(str(path)) if reason is None else wrong.append(reason)
    if wrong:
        raise WeightsError(f"{' '.join(wrong)} Run `python -m sdflow weights fetch`.")
    return {"verified": right}


def weights_add(name: str, files: Sequence[Path], use: str, licence: str) -> Report:
    """Record trained files in the repository's weights/ with their sizes and hashes.

    Raises:
        ValueError, WeightsError: see `manifest.add_repository_entry`.
    """
    entry = add_repository_entry(name, files, use, licence)
    rows = [{"file": file.name, "size": file.size, "sha256": file.sha256} for file in entry.files]
    return {"name": entry.name, "use": entry.use, "licence": entry.licence, "files": rows}


def _entries(names: Sequence[str], training: bool) -> list[Entry]:
    entries = read_manifest()
    if unknown := [name for name in names if name not in entries]:
        raise WeightsError(
            f"There are no weights {unknown[0]!r}. Choose from: {', '.join(entries)}."
        )
    if names:
        return [entries[name] for name in names]
    return [entry for entry in entries.values() if training or entry.use == "runtime"]


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
        size = f"{row['size'] / 1e6:.1f}"
        rows.append((row["name"], row["file"], size, row["use"], row["place"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column == 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, f"cache: {report['cache']}"])


def _show_fetched(report: Report) -> str:
    lines = [path for paths in report["weights"].values() for path in paths]
    return "\n".join([*lines, f"{len(lines)} files are here and right."])


def _show_verified(report: Report) -> str:
    return f"{len(report['verified'])} files are whole and right."


def _show_added(report: Report) -> str:
    lines = [f"{file['file']}  {file['size']:,} bytes" for file in report["files"]]
    return "\n".join([*lines, f"Recorded as {report['name']} ({report['licence']})."])


def known_errors() -> tuple[type[Exception], ...]:
    """The errors that are a caller's or a machine's, told in one line; others are our faults."""
    return (WeightsError, ValueError)


VERBS = (
    Verb(
        "weights status",
        "which weights are on this machine, and where",
        _no_options,
        lambda args: weights_status(),
        _show_status,
    ),
    Verb(
        "weights fetch",
        "download what is missing",
        _fetch_options,
        lambda args: weights_fetch(args.names, args.training),
        _show_fetched,
    ),
    Verb(
        "weights verify",
        "check sizes and hashes",
        _verify_options,
        lambda args: weights_verify(args.names),
        _show_verified,
    ),
    Verb(
        "weights add",
        "record trained files in weights/manifest.json",
        _add_options,
        lambda args: weights_add(args.name, args.files, args.use, args.licence),
        _show_added,
    ),
)
GROUPS = {"weights": "the networks' weights on this machine"}


def make_parser(verbs: Sequence[Verb] = VERBS) -> argparse.ArgumentParser:
    """The parser of all verbs; parsed arguments carry their verb as `verb`."""
    parser = argparse.ArgumentParser(prog="python -m sdflow", description="Edit faces in photos.")
    parser.add_argument("--version", action="version", version=__version__)
    levels = {"": parser.add_subparsers(metavar="VERB", required=True)}
    for verb in verbs:
        group, _, name = verb.name.rpartition(" ")
        if group not in levels:
            grouped = levels[""].add_parser(
                group, help=GROUPS[group], description=f"{GROUPS[group].capitalize()}."
            )
            levels[group] = grouped.add_subparsers(metavar="VERB", required=True)
        own = levels[group].add_parser(
            name, help=verb.help, description=f"{verb.help[0].upper()}{verb.help[1:]}."
        )
        verb.options(own)
        own.add_argument("--json", action="store_true", help="print one JSON object")
        own.set_defaults(verb=verb)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0, 2 for a known error, 130 when interrupted."""
    args = make_parser().parse_args(arguments)
    try:
        report = args.verb.run(args)
    except known_errors() as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    print(json.dumps(report, ensure_ascii=False) if args.json else args.verb.show(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
