"""The verbs of contact sheets: sweep (one face, many strengths), compare (many faces)."""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sdflow.commands import Report, Verb
from sdflow.commands.opening import (
    check_likeness,
    load_editor,
    open_faces,
    open_people,
    read_source,
    read_sources,
    renderer,
)
from sdflow.commands.options import (
    PICTURES,
    Faces,
    Likeness,
    check_apart,
    check_output,
    detail_option,
    photo_options,
    photos_options,
    read_strengths,
    strength_option,
)
from sdflow.commands.progress import Bar
from sdflow.commands.reports import (
    add_seconds,
    in_words,
    opened_report,
    person_report,
    save_picture,
    settings_report,
    show_faces,
    show_people,
    told_apart,
)

QUICK_LIKENESS = Likeness()
SHEET_SIZE = 512  # pixels of the pictures that are put on a sheet
COLUMNS = 21  # a sheet's at most
LONGEST_HEADING, LONGEST_LABEL = 28, 24  # characters over a picture, and beside a row
ENDS = (-1.0, 0.0, 1.0)


def sweep_photo(
    photo: Path,
    attributes: Sequence[str] = (),
    grid: Sequence[str] = (),
    strengths: int = 5,
    output: Path = Path("sweep.png"),
    face: int = 0,
    likeness: Likeness = QUICK_LIKENESS,
    detail: bool = False,
) -> Report:
    """Save a contact sheet of strengths from −1 to 1: attributes as rows, or one against another.

    Args:
        photo: an image, a face file or a recipe.
        attributes: rows of the sheet; none means all.
        grid: two attributes instead, the first across and the second down.
        strengths: number of columns, with `grid` of rows too; 2 to 21.
        output: picture to write.
        face: which of the photo's faces, 0 the largest.
        likeness: work on it.
        detail: carry the photo's detail over.

    Raises:
        ValueError, OSError, WeightsError: as for `faces.edit_photo`.
    """
    if not 2 <= strengths <= COLUMNS:
        raise ValueError(f"Got {strengths} strengths. Give 2 to {COLUMNS} with --steps.")
    if attributes and grid:
        raise ValueError("A grid has its two attributes. Leave -a or --grid out.")
    asked = read_strengths([f"{name}=0" for name in grid or attributes])  # checks the names
    check_output(output, PICTURES)
    source = read_source(photo)
    check_likeness(source, (face,), likeness)
    check_apart((output,), source.photo())
    editor, load = load_editor(asked)
    from sdflow import media

    (opened,) = open_faces(editor, source, (face,), likeness)
    report = settings_report(source, (face,), likeness) | opened_report([opened], load)
    start = time.perf_counter()
    names = tuple(asked) or editor.models.shipped
    values = [round(2 * i / (strengths - 1) - 1, 3) + 0.0 for i in range(strengths)]
    rows = len(values) if grid else len(names)
    unmoved = 0 if grid else 1 - rows * values.count(0)  # drawn once for all rows
    bar = Bar("sweep", rows * len(values) + unmoved)
    render = bar.counting(renderer(editor, opened.face, SHEET_SIZE, detail, report))
    picture = opened.face.picture
    if grid:
        sheet = media.grid_sheet(render, *names, values, picture)
    else:
        sheet = media.sweep_sheet(render, names, values, picture, opened.face.semantics)
    add_seconds(report["seconds_per_step"], {"sweep": time.perf_counter() - start})
    report |= {"strengths": values, "attributes": list(names), "grid": bool(grid)}
    report |= {"detail": detail, "before": editor.read(opened.face)}
    save_picture(sheet, output, report, opened.face)
    return report


def compare_photos(
    photos: Sequence[Path],
    strengths: Sequence[str] = (),
    edits: Sequence[str] = (),
    output: Path = Path("compare.png"),
    faces: Faces = (0,),
    likeness: Likeness = QUICK_LIKENESS,
    detail: bool = False,
) -> Report:
    """Save a contact sheet: a row a person, a column an edit; of one person every attribute.

    Args:
        photos: images, face files or recipes.
        strengths: of one edit, such as "smiling=0.8".
        edits: further edits, such as "young=1,smiling=-0.5"; without any edit, and of one face
            only, the rows are all attributes and the columns their ends.
        output: picture to write.
        faces: which of the faces of each photo.
        likeness: work on it.
        detail: carry the photos' detail over.

    Returns:
        The report; `failures` are the photos that could not be used.

    Raises:
        ValueError, OSError, WeightsError: as for `faces.edit_photo`; nothing could be used.
    """
    given = [read_strengths(strengths)] if strengths else []
    given += [read_strengths([text]) for text in edits]
    if len(given) > COLUMNS:
        raise ValueError(f"Got {len(given)} edits. Give at most {COLUMNS}.")
    if not given and (len(photos) > 1 or faces is None or len(faces) > 1):
        raise ValueError("Say what to compare several people under, as in -s smiling=1.")
    check_output(output, PICTURES)
    for path in photos:
        check_apart((output,), path)
    sources, failures = read_sources(photos)
    editor, load = load_editor({name: 0.0 for edit in given for name in edit})
    from sdflow import media

    people, unopened = open_people(editor, sources, faces, likeness)
    start = time.perf_counter()
    everyone = [each.face for each in people]
    report: Report = {"warnings": told_apart(people)}
    renders = [renderer(editor, face, SHEET_SIZE, detail, report) for face in everyone]
    names = editor.models.shipped
    if given:
        bar = Bar("compare", len(people) * (len(given) + 1))
        rows = [
            (label(each.name), each.face.picture, bar.counting(render))
            for each, render in zip(people, renders, strict=True)
        ]
        sheet = media.compare_sheet(rows, [(heading(edit), edit) for edit in given])
    else:
        bar = Bar("compare", 2 * len(names) + 1)
        (face,), (render,) = everyone, renders
        sheet = media.sweep_sheet(bar.counting(render), names, ENDS, face.picture, face.semantics)
    spent = {"load": load, "compare": time.perf_counter() - start}
    report |= {"people": [person_report(each) for each in people], "edits": given}
    report |= {"attributes": [] if given else list(names), "detail": detail}
    report |= {"failures": failures + unopened, "seconds_per_step": spent}
    save_picture(sheet, output, report, *everyone)
    return report


def heading(edit: Mapping[str, float]) -> str:
    """An edit in the words that fit over a picture."""
    text = in_words(edit)
    return text if len(text) <= LONGEST_HEADING else f"{text[: LONGEST_HEADING - 3]}..."


def label(name: str) -> str:
    """A file's name beside its row: lines that are not too long, of what can be drawn."""
    name = name.encode("utf-8", "replace").decode()
    return "\n".join(textwrap.wrap(name, LONGEST_LABEL)[:3])


# ---- options


def _sweep_options(parser: argparse.ArgumentParser) -> None:
    photo_options(parser)
    parser.add_argument(
        "-a", "--attributes", nargs="+", default=[], metavar="NAME",
        help="rows; default all that the verb attributes lists",
    )  # fmt: skip
    parser.add_argument(
        "--grid", nargs=2, default=[], metavar=("ACROSS", "DOWN"),
        help="two attributes against each other instead",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=int, default=5, metavar="N", help="strengths from -1 to 1; default 5"
    )
    detail_option(parser)
    sheet_option(parser, "sweep.png")


def _compare_options(parser: argparse.ArgumentParser) -> None:
    photos_options(parser)
    strength_option(parser)
    parser.add_argument(
        "--to", action="append", default=[], metavar="EDIT", dest="edits",
        help="another edit, a column of its own, such as young=1,smiling=-0.5; may be repeated",
    )  # fmt: skip
    detail_option(parser)
    sheet_option(parser, "compare.png")


def sheet_option(parser: argparse.ArgumentParser, default: str) -> None:
    """Where a sheet goes."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(default), metavar="FILE",
        help=f".png, .jpg or .webp; default {default}",
    )  # fmt: skip


def _sweep(args: argparse.Namespace) -> Report:
    likeness = Likeness(args.refine, args.tune)
    return sweep_photo(
        args.photo, args.attributes, args.grid, args.steps, args.output, args.face, likeness,
        bool(args.detail),
    )  # fmt: skip


def _compare(args: argparse.Namespace) -> Report:
    likeness = Likeness(args.refine, args.tune)
    return compare_photos(
        args.photos, args.strength, args.edits, args.output, args.face, likeness,
        bool(args.detail),
    )  # fmt: skip


def _show_compared(report: Report) -> str:
    columns = "edits" if report["edits"] else "attributes"
    lines = [f"{name}: {in_words(report[name])}" for name in (columns, "output")]
    return "\n".join([*show_people(report["people"]), *lines])


VERBS = (
    Verb(
        "sweep",
        "a contact sheet of attributes and strengths",
        _sweep_options,
        _sweep,
        show_faces,
        (
            "sweep photo.jpg -a young smiling --steps 7 -o sheet.png",
            "sweep photo.jpg --grid smiling young               # one against the other",
        ),
    ),
    Verb(
        "compare",
        "a contact sheet of people and edits",
        _compare_options,
        _compare,
        _show_compared,
        (
            "compare anna.jpg ben.jpg -s smiling=1             # several people, one edit",
            "compare *.jpg --to young=1 --to beard=1,yaw=0.5   # several edits, a column each",
            "compare group.jpg --face all -s hat=1",
            "compare anna.jpg                                  # one person, every attribute",
        ),
    ),
)
