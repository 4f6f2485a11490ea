"""What a batch does with one photo, and the contact sheets of all."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sdflow.commands.ledger import Row
from sdflow.commands.options import Faces, Likeness, Pasting

if TYPE_CHECKING:
    from PIL import Image

    from sdflow.commands.opening import Opened
    from sdflow.faces import Face
    from sdflow.originals import Original
    from sdflow.pipeline import Edited, Editor

SHEETS, PAIRS = "sheets", "faces"  # folders: of the sheets, and in it of what they are made of
CELL = 192  # pixels of a picture on the sheet
FACES = 40  # on one sheet
SHAPE = 2.5  # how much wider than high a face, before and after with its label, is


@dataclass(frozen=True)
class Settings:
    """Of all edits of a batch; see `faces.edit_photo`.

    Attributes:
        strengths: attribute → −1..1.
        faces: which of a photo's faces; None for all.
        steps: of refinement; None for the default.
        tune: whether to change the generator for each face.
        size: of a face's picture.
        detail: carry the photo's detail over to it.
        paste: put the faces back into the photo.
        plain: paste the whole crop with a feathered rim.
        keep_metadata: EXIF and XMP of the photo stay in the file.
        suffix: goes behind the name of each result.
        format: of the results, such as "png"; None for png, with `paste` the photo's own.
    """

    strengths: dict[str, float]
    faces: Faces = (0,)
    steps: int | None = None
    tune: bool = False
    size: int = 1024
    detail: bool = False
    paste: bool = False
    plain: bool = False
    keep_metadata: bool = False
    suffix: str = ""
    format: str | None = None

    @property
    def likeness(self) -> Likeness:
        """Work on the likeness."""
        return Likeness(self.steps, self.tune)

    def check(self) -> None:
        """Tell what does not go together.

        Raises:
            ValueError: an option that needs --paste, or that it makes meaningless.
        """
        if not self.paste:
            for name, given in (("plain", self.plain), ("keep-metadata", self.keep_metadata)):
                if given:
                    raise ValueError(f"--{name} needs --paste. Add it, or leave --{name} out.")
        elif self.size != 1024:
            raise ValueError("--paste draws faces at their size in the photo. Leave --size out.")
        elif self.detail:
            raise ValueError("--paste carries the photo's detail over. Leave --detail out.")
        if Path(f"a{self.suffix}").name != f"a{self.suffix}" or "\0" in self.suffix:
            raise ValueError(f"{self.suffix!r} cannot be part of a file's name. Give letters.")


@dataclass(frozen=True)
class Job:
    """One photo of a batch.

    Attributes:
        file: the photo or face file.
        folder: for results.
        name: of its results, without suffix.
    """

    file: Path
    folder: Path
    name: str


def prepare(settings: Settings, made_with: str, one_thread: bool) -> Callable[[Job], list[Row]]:
    """What edits photos, with models loaded now.

    Args:
        settings: of the edits.
        made_with: their digest.
        one_thread: there are other processes beside this one.
    """
    import torch

    from sdflow.commands.opening import load_editor

    if one_thread:
        torch.set_num_threads(1)
    editor, _ = load_editor(settings.strengths)

    def work(job: Job) -> list[Row]:
        start = time.perf_counter()
        rows: list[Row] = []
        try:
            photo = digest(job.file.read_bytes())
            rows = edit_photo(editor, job, settings)
            last = {"photo": photo, "settings": made_with}
        except (ValueError, OSError) as error:
            rows = [{"error": " ".join(str(error).split())}]
            last = {}
        except Exception as error:  # a fault of ours with this photo shall not end the others
            rows = [{"error": f"{type(error).__name__}: {' '.join(str(error).split())}."}]
            last = {}
        spent = (time.perf_counter() - start) / len(rows)
        return [{"file": job.file.name, **row, "seconds": f"{spent:.2f}", **last} for row in rows]

    return work


def edit_photo(editor: Editor, job: Job, settings: Settings) -> list[Row]:
    """Edit the faces of one photo and write them, or the photo with them.

    Raises:
        ValueError, OSError: it cannot be used, or not be written.
    """
    from sdflow import images
    from sdflow.commands.opening import check_likeness, open_faces, read_source
    from sdflow.commands.reports import source_of

    source = read_source(job.file, Pasting() if settings.paste else None)
    faces = settings.faces if source.kept is None else (0,)
    check_likeness(source, faces, settings.likeness)
    opened = open_faces(editor, source, faces, settings.likeness, shown=False)
    edits = [
        editor.edit(each.face, settings.strengths, settings.size, settings.detail)
        for each in opened
    ]
    format = settings.format or (source.original.suffix[1:] if settings.paste else "png")
    if settings.paste:
        outputs = [f"{name_result(job, settings)}.{format}"] * len(opened)
        pairs = [(each.face, edited) for each, edited in zip(opened, edits, strict=True)]
        pasted = editor.paste(source.original, *pairs, plain=settings.plain)
        source.original.save(pasted.image, job.folder / outputs[0], settings.keep_metadata)
        shown = [cut_out(pasted.image, source.original, each.face) for each in opened]
        edits = [replace(edited, notes=(*edited.notes, *pasted.notes)) for edited in edits]
    else:
        one = faces is not None and len(faces) == 1
        numbers = ["" if one else str(each.number) for each in opened]
        outputs = [f"{name_result(job, settings, number)}.{format}" for number in numbers]
        shown = [edited.image for edited in edits]
        for each, picture, output in zip(opened, shown, outputs, strict=True):
            images.save(picture, job.folder / output, source=source_of(each.face))
    rows = [row_of(*each) for each in zip(opened, edits, outputs, strict=True)]
    for row, each, picture in zip(rows, opened, shown, strict=True):
        both = side_by_side(each.face.picture, picture)
        images.save(both, pair(job.folder, row), 90, source_of(each.face))
    return rows


def name_result(job: Job, settings: Settings, face: str = "") -> str:
    """The name of a photo's result, or of one of its faces, without the format."""
    return f"{job.name}{f'_face{face}' if face else ''}{settings.suffix}"


def row_of(opened: Opened, edited: Edited, output: str) -> Row:
    """The row of a face in the list."""
    sure = opened.face.confidence
    row = {
        "face": "" if opened.number is None else str(opened.number),
        "output": output,
        "confidence": "" if sure is None else f"{sure:.3f}",
        "warnings": " ".join(dict.fromkeys([*opened.warnings, *edited.notes])),
    }
    for name, before in edited.before.items():
        row |= {f"{name} before": f"{before:.3f}", f"{name} after": f"{edited.after[name]:.3f}"}
    return row


def digest(data: bytes) -> str:
    """What tells data from other data."""
    return hashlib.sha256(data).hexdigest()[:16]


# ---- contact sheets


def pair(folder: Path, row: Row) -> Path:
    """Where a face stands before and after, small."""
    number = f"_face{row['face']}" if row["face"] else ""
    return folder / SHEETS / PAIRS / f"{Path(row['output']).stem}{number}.jpg"


def cut_out(photo: Image.Image, original: Original, face: Face) -> Image.Image:
    """A face of the photo in which it was pasted."""
    from sdflow.align import crop_square

    quad = original.scaled(face.alignment).quad
    return original.to_standard_colours(crop_square(photo, quad, CELL)[0])


def side_by_side(before: Image.Image | None, after: Image.Image) -> Image.Image:
    """Two pictures of a face; a random one has none from before."""
    from PIL import Image

    both = Image.new("RGB", (2 * CELL, CELL), "white")
    for place, picture in enumerate((before, after)):
        if picture is not None:
            small = picture.resize((CELL, CELL), Image.Resampling.LANCZOS)
            both.paste(small, (place * CELL, 0))
    return both


def save_sheets(folder: Path, listed: Sequence[Row]) -> list[Path]:
    """Write the contact sheets of all faces that were edited; those of a run before go."""
    from PIL import Image

    from sdflow import images, marking

    done = [row for row in listed if not row["error"]]
    for path in (folder / SHEETS).glob("sheet-*.jpg"):
        path.unlink()
    paths = []
    for first in range(0, len(done), FACES):
        page = done[first : first + FACES]
        rows = math.ceil(math.sqrt(SHAPE * len(page)))  # about a square
        blocks = [block(folder, page[i : i + rows]) for i in range(0, len(page), rows)]
        size = sum(image.width for image in blocks), blocks[0].height
        sheet = Image.new("RGB", size, "white")
        left = 0
        for image in blocks:
            sheet.paste(image, (left, 0))
            left += image.width
        paths.append(folder / SHEETS / f"sheet-{len(paths) + 1}.jpg")
        images.save(sheet, paths[-1], 92, marking.EDITED)
    return paths


def block(folder: Path, rows: Sequence[Row]) -> Image.Image:
    """Faces below each other, each before and after."""
    from PIL import Image

    from sdflow.commands.sheets import label
    from sdflow.media import contact_sheet

    cells, labels = [], []
    for row in rows:
        both = Image.open(pair(folder, row)).convert("RGB")
        cells.append([both.crop((left, 0, left + CELL, CELL)) for left in (0, CELL)])
        face = f"\nface {row['face']}" if row["face"] not in ("", "0") else ""
        sure = f"\nsure {float(row['confidence']):.2f}" if row["confidence"] else ""
        labels.append(f"{label(row['file'])}{face}{sure}")
    return contact_sheet(cells, labels, ["photo", "edited"], CELL)
