"""The verbs of faces: edit, random, invert, sweep. Networks are imported when one runs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from sdflow.commands import Report, Verb
from sdflow.commands.opening import (
    Opened,
    check_likeness,
    load_editor,
    open_faces,
    read_source,
)
from sdflow.commands.options import (
    FACE_FILES,
    MASKS,
    PICTURES,
    Faces,
    Likeness,
    Pasting,
    check_apart,
    check_output,
    paste_options,
    photo_options,
    picture_options,
    read_pasting,
    read_strengths,
)
from sdflow.commands.reports import (
    add_edits,
    add_seconds,
    opened_report,
    save_face_file,
    save_pasted,
    save_picture,
    settings_report,
    show_faces,
)

QUICK_LIKENESS = Likeness()


def edit_photo(
    photo: Path,
    strengths: Sequence[str] = (),
    output: Path | None = None,
    faces: Faces = (0,),
    likeness: Likeness = QUICK_LIKENESS,
    size: int = 1024,
    face_file: Path | None = None,
    detail: bool = False,
    pasting: Pasting | None = None,
) -> Report:
    """Edit a face of a photo, or of a face file, and save its picture or the whole photo.

    Args:
        photo: an image, or a face file.
        strengths: such as "smiling=0.8"; none gives the inversion.
        output: picture to write; its suffix names the format. Default edited.png, or with
            `pasting` edited with the photo's own suffix.
        faces: which of the photo's faces, 0 the largest; several, or None for all, with `pasting`.
        likeness: work on it.
        size: of the face's picture, 1024 or 512 pixels.
        face_file: where to save the opened face too.
        detail: carry the photo's detail over to the face's picture.
        pasting: put the faces back into the photo; None saves the face's picture.

    Raises:
        ValueError, OSError, WeightsError: options that don't fit together; see `read_source`,
            `check_output`, `Editor.open`, `Editor.edit` and `Editor.paste`.
    """
    given = read_strengths(strengths)
    _check_edit(faces, size, face_file, detail, pasting)
    if output is not None:
        check_output(output, PICTURES)
    if face_file is not None:
        check_output(face_file, FACE_FILES)
    if pasting is not None and pasting.mask is not None:
        check_output(pasting.mask, MASKS)
    source = read_source(photo, pasting)
    check_likeness(source, faces, likeness)
    if detail and source.kept is not None and source.kept.crop is None:
        raise ValueError("A random face has no photo with detail. Leave --detail out.")
    if output is None:
        output = Path("edited").with_suffix(".png" if pasting is None else source.original.suffix)
        check_output(output, PICTURES)
    check_apart((output, pasting and pasting.mask, face_file), source.photo(pasting))
    editor, load = load_editor(given)
    opened = open_faces(editor, source, faces, likeness)
    edits = [editor.edit(each.face, given, size, detail) for each in opened]
    report = settings_report(source, faces, likeness) | {"strengths": given, "detail": detail}
    report |= opened_report(opened, load)
    add_edits(report, edits)
    if pasting is None:
        save_picture(edits[0], output, report)
    else:
        start = time.perf_counter()
        pairs = [(each.face, edited) for each, edited in zip(opened, edits, strict=True)]
        pasted = editor.paste(source.original, *pairs, plain=pasting.plain)
        add_seconds(report["seconds_per_step"], {"paste": time.perf_counter() - start})
        save_pasted(pasted, source, output, pasting, report)
    return report | save_face_file(opened[0].face, face_file)


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
    editor, load = load_editor(given)
    face = editor.random(seed, psi)
    edited = editor.edit(face, given, size)
    report = {"seed": face.seed, "psi": psi, "strengths": given}
    report |= opened_report([Opened(None, face)], load)
    add_edits(report, [edited])
    save_picture(edited, output or Path(f"random-{face.seed}.png"), report)
    return report | save_face_file(face, face_file)


def invert_photo(
    photo: Path,
    output: Path,
    face: int = 0,
    likeness: Likeness = QUICK_LIKENESS,
    preview: Path | None = None,
) -> Report:
    """Open one face of a photo and save it as a face file, for edits later.

    Args:
        photo: an image, or a face file, whose likeness is worked on from where it stands.
        output: face file to write.
        face: which of the photo's faces, 0 the largest.
        likeness: work on it.
        preview: picture of the inversion to write too.

    Raises:
        ValueError, OSError, WeightsError: as for `edit_photo`.
    """
    check_output(output, FACE_FILES)
    if preview is not None:
        check_output(preview, PICTURES)
    source = read_source(photo)
    check_likeness(source, (face,), likeness)
    check_apart((output, preview), source.photo())
    editor, load = load_editor({})
    opened = open_faces(editor, source, (face,), likeness)
    report = settings_report(source, (face,), likeness) | opened_report(opened, load)
    if preview is None:
        report |= {"before": editor.read(opened[0].face)}
    else:
        inversion = editor.edit(opened[0].face, {})
        add_edits(report, [inversion])
        save_picture(inversion, preview, report)
        report |= {"preview": report["output"], "preview_size": report["output_size"]}
    saved = save_face_file(opened[0].face, output)
    report |= {"output": saved["face_file"], "output_bytes": saved["face_file_bytes"]}
    return {name: value for name, value in report.items() if name not in ("after", "output_size")}


def sweep_photo(
    photo: Path,
    attributes: Sequence[str] = (),
    strengths: int = 5,
    output: Path = Path("sweep.png"),
    face: int = 0,
    likeness: Likeness = QUICK_LIKENESS,
) -> Report:
    """Save a contact sheet: a row an attribute, a column a strength from −1 to 1.

    Args:
        photo: an image, or a face file.
        attributes: rows of the sheet; none means all.
        strengths: number of columns, 2 to 21.
        output: picture to write.
        face: which of the photo's faces, 0 the largest.
        likeness: work on it.

    Raises:
        ValueError, OSError, WeightsError: as for `edit_photo`.
    """
    if not 2 <= strengths <= 21:
        raise ValueError(f"Got {strengths} strengths. Give 2 to 21 with --steps.")
    asked = read_strengths([f"{name}=0" for name in attributes])  # checks the names
    check_output(output, PICTURES)
    source = read_source(photo)
    check_likeness(source, (face,), likeness)
    check_apart((output,), source.photo())
    editor, load = load_editor(asked)
    from sdflow import images, media

    opened = open_faces(editor, source, (face,), likeness)
    report = settings_report(source, (face,), likeness) | opened_report(opened, load)
    start = time.perf_counter()
    names = tuple(asked) or editor.models.shipped
    values = [round(2 * i / (strengths - 1) - 1, 3) + 0.0 for i in range(strengths)]
    sheet = media.sweep_sheet(editor, opened[0].face, names, values)
    add_seconds(report["seconds_per_step"], {"sweep": time.perf_counter() - start})
    report |= {"strengths": values, "attributes": list(names)}
    report |= {"before": editor.read(opened[0].face)}
    written = images.save(sheet, output)
    return report | {
        "output": str(output), "output_size": list(sheet.size), "output_bytes": written
    }  # fmt: skip


def _check_edit(
    faces: Faces, size: int, face_file: Path | None, detail: bool, pasting: Pasting | None
) -> None:
    """Tell what does not go together."""
    several = faces is None or len(faces) > 1
    if several and pasting is None:
        raise ValueError("Several faces need --paste. Add it, or choose one face with --face.")
    if several and face_file is not None:
        raise ValueError("A face file holds one face. Choose one with --face.")
    if pasting is not None and size != 1024:
        raise ValueError("--paste draws the face at its size in the photo. Leave --size out.")
    if pasting is not None and detail:
        raise ValueError("--paste carries the photo's detail over. Leave --detail out.")


# ---- options


def _edit_options(parser: argparse.ArgumentParser) -> None:
    photo_options(parser, several=True)
    picture_options(parser, "edited.png, with --paste edited and the photo's own suffix")
    paste_options(parser)


def _random_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, metavar="N", help="same seed, same face")
    parser.add_argument(
        "--psi", type=float, default=0.7, metavar="P", help="variety, 0 to 1; default 0.7"
    )
    picture_options(parser, "random-SEED.png")


def _invert_options(parser: argparse.ArgumentParser) -> None:
    photo_options(parser)
    parser.usage = "%(prog)s PHOTO -o FILE [options]"
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="such as face.safetensors"
    )
    parser.add_argument("--preview", type=Path, metavar="FILE", help="picture of the inversion")


def _sweep_options(parser: argparse.ArgumentParser) -> None:
    photo_options(parser)
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


def _edit(args: argparse.Namespace) -> Report:
    return edit_photo(
        args.photo, args.strength, args.output, args.face, Likeness(args.refine, args.tune),
        args.size, args.save_face, args.detail, read_pasting(args),
    )  # fmt: skip


def _random(args: argparse.Namespace) -> Report:
    return random_face(
        args.seed, args.psi, args.strength, args.output, args.size, args.save_face
    )


def _invert(args: argparse.Namespace) -> Report:
    likeness = Likeness(args.refine, args.tune)
    return invert_photo(args.photo, args.output, args.face, likeness, args.preview)


def _sweep(args: argparse.Namespace) -> Report:
    likeness = Likeness(args.refine, args.tune)
    return sweep_photo(
        args.photo, args.attributes, args.steps, args.output, args.face, likeness
    )


VERBS = (
    Verb(
        "edit",
        "edit a face of a photo",
        _edit_options,
        _edit,
        show_faces,
        (
            "edit photo.jpg -s smiling=0.8 -s young=-0.4        the face, edited.png",
            "edit photo.jpg -s smiling=1 --paste                the whole photo, edited.jpg",
            "edit group.jpg --face 0,2 -s smiling=1 --paste -o both.png",
            "edit both.png --face 1 -s young=1 --paste -o all.png     another edit on top",
            "edit photo.jpg --refine --tune -s yaw=0.5 --detail       more alike, slower",
            "edit face.safetensors -s beard=1 --paste photo.jpg --mask mask.png",
        ),
    ),
    Verb(
        "random",
        "generate a face",
        _random_options,
        _random,
        show_faces,
        ("random --seed 21 -s eyeglasses=1 -o face.png",),
    ),
    Verb(
        "invert",
        "save a face of a photo as a face file",
        _invert_options,
        _invert,
        show_faces,
        (
            "invert photo.jpg -o face.safetensors --preview face.png",
            "invert face.safetensors --tune -o tuned.safetensors     goes on from there",
        ),
    ),
    Verb(
        "sweep",
        "a contact sheet of attributes",
        _sweep_options,
        _sweep,
        show_faces,
        ("sweep photo.jpg -a young smiling --steps 7 -o sheet.png",),
    ),
)
