"""The verb that reads: attributes, confidence and warnings of one face or many."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sdflow.attributes import ATTRIBUTES
from sdflow.commands import Report, Verb
from sdflow.commands.opening import load_editor, open_people, read_sources
from sdflow.commands.options import Faces, Likeness, photos_options
from sdflow.commands.reports import person_report, show_people, show_table, told_apart

QUICK_LIKENESS = Likeness()


def read_photos(
    photos: Sequence[Path], faces: Faces = (0,), likeness: Likeness = QUICK_LIKENESS
) -> Report:
    """Attributes of the faces of photos, face files and recipes.

    Args:
        photos: of which to read.
        faces: which of the faces of each photo, 0 the largest; None for all.
        likeness: work on it.

    Returns:
        The report, with CelebA's forty attributes where the released classifier is at hand;
        `failures` are the photos that could not be used.

    Raises:
        ValueError, OSError, WeightsError: as for `faces.edit_photo`; nothing could be used.
    """
    sources, failures = read_sources(photos)
    editor, load = load_editor({})
    people, unopened = open_people(editor, sources, faces, likeness)
    rows = [person_report(each) | {"attributes": editor.read(each.face)} for each in people]
    if editor.models.classifier is not None:
        rows = [row | {"celeba": editor.classify(each.face)}
                for row, each in zip(rows, people, strict=True)]  # fmt: skip
    return {
        "faces": rows,
        "warnings": told_apart(people),
        "failures": failures + unopened,
        "seconds_per_step": {"load": load},
    }


def _show(report: Report) -> str:
    """One face: a line an attribute; several: a table, a row a face."""
    rows = report["faces"]
    if len(rows) == 1:
        values = [
            f"{name}: {value:.2f}  [{ATTRIBUTES[name].negative} – {ATTRIBUTES[name].positive}]"
            for name, value in rows[0]["attributes"].items()
        ]
        if celeba := dict(rows[0].get("celeba", {})):
            age = f"age group {celeba.pop('age_group')} of 0 to 6"
            found = [f"{name} {sure:.2f}" for name, sure in celeba.items() if sure > 0.5]
            values.append(f"CelebA's attributes above .5: {', '.join([*found, age])}")
        return "\n".join([*show_people(rows), *values])
    names = list(rows[0]["attributes"])
    table = [["photo", "face", "sure", *names]]
    for row in rows:
        face = "" if row["face"] is None else str(row["face"])
        sure = "" if row["confidence"] is None else f"{row['confidence']:.2f}"
        values = [f"{row['attributes'][name]:.2f}" for name in names]
        table.append([Path(row["photo"]).name, face, sure, *values])
    return show_table(table, right=range(1, len(table[0])))


def _read(args: argparse.Namespace) -> Report:
    return read_photos(args.photos, args.face, Likeness(args.refine, args.tune))


VERBS = (
    Verb(
        "read",
        "the attributes of faces, and how sure they are",
        photos_options,
        _read,
        _show,
        (
            "read photo.jpg",
            "read *.jpg --face all --json",
            "read face.safetensors recipe.json",
        ),
    ),
)
