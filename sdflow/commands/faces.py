"""The verbs of faces: edit, random, invert, sweep. Networks are imported when one runs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdflow.attributes import ATTRIBUTES, shipped_attributes
from sdflow.commands import Report, Verb

if TYPE_CHECKING:
    from sdflow.faces import Face
    from sdflow.pipeline import Edited, Editor

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
FACE_FILES = (".safetensors",)


def edit_photo(
    photo: Path,
    strengths: Sequence[str] = (),
    output: Path = Path("edited.png"),
    face: int = 0,
    steps: int | None = None,
    size: int = 1024,
    face_file: Path | None = None,
) -> Report:
    """Edit one face of a photo, or of a face file, and save the picture.

    Args:
        photo: an image, or a face file.
        strengths: such as "smiling=0.8"; none gives the inversion.
        output: picture to write; its suffix names the format.
        face: which of the photo's faces, 0 the largest.
        steps: of refinement, None for the default.
        size: of the picture, 1024 or 512 pixels.
        face_file: where to save the opened face too.

    Raises:
        ValueError, OSError, WeightsError: see `Editor.open`, `Editor.edit` and `check_output`.
    """
    given = read_strengths(strengths)
    check_output(output, PICTURES)
    if face_file is not None:
        check_output(face_file, FACE_FILES)
    editor, load = _load(photo, given)
    opened = editor.open(photo, face, steps, on_step=_show_step)
    edited = editor.edit(opened, given, size)
    settings = _settings(photo, face, steps) | {"strengths": given}
    report = _report(settings, opened, load)
    report |= _save(edited, output, report)
    return report | _save_face(opened, face_file)


def random_face(
    seed: int | None = None,
    psi: float = 0.7,
    strengths: Sequence[str] = (),
    output: Path | None = None,
    size: int = 1024,
    face_file: Path | None = None,
) -> Report:
    """Generate a face, edit it if asked, and save the picture.

    Args:
        seed: same seed, same face; None draws one, which the report names.
        psi: 0 the mean face, 1 all the variety that the generator has.
        strengths: as for `edit_photo`.
        output: default random-SEED.png.
        size: of the picture, 1024 or 512 pixels.
        face_file: where to save the face too.

    Raises:
        ValueError, OSError, WeightsError: as for `edit_photo`.
    """
    given = read_strengths(strengths)
    check_output(output or Path("random.png"), PICTURES)
    if face_file is not None:
        check_output(face_file, FACE_FILES)
    editor, load = _load(None, given)
    face = editor.random(seed, psi)
    edited = editor.edit(face, given, size)
    settings = {"seed": face.seed, "psi": psi, "strengths": given}
    report = _report(settings, face, load)
    report |= _save(edited, output or Path(f"random-{face.seed}.png"), report)
    return report | _save_face(face, face_file)


def invert_photo(
    photo: Path,
    output: Path,
    face: int = 0,
    steps: int | None = None,
    preview: Path | None = None,
) -> Report:
    """Open one face of a photo and save it as a face file, for edits later.

    Args:
        photo: an image, or a face file.
        output: face file to write.
        face: which of the photo's faces, 0 the largest.
        steps: of refinement, None for the default.
        preview: picture of the inversion to write too.

    Raises:
        ValueError, OSError, WeightsError: as for `edit_photo`.
    """
    check_output(output, FACE_FILES)
    if preview is not None:
        check_output(preview, PICTURES)
    editor, load = _load(photo, {})
    opened = editor.open(photo, face, steps, on_step=_show_step)
    report = _report(_settings(photo, face, steps), opened, load)
    report |= {"before": editor.read(opened)}
    if preview is not None:
        saved = _save(editor.edit(opened, {}), preview, report)
        report |= {"preview": saved["output"], "preview_size": saved["output_size"]}
    saved = _save_face(opened, output)
    return report | {"output": saved["face_file"], "output_bytes": saved["face_file_bytes"]}


def sweep_photo(
    photo: Path,
    attributes: Sequence[str] = (),
    strengths: int = 5,
    output: Path = Path("sweep.png"),
    face: int = 0,
    refine: int | None = None,
) -> Report:
    """Save a contact sheet: a row an attribute, a column a strength from −1 to 1.

    Args:
        photo: an image, or a face file.
        attributes: rows of the sheet; none means all.
        strengths: number of columns, 2 to 21.
        output: picture to write.
        face: which of the photo's faces, 0 the largest.
        refine: steps of refinement, None for the default.

    Raises:
        ValueError, OSError, WeightsError: as for `edit_photo`.
    """
    if not 2 <= strengths <= 21:
        raise ValueError(f"Got {strengths} strengths. Give 2 to 21 with --steps.")
    asked = read_strengths([f"{name}=0" for name in attributes])  # checks the names
    check_output(output, PICTURES)
    editor, load = _load(photo, asked)
    from sdflow import images, media

    opened = editor.open(photo, face, refine, on_step=_show_step)
    start = time.perf_counter()
    names = tuple(asked) or editor.models.shipped
    values = [round(2 * i / (strengths - 1) - 1, 3) + 0.0 for i in range(strengths)]
    sheet = media.sweep_sheet(editor, opened, names, values)
    settings = _settings(photo, face, refine) | {"strengths": values}
    report = _report(settings, opened, load)
    report["seconds_per_step"]["sweep"] = time.perf_counter() - start
    report |= {"attributes": list(names), "before": editor.read(opened)}
    written = images.save(sheet, output)
    return report | {
        "output": str(output), "output_size": list(sheet.size), "output_bytes": written
    }  # fmt: skip


def read_strengths(texts: Sequence[str]) -> dict[str, float]:
    """Strengths as the command line gives them, such as ["smiling=0.8", "young=-0.4"].

    Raises:
        BadStrength: not of this form, given twice, or not a number from −1 to 1.
        UnknownAttribute: the models don't have it.
        WeightsError: the flow's file, which names them, is missing or damaged.
    """
    from sdflow.edit import BadStrength, parse_strengths

    if not texts:
        return {}
    names = tuple(row.name for row in shipped_attributes())
    strengths: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise BadStrength(f"Got the strength {text!r}. Write it as in -s smiling=0.8.")
        if name in strengths:
            raise BadStrength(f"The strength of {name} is given twice. Give it once.")
        try:
            number = float(value)
        except ValueError:
            number = value  # named in the error
        strengths |= parse_strengths({name: number}, names)
    return strengths


def check_output(path: Path, suffixes: Sequence[str]) -> None:
    """Tell before any work that a file could not be written.

    Raises:
        ValueError: unknown suffix, no such folder, no right to write there, or a folder itself.
    """
    if path.suffix.lower() not in suffixes:
        endings = ", ".join(suffixes)
        raise ValueError(f"Cannot write {str(path)!r}. End the name in one of: {endings}.")
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a folder. Name a file.")
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {str(path.parent)!r}. Make it, or name another.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"Writing {str(path)!r} is not allowed. Name another file.")


def _load(photo: Path | None, strengths: dict[str, float]) -> tuple[Editor, float]:
    """The editor and the seconds that loading took; what is wrong with the photo is told first."""
    from sdflow.edit import parse_strengths
    from sdflow.faces import is_face_file, load_face
    from sdflow.images import open_photo

    if photo is not None:
        load_face(photo) if is_face_file(photo) else open_photo(photo)
    start = time.perf_counter()
    from sdflow.pipeline import Editor

    editor = Editor()
    parse_strengths(strengths, editor.models.shipped)
    return editor, time.perf_counter() - start


def _settings(photo: Path, face: int, steps: int | None) -> Report:
    """The settings in force; a face file has neither faces to choose from nor steps to run."""
    from sdflow.faces import is_face_file
    from sdflow.invert import STEPS

    if is_face_file(photo):
        return {"photo": str(photo), "face": None, "steps": None}
    return {"photo": str(photo), "face": face, "steps": STEPS if steps is None else steps}


def _show_step(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\r" if done < total else "\n"
        print(f"refining: step {done} of {total}", end=end, file=sys.stderr, flush=True)


def _report(settings: Report, face: Face, load: float) -> Report:
    return {
        **settings,
        "faces_found": face.faces_found,
        "round_trip_error": face.round_trip_error,
        "seconds_per_step": {"load": load, **face.seconds_per_step},
    }


def _save(edited: Edited, output: Path, report: Report) -> Report:
    """Write the picture; adds the times of the edit to those of the report."""
    from sdflow import images

    start = time.perf_counter()
    written = images.save(edited.image, output)
    seconds = report["seconds_per_step"]
    for step, spent in {**edited.seconds_per_step, "save": time.perf_counter() - start}.items():
        seconds[step] = seconds.get(step, 0.0) + spent
    return {
        "before": edited.before,
        "after": edited.after,
        "output": str(output),
        "output_size": list(edited.image.size),
        "output_bytes": written,
    }


def _save_face(face: Face, path: Path | None) -> Report:
    from sdflow.faces import save_face

    if path is None:
        return {}
    return {"face_file": str(path), "face_file_bytes": save_face(face, path)}


# ---- options


def _photo_options(parser: argparse.ArgumentParser, refine: str = "--steps") -> None:
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="an image, or a face file")
    parser.add_argument(
        "--face", type=int, default=0, metavar="N", help="which face; default 0, the largest"
    )
    parser.add_argument(
        refine, type=int, metavar="N", help="steps of refinement; 0 is quick, more is more alike"
    )


def _picture_options(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "-s", "--strength", action="append", default=[], metavar="NAME=VALUE",
        help="such as smiling=0.8, -1 to 1; may be repeated; the verb attributes lists the names",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help=f".png, .jpg or .webp; default {default}"
    )
    parser.add_argument(
        "--size", type=int, choices=(512, 1024), default=1024, help="pixels; default 1024"
    )
    parser.add_argument(
        "--save-face", type=Path, metavar="FILE", help="also save the face as .safetensors"
    )


def _edit_options(parser: argparse.ArgumentParser) -> None:
    _photo_options(parser)
    _picture_options(parser, "edited.png")


def _random_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, metavar="N", help="same seed, same face")
    parser.add_argument(
        "--psi", type=float, default=0.7, metavar="P", help="variety, 0 to 1; default 0.7"
    )
    _picture_options(parser, "random-SEED.png")


def _invert_options(parser: argparse.ArgumentParser) -> None:
    _photo_options(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="such as face.safetensors"
    )
    parser.add_argument("--preview", type=Path, metavar="FILE", help="picture of the inversion")


def _sweep_options(parser: argparse.ArgumentParser) -> None:
    _photo_options(parser, refine="--refine")
    parser.add_argument(
        "-a", "--attributes", nargs="+", default=[], metavar="NAME",
        help="rows; default all that the verb attributes lists",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=int, default=5, metavar="N", help="strengths from -1 to 1; default 5"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("sweep.png"), metavar="FILE",
        help=".png, .jpg or .webp; default sweep.png",
    )  # fmt: skip


# ---- reports


def _show_faces(report: Report) -> str:
    """What was done with which settings, what came out, and how long it took."""
    hidden = ("before", "after", "seconds_per_step", "strengths")
    shown = {name: value for name, value in report.items() if name not in hidden}
    lines = [f"{name}: {value}" for name, value in shown.items() if value is not None]
    for name, before in report.get("before", {}).items():
        attribute, after = ATTRIBUTES[name], report.get("after", {}).get(name)
        asked = report["strengths"].get(name, 0.0) if after is not None else 0.0
        moved = f" → {after:.2f} (strength {asked:+.2f})" if asked else ""
        poles = f"{attribute.negative} – {attribute.positive}"
        lines.append(f"{name}: {before:.2f}{moved}  [{poles}]")
    spent = ", ".join(f"{step} {value:.2f}" for step, value in report["seconds_per_step"].items())
    return "\n".join([*lines, f"seconds: {spent}"])


def _edit(args: argparse.Namespace) -> Report:
    output = args.output or Path("edited.png")
    return edit_photo(
        args.photo, args.strength, output, args.face, args.steps, args.size, args.save_face
    )


def _random(args: argparse.Namespace) -> Report:
    return random_face(
        args.seed, args.psi, args.strength, args.output, args.size, args.save_face
    )


def _invert(args: argparse.Namespace) -> Report:
    return invert_photo(args.photo, args.output, args.face, args.steps, args.preview)


def _sweep(args: argparse.Namespace) -> Report:
    return sweep_photo(
        args.photo, args.attributes, args.steps, args.output, args.face, args.refine
    )


VERBS = (
    Verb("edit", "edit a face of a photo", _edit_options, _edit, _show_faces),
    Verb("random", "generate a face", _random_options, _random, _show_faces),
    Verb("invert", "save a face of a photo as a face file", _invert_options, _invert, _show_faces),
    Verb("sweep", "a contact sheet of attributes", _sweep_options, _sweep, _show_faces),
)
