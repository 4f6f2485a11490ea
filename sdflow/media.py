"""Pictures of many edits on one contact sheet with labels.

What renders a face is handed in, so that its caller decides on size, turns and progress.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from sdflow.attributes import ATTRIBUTES

Render = Callable[[Mapping[str, float]], Image.Image]  # strengths → picture of a face
CELL = 256  # pixels of one picture
MARGIN = 6  # pixels between pictures
HEADING = 34  # pixels of the line above the columns
PAPER, INK = "white", "black"


def sweep_sheet(
    render: Render,
    names: Sequence[str],
    strengths: Sequence[float],
    photo: Image.Image | None = None,
    semantics: Mapping[str, float] | None = None,
) -> Image.Image:
    """A row an attribute, a column a strength; the photo's crop, if there is one, comes first.

    Args:
        render: makes the picture of some strengths.
        names: attributes of the rows.
        strengths: of the columns, in −1..1.
        photo: of the face.
        semantics: attribute → value of the face, to stand beside its name.
    """
    first = [] if photo is None else [photo]
    unmoved = render({})
    rows = [first + [render({name: s}) if s else unmoved for s in strengths] for name in names]
    labels = []
    for name in names:
        row = ATTRIBUTES[name]
        value = f": {semantics[name]:.2f}" if semantics else ""
        labels.append(f"{row.label}{value}\n-1 {row.negative}\n+1 {row.positive}")
    return contact_sheet(rows, labels, ["photo"] * len(first) + [*map(signed, strengths)])


def grid_sheet(
    render: Render,
    across: str,
    down: str,
    strengths: Sequence[float],
    photo: Image.Image | None = None,
) -> Image.Image:
    """Two attributes against each other, both at all strengths.

    Args:
        render: makes the picture of some strengths.
        across, down: attributes, of the columns and of the rows.
        strengths: of both, in −1..1.
        photo: of the face; it gets a column of its own.
    """
    first = [] if photo is None else [photo]
    rows = [first + [render({across: x, down: y}) for x in strengths] for y in strengths]
    labels = [f"{ATTRIBUTES[down].label} {signed(y)}" for y in strengths]
    headings = [f"{ATTRIBUTES[across].label} {signed(x)}" for x in strengths]
    return contact_sheet(rows, labels, ["photo"] * len(first) + headings)


def compare_sheet(
    people: Sequence[tuple[str, Image.Image | None, Render]],
    edits: Sequence[tuple[str, Mapping[str, float]]],
) -> Image.Image:
    """A row a person, a column an edit, after the photo (if any has one) and the face unedited.

    Args:
        people: label, photo's crop and what renders the face, of each.
        edits: heading and strengths of each.
    """
    has_photos = any(photo is not None for _, photo, _ in people)
    rows = []
    for _, photo, render in people:
        unmoved = render({})
        first = [photo or unmoved] if has_photos else []
        rows.append([*first, unmoved, *[render(strengths) for _, strengths in edits]])
    headings = [*["photo"] * has_photos, "inversion", *[heading for heading, _ in edits]]
    return contact_sheet(rows, [label for label, _, _ in people], headings)


def signed(strength: float) -> str:
    """A strength for a label: +0.5, -1, 0. The label's font has no longer minus."""
    return f"{strength:+g}" if strength else "0"


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
