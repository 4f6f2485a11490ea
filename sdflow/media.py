"""Pictures of many edits: face, attributes and strengths → one contact sheet with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from sdflow.attributes import ATTRIBUTES

if TYPE_CHECKING:
    from sdflow.faces import Face
    from sdflow.pipeline import Editor

CELL = 256  # pixels of one picture
MARGIN = 6  # pixels between pictures
HEADING = 34  # pixels of the line above the columns
PAPER, INK = "white", "black"


def sweep_sheet(
    editor: Editor, face: Face, attributes: Sequence[str], strengths: Sequence[float]
) -> Image.Image:
    """A row an attribute, a column a strength; the photo's crop, if there is one, comes first.

    Args:
        editor: renders the edits.
        face: opened by it.
        attributes: names of the rows.
        strengths: of the columns, in −1..1.

    Raises:
        UnknownAttribute, BadStrength, FaceFileError: see `Editor.edit`.
    """
    unmoved = editor.edit(face, {}, 512).image
    first = [] if face.picture is None else [face.picture]
    rows = [
        first + [editor.edit(face, {name: s}, 512).image if s else unmoved for s in strengths]
        for name in attributes
    ]
    headings = ["photo"] * len(first) + [f"{s:+g}" if s else "0" for s in strengths]
    labels = []
    for name in attributes:
        row = ATTRIBUTES[name]
        poles = f"-1 {row.negative}\n+1 {row.positive}"
        labels.append(f"{row.label}: {face.semantics[name]:.2f}\n{poles}")
    return contact_sheet(rows, labels, headings)


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    labels: Sequence[str],
    headings: Sequence[str],
    cell: int = CELL,
) -> Image.Image:
    """Pictures in a grid, with a label left of each row and a heading above each column.

    Args:
        rows: pictures; each is shrunk or enlarged to (cell, cell).
        labels: one a row, of one or more lines.
        headings: one a column.
        cell: pixels.

    Raises:
        ValueError: no pictures, or their number does not fit labels and headings.
    """
    if not rows or len(rows) != len(labels) or any(len(row) != len(headings) for row in rows):
        shape = [len(row) for row in rows]
        raise ValueError(
            f"Got rows of {shape} pictures, {len(labels)} labels and {len(headings)} headings. "
            "Give a label a row and a heading a column."
        )
    font = ImageFont.load_default(max(cell // 14, 10))
    pencil = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [pencil.multiline_textbbox((0, 0), label, font=font) for label in labels]
    left = int(max(box[2] for box in boxes)) + 3 * MARGIN
    step = cell + MARGIN
    size = (left + step * len(headings), HEADING + step * len(rows))
    sheet = Image.new("RGB", size, PAPER)
    pencil = ImageDraw.Draw(sheet)
    for column, heading in enumerate(headings):
        middle = left + step * column + cell // 2
        pencil.text((middle, HEADING // 2), heading, fill=INK, font=font, anchor="mm")
    for i, (label, pictures) in enumerate(zip(labels, rows, strict=True)):
        top = HEADING + step * i
        pencil.multiline_text((MARGIN, top + MARGIN), label, fill=INK, font=font)
        for j, picture in enumerate(pictures):
            small = picture.resize((cell, cell), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + step * j, top))
    return sheet
