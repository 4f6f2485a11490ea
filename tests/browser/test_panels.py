"""The panels below the workbench in headless Chromium: variants, morph, comparison."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from sdflow.marking import EDITED, GENERATED
from sdflow.page.service import Service
from tests.browser.actions import PREVIEW, SMILE, Visit, take
from tests.browser.actions import press as press_keys
from tests.browser.test_looks import violations

AGE = "#slider-young input[type=range]"
BOARD, TRIED, WAY = "#variants-board button.tile", "#tried button.tile", "#morph-path li"
WORKING = "#morph .working"
EXAMPLE = Path(__file__).parents[2] / "examples" / "face-23.jpg"


def take_random_face(page: Page) -> None:
    """Presses the button; waits until the history shows the new face."""
    earlier = pictures(page, TRIED)
    page.click("#random")
    page.wait_for_function(
        "([css, earlier]) => (i => i && !earlier.includes(i.src) && i.naturalWidth)"
        "(document.querySelector(css + ' img'))",
        arg=[TRIED, earlier],
    )


def press(page: Page, slider: str, key: str) -> None:
    """Moves a slider by a key; waits for the full size, which enters the history."""
    count = page.locator(TRIED).count()
    press_keys(page, key, 1, slider)
    expect(page.locator(TRIED)).to_have_count(count + 1)


def show(page: Page, tab: int) -> None:
    """Opens a tab: 0 variants, 1 morph, 2 comparison."""
    page.locator("#panels button[role=tab]").nth(tab).click()


def choose(page: Page, choice: str, number: int) -> None:
    """One part of a control."""
    page.locator(f"#{choice} label").nth(number).click()


def pictures(page: Page, css: str) -> list[str]:
    """Addresses of small pictures."""
    return page.locator(f"{css} img").evaluate_all("images => images.map(i => i.src)")


def test_variants_appear_one_by_one_and_a_click_returns(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    expect(page.locator("#variants-make")).to_be_disabled()
    expect(page.locator("#variants-board")).to_contain_text("several strengths")
    take_random_face(page)
    press(page, AGE, "End")
    page.click("#variants-make")
    expect(page.locator("#variants .working")).to_contain_text(re.compile(r"[1-4] of 5"))
    expect(page.locator("#variants-board .pending").last).to_be_visible()
    expect(page.locator(BOARD)).to_have_count(5)
    expect(page.locator("#variants-board [aria-current]")).to_have_count(1)  # Smile 0
    assert len(set(pictures(page, BOARD))) == 5
    sheet = take(page, "#variants-download", tmp_path)
    with Image.open(sheet) as image:
        assert image.format == "JPEG" and image.width > 5 * 256
    assert GENERATED.encode() in sheet.read_bytes()

    last = page.locator(BOARD).last
    expect(last).to_have_accessible_name("Use this edit: Youth +1, Smile +1")
    last.press("Enter")
    expect(page.locator(SMILE)).to_have_value("1")
    expect(page.locator(AGE)).to_have_value("1")
    expect(page.locator("#picture")).to_be_in_viewport()
    expect(last).to_have_attribute("aria-current", "true")
    expect(page.locator(TRIED)).to_have_count(3)  # as it came, older, and this
    expect(page.locator(TRIED).last).to_have_accessible_name("Use this edit: Unedited")
    page.locator(TRIED).last.click()
    expect(page.locator(SMILE)).to_have_value("0")
    expect(page.locator(AGE)).to_have_value("0")
    expect(page.locator(TRIED).last).to_have_attribute("aria-current", "true")
    expect(page.locator(TRIED)).to_have_count(3)


def test_a_grid_is_stopped_and_ends_with_its_face(visit: Visit) -> None:
    page = visit()
    take_random_face(page)
    choose(page, "variants-kind", 1)
    expect(page.locator("#variants-columns")).to_be_hidden()
    choose(page, "variants-size", 2)
    page.click("#variants-make")
    expect(page.locator(BOARD).nth(1)).to_be_visible()
    page.click("#variants-stop")
    expect(page.locator("#variants .ended")).to_contain_text("of 25")
    expect(page.locator("#variants-download")).to_be_disabled()
    assert 2 <= page.locator(BOARD).count() < 25
    headings = page.locator("#variants-board thead th").all_inner_texts()
    assert headings == [f"Smile {s}" for s in ("−1", "−0.5", "0", "+0.5", "+1")]

    choose(page, "variants-size", 0)
    page.click("#variants-make")
    page.click("#random")  # another face ends it
    expect(page.locator(BOARD)).to_have_count(0)
    expect(page.locator("#variants-board")).to_contain_text("several strengths")
    expect(page.locator(TRIED)).to_have_count(1)

    page.click("#variants-make")
    expect(page.locator(BOARD)).to_have_count(9)
    made = [*pictures(page, TRIED), *pictures(page, BOARD)]
    assert all(page.request.get(address).ok for address in made)
    page.click("#delete")
    expect(page.locator("#tried")).to_contain_text("Nothing yet")
    expect(page.locator(BOARD)).to_have_count(0)
    expect(page.locator("#variants-make")).to_be_disabled()
    assert {page.request.get(address).status for address in made} <= {403, 404}


def test_previews_stay_live_while_a_morph_is_made(
    visit: Visit, tmp_path: Path, axe: str
) -> None:
    page = visit()
    take_random_face(page)
    show(page, 1)
    page.click("#morph-make")
    expect(page.locator(".toast-body")).to_contain_text("move a slider")
    page.click("button.toast-close")
    show(page, 0)
    press(page, SMILE, "End")
    show(page, 1)
    expect(page.locator(WAY)).to_have_count(2)
    page.click("#morph-add")
    expect(page.locator("#morph-path .remove")).to_have_count(1)
    show(page, 0)
    press(page, AGE, "Home")
    show(page, 1)
    page.click("#morph-add")
    expect(page.locator("#morph-path .remove")).to_have_count(2)
    page.locator("#morph-path .remove").first.click()
    expect(page.locator(WAY)).to_have_count(2)
    expect(page.locator(WAY).last).to_contain_text("Youth −1")

    assert violations(page, axe) == []
    page.fill("#morph-seconds input[type=number]", "1")
    page.click("#morph-make")
    expect(page.locator(WORKING)).to_contain_text(re.compile(r"Frame \d+ of 25"))
    page.focus(SMILE)
    page.keyboard.press("Home")
    page.wait_for_selector(PREVIEW)
    expect(page.locator(WORKING)).to_contain_text("Frame")  # it goes on meanwhile
    expect(page.locator("#morph-player video")).to_be_visible()
    page.wait_for_function("document.querySelector('#morph-player video').duration > 0.9")
    film = take(page, "#morph-download", tmp_path)
    assert GENERATED.encode() in film.read_bytes()
    with av.open(str(film)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 25 and frames[0].shape == (512, 512, 3)
    there, back = (np.abs(frames[0].astype(float) - frames[i]).mean() for i in (12, 24))
    assert there > 5 * back  # there and back

    choose(page, "morph-format", 1)
    expect(page.locator("#morph-size")).to_be_hidden()
    page.click("#morph-make")
    expect(page.locator(WORKING)).to_contain_text(re.compile(r"Frame [2-9]"))
    page.click("#morph-stop")
    expect(page.locator("#morph .ended")).to_contain_text("Stopped")
    expect(page.locator("#morph-make")).to_be_visible()
    expect(page.locator("#morph-player video")).to_be_visible()  # the earlier one stays


def test_people_are_compared_and_failures_listed(
    visit: Visit, service: Service, photo: Image.Image, tmp_path: Path, axe: str
) -> None:
    page = visit()
    take_random_face(page)
    press(page, AGE, "Home")
    show(page, 2)
    page.click("#compare-add")
    people = page.locator("#compare-people .people li")
    expect(people).to_have_text(["Random face 1×"])
    (tmp_path / "no photo.txt").write_text("nothing to see")
    photo.save(tmp_path / "Zoë.png")
    files = [tmp_path / "no photo.txt", tmp_path / "Zoë.png", EXAMPLE]
    page.locator("#compare-photos input[type=file]").set_input_files(files)
    expect(page.locator("#compare .working")).to_contain_text("of 3")
    expect(people).to_have_count(3)
    expect(page.locator("#compare .working")).to_have_count(0)
    assert not [*service.files.folder.parent.rglob("Zo*.png")]  # the photos themselves are gone
    expect(page.locator(".failures li")).to_have_count(1)
    expect(page.locator(".failures")).to_contain_text("no photo.txt This is no image")
    page.click("#compare-make")
    board = page.locator("#compare-board table")
    expect(board).to_have_attribute("aria-busy", "false")
    assert board.locator("thead th").all_inner_texts() == ["Photo", "Unedited", "Youth −1"]
    rows = board.locator("tbody th").all_inner_texts()
    assert rows == ["Random face 1", "Zoë", "face-23"]
    assert len(set(pictures(page, "#compare-board"))) == 8  # of the random face one stands twice
    sheet = take(page, "#compare-download", tmp_path)
    assert EDITED.encode() in sheet.read_bytes() and Image.open(sheet).height > 3 * 256

    assert violations(page, axe) == []
    shown = pictures(page, "#compare-board tbody tr:nth-child(2)")
    page.get_by_role("button", name="Remove Zoë").click()
    expect(people).to_have_count(2)
    expect(board).to_have_count(0)  # nobody is shown who has left
    for address in shown:
        assert page.request.get(address).status in (403, 404)

    choose(page, "compare-kind", 1)
    page.click("#compare-make")
    expect(board.locator("td button.tile").nth(2)).to_be_visible()
    page.click("#compare-stop")
    expect(page.locator("#compare .ended")).to_be_visible()
    board.locator("td button.tile").nth(2).click()
    expect(page.locator("#slider-gender input[type=range]")).to_have_value("1")
    expect(page.locator("#tried button.tile")).to_have_count(3)  # seen at full size


def test_panels_on_a_german_phone(visit: Visit, axe: str) -> None:
    page = visit(390, 844, "dark", "de-DE")
    take_random_face(page)
    expect(page.locator("#history")).to_contain_text("Bisher versucht")
    choose(page, "variants-kind", 1)
    page.click("#variants-make")
    expect(page.locator(BOARD)).to_have_count(9)
    headings = page.locator("#variants-board thead th").all_inner_texts()
    assert headings == ["Lächeln −1", "Lächeln 0", "Lächeln +1"]
    page.locator(BOARD).first.tap()
    expect(page.locator(SMILE)).to_have_value("-1")
    expect(page.locator("#picture")).to_be_in_viewport()
    expect(page.locator(TRIED)).to_have_count(2)
    for tab in range(3):
        show(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert violations(page, axe) == []
    expect(page.locator("#compare-board")).to_contain_text("Noch nichts verglichen")
