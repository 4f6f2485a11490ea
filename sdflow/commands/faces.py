"""The verbs of one face: edit, random, invert. Networks are imported when one runs."""

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
    NOTHING_KEPT,
    PICTURES,
    Faces,
    Kept,
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
    save_kept,
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
    size: int | None = None,
    kept: Kept = NOTHING_KEPT,
    detail: bool | None = None,
    pasting: Pasting | None = None,
    mapping: str | None = None,
) -> Report:
    """Edit a face of a photo, face file or recipe, and save its picture or the whole photo.

    Args:
        photo: an image, a face file, or a recipe, whose strengths, size and detail hold where
            nothing else is said.
        strengths: such as "smiling=0.8"; none gives the inversion.
        output: picture to write; its suffix names the format. Default edited.png, or with
            `pasting` edited with the photo's own suffix.
        faces: which of the photo's faces, 0 the largest; several, or None for all, with `pasting`.
        likeness: work on it.
        size: of the face's picture, 1024 or 512 pixels; None is the recipe's, or 1024.
        kept: where to save the opened face and the recipe too.
        detail: carry the photo's detail over to the face's picture; None is as the recipe has it.
        pasting: put the faces back into the photo; None saves the face's picture.
        mapping: from strengths to semantics, see `Editor.edit`; None is the recipe's, or poles.

    Raises:
        ValueError, OSError, WeightsError: options that don't fit together; see `read_source`,
            `check_output`, `Editor.open`, `Editor.edit` and `Editor.paste`.
    """
    given = read_strengths(strengths, mapping or "poles")
    _check_edit(faces, size, kept, detail, pasting)
    if output is not None:
        check_output(output, PICTURES)
    kept.check()
    if pasting is not None and pasting.mask is not None:
        check_output(pasting.mask, MASKS)
    source = read_source(photo, pasting)
    check_likeness(source, faces, likeness)
    if detail and source.kept is not None and source.kept.crop is None:
        raise ValueError("A random face has no photo with detail. Leave --detail out.")
    if source.recipe is not None:
        if mapping not in (None, source.recipe.mapping):
            raise ValueError("The recipe's numbers have another mapping. Leave --mapping out.")
        mapping = source.recipe.mapping
        given = source.recipe.strengths | given
        if pasting is None:
            size = source.recipe.size if size is None else size
            detail = source.recipe.detail if detail is None else detail
    size, detail, mapping = size or 1024, bool(detail), mapping or "poles"
    if output is None:
        output = Path("edited").with_suffix(".png" if pasting is None else source.original.suffix)
        check_output(output, PICTURES)
    check_apart((output, pasting and pasting.mask, kept.face, kept.recipe), source.photo(pasting))
    editor, load = load_editor(given, mapping)
    opened = open_faces(editor, source, faces, likeness)
    edits = [editor.edit(each.face, given, size, detail, mapping=mapping) for each in opened]
    report = settings_report(source, faces, likeness)
    report |= {"strengths": given, "size": size, "detail": detail, "mapping": mapping}
    report |= opened_report(opened, load)
    add_edits(report, edits)
    if pasting is None:
        save_picture(edits[0].image, output, report, opened[0].face)
    else:
        start = time.perf_counter()
        pairs = [(each.face, edited) for each, edited in zip(opened, edits, strict=True)]
        pasted = editor.paste(source.original, *pairs, plain=pasting.plain)
        add_seconds(report["seconds_per_step"], {"paste": time.perf_counter() - start})
        save_pasted(pasted, source, output, pasting, report)
    return report | save_kept(editor, opened[0].face, report, kept)


def random_face(
    seed: int | None = None,
    psi: float = 0.7,
    strengths: Sequence[str] = (),
    output: Path | None = None,
    size: int = 1024,
    kept: Kept = NOTHING_KEPT,
) -> Report:
    """Generate a face, edit it if asked, and save the picture.

    Args:
        seed: same seed, same face; None draws one, which the report names.
        psi: 0 the mean face, 1 all the variety that the generator has.
        strengths: as for `edit_photo`.
        output: default random-SEED.png.
        size: of the picture, 1024 or 512 pixels.
        kept: where to save the face and the recipe too.

    Raises:
        ValueError, OSError, WeightsError: as for `edit_photo`.
    """
    given = read_strengths(strengths)
    check_output(output or Path("random.png"), PICTURES)
    kept.check()
    check_apart((output, kept.face, kept.recipe))
    editor, load = load_editor(given)
    face = editor.random(seed, psi)
    edited = editor.edit(face, given, size)
    report = {"seed": face.seed, "psi": psi, "strengths": given, "size": size, "detail": False}
    report |= opened_report([Opened(None, None, face)], load)
    add_edits(report, [edited])
    save_picture(edited.image, output or Path(f"random-{face.seed}.png"), report, face)
    return report | save_kept(editor, face, report, kept)


def invert_photo(
    photo: Path,
    output: Path,
    face: int = 0,
    likeness: Likeness = QUICK_LIKENESS,
    preview: Path | None = None,
) -> Report:
    """Open one face of a photo and save it as a face file, for edits later.

    Args:
        photo: an image, or a face file or recipe, whose likeness is worked on from where it
            stands.
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
        save_picture(inversion.image, preview, report, opened[0].face)
        report |= {"preview": report["output"], "preview_size": report["output_size"]}
    saved = save_face_file(opened[0].face, output)
    report |= {"output": saved["face_file"], "output_bytes": saved["face_file_bytes"]}
    return {name: value for name, value in report.items() if name not in ("after", "output_size")}


def _check_edit(
    faces: Faces, size: int | None, kept: Kept, detail: bool | None, pasting: Pasting | None
) -> None:
    """Tell what does not go together."""
    several = faces is None or len(faces) > 1
    if several and pasting is None:
        raise ValueError("Several faces need --paste. Add it, or choose one face with --face.")
    if several and (kept.face or kept.recipe):
        what = "face file" if kept.face else "recipe"
        raise ValueError(f"A {what} holds one face. Choose one with --face.")
    if pasting is not None and size == 512:
        raise ValueError("--paste draws the face at its size in the photo. Leave --size out.")
    if pasting is not None and detail:
        raise ValueError("--paste carries the photo's detail over. Leave --detail out.")


# ---- options


def _edit_options(parser: argparse.ArgumentParser) -> None:
    photo_options(parser, faces="with --paste also several: 0,2 or all")
    picture_options(parser, "edited.png, with --paste edited and the photo's own suffix")
    paste_options(parser)
    parser.add_argument(
        "--mapping", choices=("poles", "original"),
        help="original: -s NAME=SCALE as in the original code, from the released classifier's "
        "bit: -1 keeps it, 0 is its opposite, above 0 beyond; default: poles",
    )  # fmt: skip


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


def _edit(args: argparse.Namespace) -> Report:
    return edit_photo(
        args.photo, args.strength, args.output, args.face, Likeness(args.refine, args.tune),
        args.size, Kept(args.save_face, args.save_recipe), args.detail, read_pasting(args),
        args.mapping,
    )  # fmt: skip


def _random(args: argparse.Namespace) -> Report:
    kept = Kept(args.save_face, args.save_recipe)
    return random_face(args.seed, args.psi, args.strength, args.output, args.size or 1024, kept)


def _invert(args: argparse.Namespace) -> Report:
    likeness = Likeness(args.refine, args.tune)
    return invert_photo(args.photo, args.output, args.face, likeness, args.preview)


VERBS = (
    Verb(
        "edit",
        "edit a face of a photo",
        _edit_options,
        _edit,
        show_faces,
        (
            "edit photo.jpg -s smiling=0.8 -s young=-0.4         # the face: edited.png",
            "edit photo.jpg -s smiling=1 --paste                 # the whole photo: edited.jpg",
            "edit group.jpg --face 0,2 -s smiling=1 --paste -o both.png",
            "edit both.png --face 1 -s young=1 --paste -o all.png  # another edit on top",
            "edit photo.jpg --refine --tune -s yaw=0.5 --detail  # more alike, slower",
            "edit face.safetensors -s beard=1 --paste photo.jpg --mask mask.png",
            "edit photo.jpg -s smiling=1 --save-recipe recipe.json",
            "edit recipe.json -s young=0.5                       # the same smile, but younger",
        ),
    ),
    Verb(
        "random",
        "generate a face",
        _random_options,
        _random,
        show_faces,
        ("random", "random --seed 21 -s eyeglasses=1 -o face.png --save-recipe recipe.json"),
    ),
    Verb(
        "invert",
        "save a face of a photo as a face file",
        _invert_options,
        _invert,
        show_faces,
        (
            "invert photo.jpg -o face.safetensors --preview face.png",
            "invert face.safetensors --tune -o tuned.safetensors  # goes on from there",
        ),
    ),
)
