"""Boards, histories and ways of morphs: what the panels make, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import FileData, ListFiles
from PIL import Image

from sdflow.attributes import ATTRIBUTES
from sdflow.faces import Face, UnknownFace
from sdflow.marking import EDITED, GENERATED
from sdflow.media import Render
from sdflow.morph import morph
from sdflow.page import boards, tiles
from sdflow.page.boards import Board, fill
from sdflow.page.events.morphing import way
from sdflow.page.events.returning import at
from sdflow.page.many import remembered
from sdflow.page.photo import Photos
from sdflow.page.service import Service
from sdflow.page.tried import MOST_EDITS, MOST_TRIED, Job, Person, Trials, Tried
from sdflow.page.visit import Visit
from sdflow.pipeline import Editor

AGE = {"young": 0.5}


@pytest.fixture
def service(tmp_path: Path, editor: object) -> Service:
    return Service(tmp_path, lambda: editor, steps=0)


def filled(service: Service, board: Board, most: int = 1000) -> int:
    """Fills a board as far as so many pictures; returns how often it was given back."""

    given: list[Board] = []

    async def run() -> None:
        async for board_so_far in fill(service, board, lambda: len(given) < most):
            given.append(board_so_far)

    # In a thread of its own, for playwright keeps a loop in that of the tests.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()
    return len(given)


def filled_sweep(service: Service) -> Board:
    board = boards.sweep_board(service.random(6).token, {}, "smiling", 5)
    assert filled(service, board) == 6
    return board


def source_in(file: Path) -> str:
    return [kind for kind in (EDITED, GENERATED) if kind.encode() in file.read_bytes()][0]


# ---- layouts


@pytest.mark.parametrize("columns", [3, 4, 5, 7, 9])
def test_strengths_of_a_board_are_steps_of_the_sliders(columns: int) -> None:
    values = boards.steps(columns)
    assert len(set(values)) == columns and values[0] == -1 and values[-1] == 1
    assert np.allclose([value / 0.05 for value in values], np.round(np.divide(values, 0.05)))
    assert (0.0 in values) == (columns % 2 == 1)
    assert np.ptp(np.diff(values)) < 0.11


def test_variants_are_on_top_of_the_present_edit() -> None:
    sweep = boards.sweep_board("t", AGE, "smiling", 5)
    assert [cell.strengths for cell in sweep.cells[1:4]] == [
        {"young": 0.5, "smiling": -0.5}, AGE, {"young": 0.5, "smiling": 0.5},
    ]  # fmt: skip
    grid = boards.grid_board("t", {"smiling": 0.3, "beard": 1}, "smiling", "young", 3)
    assert [cell.strengths for cell in grid.cells[3:6]] == [
        {"smiling": -1, "beard": 1}, {"beard": 1}, {"smiling": 1, "beard": 1},
    ]  # fmt: skip
    assert grid.cells[0].strengths == {"smiling": -1, "beard": 1, "young": -1}
    assert [words("en") for words in grid.headings] == ["Smile −1", "Smile 0", "Smile +1"]
    assert [words("de") for words in grid.labels] == ["Jugend −1", "Jugend 0", "Jugend +1"]
    with pytest.raises(ValueError, match="Choose another"):
        boards.grid_board("t", {}, "young", "young", 3)


def test_every_attribute_moves_to_both_sides_of_the_edit() -> None:
    rows = [ATTRIBUTES["smiling"], ATTRIBUTES["young"]]
    board = boards.attributes_board("t", AGE, rows, (-1.0, 1.0))
    assert [cell.strengths for cell in board.cells] == [
        {"young": 0.5, "smiling": -1}, AGE, {"young": 0.5, "smiling": 1},
        {"young": -1}, AGE, {"young": 1},
    ]  # fmt: skip
    assert [words("en") for words in board.headings] == ["−1", "Now", "+1"]


# ---- pictures


def test_a_board_fills_in_order_and_ends_in_a_marked_sheet(service: Service) -> None:
    token = service.random(5).token
    board = boards.sweep_board(token, {}, "smiling", 5)
    assert filled(service, board) == 6  # five pictures, the sheet
    assert not board.busy and board.done == 5
    first, last = (Image.open(board.cells[i].picture) for i in (0, -1))
    assert first.size == (boards.SMALL, boards.SMALL)
    assert np.abs(np.asarray(first).astype(float) - np.asarray(last)).mean() > 1
    with Image.open(board.sheet) as sheet:
        assert sheet.width > 5 * 256 and 256 < sheet.height < 2 * 256
    assert source_in(board.sheet) == source_in(board.cells[0].picture) == GENERATED
    service.forget([token])
    assert not board.sheet.exists() and not board.cells[0].picture.exists()


def test_what_nobody_wants_any_more_ends(service: Service) -> None:
    token = service.random(5).token
    board = boards.sweep_board(token, {}, "smiling", 9)
    assert filled(service, board, most=2) == 2
    assert [cell.picture is not None for cell in board.cells] == [True, True] + [False] * 7
    assert board.sheet is None
    service.forget([token])
    with pytest.raises(UnknownFace):
        filled(service, boards.sweep_board(token, {}, "smiling", 5))


def test_pictures_that_fit_into_one_pass_go_together(service: Service, editor: Editor) -> None:
    alone = filled_sweep(service)
    together = Editor(editor.models)
    together.batch, passes, edit_many = 4, [], together.edit_many

    def counted(edits: list, *rest: object) -> list:
        passes.append(len(edits))
        return edit_many(edits, *rest)

    together.edit_many = counted
    at_once = Service(service.files.folder / "other", lambda: together, steps=0)
    board = filled_sweep(at_once)
    assert sum(passes) == 5 and max(passes) > 1
    for one, other in zip(alone.cells, board.cells, strict=True):
        difference = np.subtract(Image.open(one.picture), Image.open(other.picture), dtype=float)
        assert np.abs(difference).mean() < 0.5


def test_people_stand_beside_their_photos(
    service: Service, photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo.save(tmp_path / "two.jpg")
    opened, random = service.open(tmp_path / "two.jpg"), service.random(6)
    service.forget_photo(opened.token)
    assert not service.has_photo(opened.token)
    rendered: list[Mapping[str, float]] = []
    render = service.renderer

    def counting(face: Face, size: int) -> Render:
        return lambda strengths: rendered.append(strengths) or render(face, size)(strengths)

    monkeypatch.setattr(service, "renderer", counting)
    people = [
        Person("Zoë <b>", opened.token, Path("a.jpg"), has_photo=True, own=True),
        Person(None, random.token, Path("b.jpg"), has_photo=False, own=False),
    ]
    smile = {"smiling": 1.0}
    board = boards.people_board(people, smile)
    assert filled(service, board) == 7
    assert rendered == [{}, smile, {}, smile]  # nothing twice
    crop = opened.face.picture.resize((320, 320))
    shown = Image.open(board.cells[0].picture)
    assert np.abs(np.asarray(shown).astype(float) - np.asarray(crop)).mean() < 4
    assert source_in(board.sheet) == EDITED
    assert boards.states_of(board) == []  # there is nothing to return to

    html = tiles.board_tiles("de", board, {}, "Vergleich")
    assert "Zoë &lt;b&gt;" in html and "<b>" not in html
    assert "Zufallsgesicht 2" in html and "<th scope='col'>Lächeln +1</th>" in html
    assert boards._plain("Zoë −1 ß 李") == "Zoe -1 ss"
    assert len(boards.people_board(people[1:], {}).headings) == 1  # no photo, no edit


# ---- what is gathered


def test_photos_to_compare_are_uploads_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").touch()
    photos = Photos(file_count="multiple")
    assert photos.preprocess(None) == []
    with pytest.raises(gr.Error, match="not uploaded"):
        photos.preprocess(ListFiles(root=[FileData(path=str(tmp_path / "secret.jpg"))]))


def test_the_history_is_newest_first_and_bounded() -> None:
    trials, states = Trials(), [{"young": i / 100} for i in range(1, MOST_TRIED + 3)]
    for state in states:
        trials.remember(Tried(state, Path("old.jpg")))
    assert [one.strengths for one in trials.tried] == states[:1:-1]
    trials.remember(Tried(states[10], Path("new.jpg")))  # it stays where it is
    assert [one.strengths for one in trials.tried] == states[:1:-1]
    assert trials.picture_of(states[10]) == Path("new.jpg")
    assert trials.picture_of({"young": 1.0}) is None


def test_what_a_browser_sends_is_checked() -> None:
    states = [Tried({}, Path("a")), Tried(AGE, Path("b"))]
    assert at(states, 1) is states[1]
    for index in (2, -1, None, "0", [0], float("nan")):
        with pytest.raises(ValueError, match="Choose another"):
            at(states, index)


def test_a_morph_goes_to_the_present_edit_or_through_the_list() -> None:
    visit = Visit()
    visit.begin(None, "token")
    visit.chosen.strengths = AGE
    assert way(visit, back=False) == [{}, AGE]
    visit.trials.stops += [Tried({"smiling": 1}, Path("a")), Tried({"beard": 1}, Path("b"))]
    stops = [{}, {"smiling": 1}, {"beard": 1}]
    assert way(visit, back=False) == stops
    assert way(visit, back=True) == [*stops, {"smiling": 1}, {}]
    visit.trials.stops[:] = [Tried({}, Path("a"))] * MOST_EDITS
    assert len(way(visit, back=True)) <= 20  # the stops that a morph takes


def test_another_face_has_trials_of_its_own_and_forgetting_ends_all(tmp_path: Path) -> None:
    visit = Visit()
    visit.begin(None, "token")
    trials, gathered = visit.trials, visit.gathered
    trials.job, trials.board = Job(), boards.sweep_board("token", {}, "young", 5)
    waiting = tmp_path / "waiting.jpg"
    waiting.touch()
    gathered.waiting.append(waiting)
    gathered.people.append(Person("a", "other", Path("a"), has_photo=True, own=True))
    tokens, _ = visit.forget()
    assert tokens == {"token", "other"}
    assert trials.job.stopped and not trials.board.busy and not waiting.exists()
    assert visit.trials is not trials and not visit.gathered.people


def test_the_way_back_of_a_morph_is_not_rendered_again() -> None:
    rendered: list[Mapping[str, float]] = []

    def render(strengths: Mapping[str, float]) -> Image.Image:
        rendered.append(strengths)
        return Image.new("RGB", (64, 64), (round(200 * strengths.get("young", 0)), 90, 40))

    frames = list(morph(remembered(render), [{}, AGE, {"smiling": 1}, AGE, {}], 50))
    assert len(rendered) == 25
    for there, back in zip(frames, frames[::-1], strict=True):
        assert np.abs(np.subtract(there, back, dtype=int)).max() <= 3
