"""Reports of the verbs of faces: what was done with which settings, what came out, and how long.

One face's values stand in the report itself, those of several in its list `faces`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdflow.attributes import ATTRIBUTES
from sdflow.commands import Report
from sdflow.commands.options import Faces, Kept, Likeness, Pasting

if TYPE_CHECKING:
    from PIL import Image

    from sdflow.commands.opening import Opened, Source
    from sdflow.faces import Face
    from sdflow.paste import Pasted
    from sdflow.pipeline import Edited, Editor

# What a person is told in other words, or elsewhere.
UNTOLD = ("before", "after", "seconds_per_step", "strengths", "mapping", "faces", "warnings")
WHITE = "JPEG holds no transparency, so those parts became white: name a .png or .webp to keep it."


def settings_report(source: Source, faces: Faces, likeness: Likeness) -> Report:
    """The settings in force; a face file has no faces to choose from."""
    kept = source.kept is not None
    chosen = list(faces) if faces else "all"
    chosen = chosen[0] if faces and len(faces) == 1 else chosen
    return {
        "photo": str(source.path),
        "face": None if kept else chosen,
        "steps": likeness.steps_for(kept),
        "tune": likeness.tune,
    }


def opened_report(opened: Sequence[Opened], load: float) -> Report:
    """What opening found; times are sums over the faces."""
    seconds: dict[str, float] = {"load": load}
    for each in opened:
        add_seconds(seconds, each.face.seconds_per_step)
    report: Report = {"faces_found": opened[0].face.faces_found}
    rows = [{**face_report(each), "distance": each.distance} for each in opened]
    if len(opened) == 1:
        return report | rows[0] | {"stopped": opened[0].stopped, "seconds_per_step": seconds}
    told = [f"Face {each.number}: {text}" for each in opened for text in each.warnings]
    report |= {"stopped": any(each.stopped for each in opened), "warnings": told}
    rows = [{"face": each.number, **row} for each, row in zip(opened, rows, strict=True)]
    return report | {"faces": rows, "seconds_per_step": seconds}


def face_report(opened: Opened) -> Report:
    """How good an opened face is."""
    face = opened.face
    return {
        "round_trip_error": face.round_trip_error,
        "confidence": face.confidence,
        "tuned": face.tuning is not None,
        "warnings": list(opened.warnings),
    }


def person_report(opened: Opened) -> Report:
    """One of several people: where from, and how good."""
    return {"photo": str(opened.source.path), "face": opened.number, **face_report(opened)}


def told_apart(people: Sequence[Opened]) -> list[str]:
    """The warnings of several people, each after its name."""
    return [f"{each.name}: {text}" for each in people for text in each.warnings]


def source_of(*faces: Face) -> str:
    """The digital source type of pictures of these faces: edited, unless nobody was in a photo."""
    from sdflow import marking

    nobody = all(face.crop is None for face in faces)
    return marking.GENERATED if nobody else marking.EDITED


def add_edits(report: Report, edits: Sequence[Edited]) -> None:
    """Values before and after into the report, and the times to those that are there."""
    for row, edited in zip(report.get("faces", [report]), edits, strict=True):
        row |= {"before": edited.before, "after": edited.after}
        add_seconds(report["seconds_per_step"], edited.seconds_per_step)
    add_notes(report, *(note for edited in edits for note in edited.notes))


def add_notes(report: Report, *notes: str) -> None:
    """Sentences on how something was made to the warnings, each once."""
    report["warnings"] = list(dict.fromkeys([*report["warnings"], *notes]))


def add_seconds(seconds: dict[str, float], more: dict[str, float]) -> None:
    """Adds times by step."""
    for step, spent in more.items():
        seconds[step] = seconds.get(step, 0.0) + spent


def save_picture(picture: Image.Image, output: Path, report: Report, *faces: Face) -> None:
    """Write a picture of these faces, marked as edited or generated."""
    from sdflow import images

    start = time.perf_counter()
    written = images.save(picture, output, source=source_of(*faces))
    add_output(report, output, picture.size, written, start)


def save_pasted(
    pasted: Pasted, source: Source, output: Path, pasting: Pasting, report: Report
) -> None:
    """Write the whole photo, and its mask if wanted."""
    from sdflow import images

    start = time.perf_counter()
    written = source.original.save(pasted.image, output, pasting.keep_metadata)
    if pasting.mask is not None:
        images.save(pasted.mask, pasting.mask)
    width, height = pasted.mask.size
    report |= {
        "pasted_into": str(pasting.photo or source.path),
        "plain": pasting.plain,
        "metadata": pasting.keep_metadata,
        "mask": pasting.mask and str(pasting.mask),
        "touched": round(1 - pasted.mask.histogram()[0] / (width * height), 4),
    }
    add_notes(report, *pasted.notes)
    if source.original.alpha is not None and output.suffix.lower() in (".jpg", ".jpeg"):
        add_notes(report, WHITE)
    add_output(report, output, pasted.image.size, written, start)


def add_output(
    report: Report, output: Path, size: tuple[int, int], written: int, start: float
) -> None:
    """What was written, and the time since `start` as that of saving."""
    add_seconds(report["seconds_per_step"], {"save": time.perf_counter() - start})
    report |= {"output": str(output), "output_size": list(size), "output_bytes": written}


def save_face_file(face: Face, path: Path | None) -> Report:
    """Write a face file, if one is wanted."""
    from sdflow.faces import save_face

    if path is None:
        return {}
    return {"face_file": str(path), "face_file_bytes": save_face(face, path)}


def save_kept(editor: Editor, face: Face, report: Report, kept: Kept) -> Report:
    """Write the face file and the recipe of a picture made as its report says, if wanted."""
    from sdflow.recipes import make_recipe, recipe_to_json

    saved = save_face_file(face, kept.face)
    if kept.recipe is not None:
        settings = report["strengths"], report["size"], report["detail"]
        mapping = report.get("mapping", "poles")
        text = recipe_to_json(make_recipe(editor.models, face, *settings, mapping))
        written = kept.recipe.write_bytes(text.encode())
        saved |= {"recipe_file": str(kept.recipe), "recipe_bytes": written}
    return saved


def show_faces(report: Report) -> str:
    """The report for a person; warnings go to stderr."""
    lines, strengths = _settings(report), report.get("strengths", {})
    for row in report.get("faces", []):
        lines += [f"  {line}" for line in (*_settings(row), *_values(row, strengths))]
    lines += _values(report, strengths)
    spent = ", ".join(f"{step} {value:.2f}" for step, value in report["seconds_per_step"].items())
    return "\n".join([*lines, f"seconds: {spent}"])


def show_people(rows: Sequence[Report]) -> list[str]:
    """A line a person: file, face, confidence."""
    lines = []
    for row in rows:
        face = "" if row["face"] is None else f"  face {row['face']}"
        sure = "" if row["confidence"] is None else f"  confidence {row['confidence']:.2f}"
        lines.append(f"{row['photo']}{face}{sure}")
    return lines


def show_table(rows: Sequence[Sequence[str]], right: Collection[int]) -> str:
    """Rows, the first a heading, in columns; those of the given numbers are flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _settings(row: Report) -> list[str]:
    """A line a name; what is not there or not so is left out."""
    return [
        f"{name}: {in_words(value)}"
        for name, value in row.items()
        if name not in UNTOLD and value is not None and value is not False
    ]


def in_words(value: object) -> str:
    """A value of a report; an edit is such as "smiling +1, young -0.5"."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {strength:+g}" for name, strength in value.items()) or "nothing"
    if isinstance(value, list):
        return ("; " if value and isinstance(value[0], dict) else ", ").join(map(in_words, value))
    return str(value)


def _values(row: Report, strengths: Report) -> list[str]:
    """A line an attribute: before and, where it was moved, after."""
    lines = []
    for name, before in row.get("before", {}).items():
        attribute, after = ATTRIBUTES[name], row.get("after", {}).get(name)
        asked = strengths.get(name, 0.0)  # the original's scale 0 moves, ours does not
        is_moved = after is not None and name in strengths and (asked or after != before)
        moved = f" → {after:.2f} (strength {asked:+.2f})" if is_moved else ""
        poles = f"{attribute.negative} – {attribute.positive}"
        lines.append(f"{name}: {before:.2f}{moved}  [{poles}]")
    return lines
