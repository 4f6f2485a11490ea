"""Contact sheets: what stands where."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from sdflow.media import CELL, HEADING, MARGIN, compare_sheet, grid_sheet, sweep_sheet

PHOTO = Image.new("RGB", (32, 32), (0, 0, 255))


def face(strengths: Mapping[str, float]) -> Image.Image:
    """A stand-in for a face: red tells the smile, green the turn."""
    values = (strengths.get("smiling", 0), strengths.get("yaw", 0))
    return Image.new("RGB", (32, 32), (*(round(100 + 100 * value) for value in values), 0))


def cells(sheet: Image.Image, columns: int) -> np.ndarray:
    """Colours of the pictures' middles, (rows, columns, 3)."""
    pixels, step = np.asarray(sheet), CELL + MARGIN
    left = sheet.width - step * columns
    rows = range(HEADING + CELL // 2, sheet.height, step)
    places = range(left + CELL // 2, sheet.width, step)
    return np.array([[pixels[y, x] for x in places] for y in rows])


def test_a_sweep_has_a_row_an_attribute() -> None:
    sheet = sweep_sheet(face, ["smiling", "yaw"], [-1, 0, 1], PHOTO, {"smiling": 0.2, "yaw": 0.5})
    seen = cells(sheet, 4).tolist()
    assert seen[0] == [[0, 0, 255], [0, 100, 0], [100, 100, 0], [200, 100, 0]]
    assert seen[1] == [[0, 0, 255], [100, 0, 0], [100, 100, 0], [100, 200, 0]]


def test_a_grid_has_one_attribute_across_and_one_down() -> None:
    seen = cells(grid_sheet(face, "smiling", "yaw", [-1, 1]), 2).tolist()
    assert seen == [[[0, 0, 0], [200, 0, 0]], [[0, 200, 0], [200, 200, 0]]]


def test_a_comparison_has_a_row_a_person() -> None:
    edits = [("smile", {"smiling": 1.0}), ("turn", {"yaw": -1.0})]
    people = [("one", PHOTO, face), ("a random one", None, face)]
    seen = cells(compare_sheet(people, edits), 4).tolist()
    plain, edited = [100, 100, 0], [[200, 100, 0], [100, 0, 0]]
    assert seen == [[[0, 0, 255], plain, *edited], [plain, plain, *edited]]
    assert cells(compare_sheet(people[1:], edits), 3).tolist() == [[plain, *edited]]
