"""Boards: pictures of edits side by side, made one after the other, and the sheet of them all."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sdflow.attributes import ATTRIBUTES, Attribute
from sdflow.edit import ORIGINAL
from sdflow.marking import EDITED, GENERATED, source_of
from sdflow.media import CELL, contact_sheet
from sdflow.page.many import even, sheet_file
from sdflow.page.pictures import PREVIEW
from sdflow.page.scales import Strengths, mapping_of, to_sliders, with_sliders
from sdflow.page.texts import DEFAULT, say, say_of
from sdflow.page.tried import Person, Tried

if TYPE_CHECKING:
    from sdflow.page.service import Service

SMALL = 320  # pixels of a small picture's file
SMALL_QUALITY = 88
SWEEPS, GRIDS = (5, 7, 9), (3, 4, 5)  # pictures of a sweep; rows and columns of a grid
MOST_NAMED = 2  # attributes of an edit that a heading names
STEP = 0.05  # of a slider
Words = Callable[[str], str]  # language → what stands above a column or left of a row


@dataclass(eq=False)
class Cell:
    """A place for a picture.

    Attributes:
        owner: token of the face.
        strengths: None for the photo that the face is from.
        picture: small, once it is made.
    """

    owner: str
    strengths: Strengths | None
    picture: Path | None = None


@dataclass(eq=False)
class Board:
    """Pictures in rows and columns.

    Attributes:
        headings: of the columns.
        labels: of the rows; none for a single row.
        cells: row by row.
        restores: a click on a picture returns to its edit.
        stopped: no more of them are wanted.
        sheet: of all pictures, once they are made.
    """

    headings: Sequence[Words]
    labels: Sequence[Words]
    cells: list[Cell]
    restores: bool = True
    stopped: bool = False
    sheet: Path | None = None

    @property
    def done(self) -> int:
        """Number of pictures that are made."""
        return sum(cell.picture is not None for cell in self.cells)

    @property
    def busy(self) -> bool:
        """Whether pictures are still being made."""
        return not self.stopped and self.sheet is None

    def discard(self) -> None:
        """Ends it and removes its sheet."""
        self.stopped = True
        if self.sheet:
            self.sheet.unlink(missing_ok=True)


# ---- layouts


def sweep_board(token: str, base: Strengths, name: str, columns: int) -> Board:
    """One attribute from −1 to 1, on top of an edit."""
    values = steps(columns)
    cells = [Cell(token, with_sliders(base, **{name: value})) for value in values]
    return Board([_moved_words(ATTRIBUTES[name], value) for value in values], [], cells)


def grid_board(token: str, base: Strengths, across: str, down: str, columns: int) -> Board:
    """Two attributes against each other, on top of an edit.

    Raises:
        ValueError: they are the same.
    """
    if across == down:
        raise ValueError("A grid takes two different attributes. Choose another one.")
    values = steps(columns)
    states = [with_sliders(base, **{across: x, down: y}) for y in values for x in values]
    headings = [_moved_words(ATTRIBUTES[across], x) for x in values]
    labels = [_moved_words(ATTRIBUTES[down], y) for y in values]
    return Board(headings, labels, [Cell(token, state) for state in states])


def attributes_board(
    token: str, base: Strengths, attributes: Sequence[Attribute], values: Sequence[float]
) -> Board:
    """Every attribute moved to both sides of an edit, a row each.

    Args:
        token: of the face.
        base: the edit; it stands in the middle.
        attributes: of the rows.
        values: strengths, as many below 0 as above.
    """
    half = len(values) // 2
    cells = []
    for row in attributes:
        states = [with_sliders(base, **{row.name: value}) for value in values]
        cells += [Cell(token, s) for s in [*states[:half], with_sliders(base), *states[half:]]]
    headings = [_strength(value) for value in values]
    headings.insert(half, _key("compare.now"))
    return Board(headings, [_label(row) for row in attributes], cells)


def people_board(people: Sequence[Person], edit: Strengths) -> Board:
    """A row a person: the photo, if anybody has one, the face as it is, and the edit."""
    headings = [_key("unedited"), *[_edit(edit)] * bool(edit)]
    states: list[Strengths] = [{}, *[edit] * bool(edit)]
    photos = any(person.has_photo for person in people)
    cells = []
    for person in people:
        first = [None if person.has_photo else {}] * photos
        cells += [Cell(person.token, state) for state in [*first, *states]]
    labels = [_name(person, number) for number, person in enumerate(people)]
    return Board([_key("compare.photo")] * photos + headings, labels, cells, restores=False)


def states_of(board: Board | None) -> list[Tried]:
    """What a click on a board's pictures returns to, in order, as far as they are made."""
    made = [cell for cell in board.cells if cell.picture] if board and board.restores else []
    return [Tried(cell.strengths or {}, cell.picture) for cell in made]


def steps(columns: int) -> list[float]:
    """So many strengths from −1 to 1, as near to even as the sliders' steps allow."""
    return [round(round(value / STEP) * STEP, 2) + 0.0 for value in even(columns)]


def edit_words(language: str, strengths: Strengths) -> str:
    """An edit in words: its attributes and how far each is moved."""
    at = to_sliders(strengths).items()
    words = ", ".join(f"{say_of(language, ATTRIBUTES[n])} {signed(s)}" for n, s in at)
    if mapping_of(strengths) == ORIGINAL:
        return say(language, "mapping.edit", edit=words)
    return words or say(language, "unedited")


def signed(strength: float) -> str:
    """A strength in words: +0.5, −1, 0."""
    return f"{strength:+.2g}".replace("-", "−") if strength else "0"


def person_words(language: str, person: Person, number: int) -> str:
    """What a person is called."""
    return person.name or f"{say(language, 'compare.random')} {number + 1}"


def _key(key: str) -> Words:
    return lambda language: say(language, key)


def _label(attribute: Attribute) -> Words:
    return lambda language: say_of(language, attribute)


def _strength(value: float) -> Words:
    return lambda language: signed(value)


def _edit(strengths: Strengths) -> Words:
    """In words, unless they are too many for a heading."""
    few = len(strengths) <= MOST_NAMED
    return lambda language: (
        edit_words(language, strengths) if few else say(language, "compare.edit")
    )


def _moved_words(attribute: Attribute, value: float) -> Words:
    return lambda language: f"{say_of(language, attribute)} {signed(value)}"


def _name(person: Person, number: int) -> Words:
    return lambda language: person_words(language, person, number)


# ---- pictures


async def fill(
    service: Service, board: Board, wanted: Callable[[], bool]
) -> AsyncIterator[Board]:
    """Makes the pictures of a board in order, each in its own turn with the models.

    Args:
        service: renders.
        board: as it was laid out; it is given back after each picture, and with its sheet.
        wanted: asked before and after each picture; it ends when nobody wants the board any more.

    Raises:
        UnknownFace: a face is not kept any more.
    """
    made: list[Image.Image] = []
    making: dict[tuple, asyncio.Task] = {}  # what stands in several places is made once
    for i, cell in enumerate(board.cells):
        if not wanted():
            return
        # those that go through the networks in one pass wait for their turn at the same time
        for ahead in board.cells[i : i + service.editor.batch]:
            if _key_of(ahead) not in making:
                task = asyncio.create_task(asyncio.to_thread(_picture, service, ahead))
                task.add_done_callback(lambda task: task.cancelled() or task.exception())
                making[_key_of(ahead)] = task
        small_picture, picture = await making[_key_of(cell)]
        if not wanted():
            return
        cell.picture = small_picture
        made.append(picture)
        yield board
    sheet = await asyncio.to_thread(_sheet, service, board, made)
    if not wanted():
        sheet.unlink(missing_ok=True)
        return
    board.sheet = sheet
    yield board


def _key_of(cell: Cell) -> tuple:
    """What its picture shows."""
    state = None if cell.strengths is None else tuple(sorted(cell.strengths.items()))
    return cell.owner, state


def small(service: Service, image: Image.Image, owner: str) -> Path:
    """Writes a small picture of a kept face."""
    reduced = image.resize((SMALL, SMALL), Image.Resampling.LANCZOS)
    return service.pictures.shown(reduced, owner, SMALL_QUALITY)


def _picture(service: Service, cell: Cell) -> tuple[Path, Image.Image]:
    face = service.face(cell.owner)
    if cell.strengths is None:
        picture = face.picture
    else:
        picture = service.renderer(face, PREVIEW)(cell.strengths)
    reduced = picture.resize((CELL, CELL), Image.Resampling.LANCZOS)
    return small(service, picture, cell.owner), reduced


def _sheet(service: Service, board: Board, made: Sequence[Image.Image]) -> Path:
    """The contact sheet; its font has English letters only."""
    columns = len(board.headings)
    rows = [made[start : start + columns] for start in range(0, len(made), columns)]
    labels = [_plain(words(DEFAULT)) for words in board.labels] or [""]
    headings = [_plain(words(DEFAULT)) for words in board.headings]
    owners = dict.fromkeys(cell.owner for cell in board.cells)
    sources = {source_of(service.face(owner)) for owner in owners}
    source = EDITED if EDITED in sources else GENERATED
    sheet = contact_sheet(rows, labels, headings)
    return sheet_file(service, sheet, "sdflow-sheet", ".jpg", source, next(iter(owners)))


def _plain(words: str) -> str:
    """Words in letters that the sheet's font has."""
    spelled = unicodedata.normalize("NFKD", words.replace("−", "-").replace("ß", "ss"))
    return spelled.encode("ascii", "ignore").decode().strip() or "?"
