"""The verb that edits a folder: what is done stays done, and what fails is listed."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

from sdflow.commands import Report, Verb
from sdflow.commands.batch_work import (
    Job,
    Settings,
    digest,
    name_result,
    pair,
    prepare,
    save_sheets,
)
from sdflow.commands.ledger import Ledger, Row
from sdflow.commands.options import (
    FACE_FILES,
    PHOTOS,
    PICTURES,
    Likeness,
    detail_option,
    face_option,
    likeness_options,
    pasted_options,
    read_strengths,
    size_option,
    strength_option,
)
from sdflow.commands.progress import Bar, duration
from sdflow.commands.workers import Died, work_through
from sdflow.selection import shipped_attributes

LIST = "batch.csv"
MOST_WORKERS = 64
DIED = "Its process was ended, most likely for want of memory. Give fewer --workers."


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a batch, with a sentence on what is done."""


def edit_folder(folder: Path, output: Path, settings: Settings, workers: int = 1) -> Report:
    """Edit the faces of all photos in a folder, but for those that are done already.

    Done is what the list in `output` says was made from the same photo with the same settings and
    weights, and is still there. What failed is tried again.

    Args:
        folder: of photos and face files; those in folders below it are left alone.
        output: folder for the pictures, the list (batch.csv) and the contact sheets; made if it
            is not there.
        settings: of the edit.
        workers: processes.

    Returns:
        The report; `failures` are the photos that could not be edited.

    Raises:
        ValueError: options that don't fit together, no photos, or a folder with other files.
        OSError: a folder cannot be read or written.
        WeightsError: the weights cannot be had.
        Interrupted: Ctrl-C; what is done is in the list.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"Got {workers} workers. Give 1 to {MOST_WORKERS} with --workers.")
    settings.check()
    files = find_photos(folder)
    prepare_output(output, folder)
    ledger = Ledger(output / LIST, [row.name for row in shipped_attributes()])
    names = name_outputs(files)
    jobs = [Job(file, output, names[file.name]) for file in files]
    made_with = digest_settings(settings)
    start = time.perf_counter()
    listed = [job for job in jobs if job.file.name in ledger.rows]
    bar = Bar("checking", len(listed))
    kept = []
    for job in listed:
        if is_done(job, settings, ledger.rows[job.file.name], made_with):
            kept.append(job.file.name)
        bar.advance()
    ledger.keep(kept)  # before anything is written over
    new = [job for job in jobs if job.file.name not in kept]
    _work(new, settings, made_with, ledger, min(workers, max(len(new), 1)))
    rows = [row for file in sorted(ledger.rows) for row in ledger.rows[file]]
    failures = [{"photo": row["file"], "error": row["error"]} for row in rows if row["error"]]
    sheets = save_sheets(output, rows)
    return {
        "folder": str(folder), "output": str(output), "list": str(output / LIST),
        "sheets": [str(path) for path in sheets], "settings": asdict(settings),
        "photos": len(jobs), "edited_now": len(new) - len(failures), "done_before": len(kept),
        "faces": len(rows) - len(failures), "failures": failures,
        "doubtful": sum(bool(row["warnings"]) for row in rows), "workers": workers,
        "seconds": time.perf_counter() - start,
    }  # fmt: skip


def _work(
    jobs: Sequence[Job], settings: Settings, made_with: str, ledger: Ledger, workers: int
) -> None:
    """Edit photos and list each when it is done."""
    start = partial(prepare, settings, made_with, workers > 1)
    bar = Bar("batch", len(jobs))
    failed = 0
    try:
        with closing(work_through(jobs, start, workers)) as results:
            for job, rows in results if jobs else ():
                if isinstance(rows, Died):
                    rows = [{"file": job.file.name, "error": DIED}]
                ledger.put(job.file.name, rows)
                failed += bool(rows[0].get("error"))
                bar.advance(f"{failed} failed" if failed else "")
    except KeyboardInterrupt:
        raise Interrupted(
            f"Interrupted after {bar.done} of {len(jobs)} photos. The same command goes on."
        ) from None


# ---- what is to be done


def find_photos(folder: Path) -> list[Path]:
    """Photos and face files in a folder, by name; hidden files are none.

    Raises:
        ValueError: there are none, or no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {str(folder)!r}. Name one with photos.")
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (*PHOTOS, *FACE_FILES)
        and not path.name.startswith(".")
        and path.is_file()
    )
    if not files:
        raise ValueError(f"There are no photos in {str(folder)!r}. Name another folder.")
    return files


def prepare_output(output: Path, folder: Path) -> None:
    """Make the folder for results, or see that it holds those of a batch and nothing of value.

    Raises:
        ValueError: it is the photos' own, or has files but no list of a batch.
        OSError: it cannot be made or written.
    """
    if output.resolve() == folder.resolve():
        raise ValueError(f"{str(output)!r} is the folder of the photos. Name another with -o.")
    if output.exists() and not output.is_dir():
        raise ValueError(f"{str(output)!r} is a file. Name a folder with -o.")
    if output.is_dir() and not (output / LIST).exists() and any(output.iterdir()):
        raise ValueError(
            f"{str(output)!r} has files that no batch made. Name a new or empty folder with -o."
        )
    output.mkdir(parents=True, exist_ok=True)


def name_outputs(files: Sequence[Path]) -> dict[str, str]:
    """A photo's file name → its result's without suffix; no two are one, in any file system.

    None ends in _face and a number, which is how the faces of one photo are told apart.
    """
    common = Counter(file.stem.casefold() for file in files)
    names: dict[str, str] = {}
    taken: set[str] = set()
    for file in files:
        name = file.stem
        if common[name.casefold()] > 1:
            name += f"_{file.suffix[1:].lower()}"
        if re.search(r"_face\d+$", name, re.IGNORECASE):
            name += "_"
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        names[file.name] = name
    return names


def is_done(job: Job, settings: Settings, rows: Sequence[Row], made_with: str) -> bool:
    """Whether a photo's rows are of the same photo and settings, and the pictures there."""
    return (
        all(row["settings"] == made_with and not row["error"] for row in rows)
        and all(is_there(job, settings, row) for row in rows)
        and {row["photo"] for row in rows} == {digest(job.file.read_bytes())}
    )


def is_there(job: Job, settings: Settings, row: Row) -> bool:
    """Whether what a row speaks of is there, under the name that it has now."""
    names = {name_result(job, settings, number) for number in ("", row["face"])}
    output = job.folder / row["output"]
    return output.stem in names and output.is_file() and pair(job.folder, row).is_file()


def digest_settings(settings: Settings) -> str:
    """A digest of what decides on the pictures, besides the photos."""
    from sdflow.manifest import read_manifest

    hashes = [
        file.sha256
        for entry in read_manifest().values() if entry.use == "runtime"
        for file in entry.files
    ]  # fmt: skip
    return digest(json.dumps([asdict(settings), hashes]).encode())


# ---- options


def _batch_options(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s FOLDER -o FOLDER [options]"
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photos, and face files")
    strength_option(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER",
        help="for pictures, batch.csv and contact sheets; a new one, or that of a batch before",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=default_workers(), metavar="N",
        help="processes, each with one thread and some 1.5 GB; default %(default)s here",
    )  # fmt: skip
    face_option(parser, "also several: 0,2 or all")
    likeness_options(parser, stops=False)
    size_option(parser)
    detail_option(parser, "; --paste always does")
    parser.add_argument(
        "--suffix", default="", metavar="TEXT", help="goes behind the photo's name, as -smiling"
    )
    parser.add_argument(
        "--format", choices=[suffix[1:] for suffix in PICTURES if suffix != ".jpeg"],
        help="default png, with --paste that of the photo",
    )  # fmt: skip
    group = parser.add_argument_group("the whole photos")
    group.add_argument(
        "--paste", action="store_true",
        help="put the edited faces back into the photo, in its size, colours and format",
    )  # fmt: skip
    pasted_options(group)


def default_workers() -> int:
    """As many as there are cores, but no more than four."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, 4))


def _batch(args: argparse.Namespace) -> Report:
    likeness = Likeness(args.refine, args.tune)
    settings = Settings(
        strengths=read_strengths(args.strength), faces=args.face, steps=likeness.steps,
        tune=likeness.tune, size=args.size or 1024, detail=bool(args.detail), paste=args.paste,
        plain=args.plain, keep_metadata=args.keep_metadata, suffix=args.suffix,
        format=args.format,
    )  # fmt: skip
    return edit_folder(args.folder, args.output, settings, args.workers)


def _show(report: Report) -> str:
    done, faces = report["edited_now"] + report["done_before"], counted(report["faces"], "face")
    lines = [f"done: {done} of {counted(report['photos'], 'photo')}, {faces}: {report['output']}"]
    if report["done_before"]:
        lines.append(f"done before: {counted(report['done_before'], 'photo')}")
    if report["doubtful"]:
        lines.append(f"with warnings, see the list: {counted(report['doubtful'], 'face')}")
    lines += [f"list: {report['list']}", *(f"sheet: {path}" for path in report["sheets"])]
    return "\n".join([*lines, f"time: {duration(report['seconds'])}"])


def counted(number: int, what: str) -> str:
    """Such as 1 face, 2 faces."""
    return f"{number} {what}{'s' * (number != 1)}"


VERBS = (
    Verb(
        "batch",
        "edit all photos of a folder; goes on where it was stopped",
        _batch_options,
        _batch,
        _show,
        (
            "batch photos -s smiling=1 -o smiling                     # faces, list, sheet",
            "batch photos -s young=0.5 --paste --face all -o younger  # whole photos",
            "batch photos -s beard=1 --detail --format jpg --suffix _beard -o out --workers 2",
        ),
    ),
)
