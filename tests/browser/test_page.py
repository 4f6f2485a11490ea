"""The page in headless Chromium: what a visitor does with mouse, keys, phone, and what is seen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.actions import (
    EXAMPLES,
    FULL,
    PREVIEW,
    SMILE,
    Visit,
    example,
    look,
    open_example,
    press,
    shown,
    take_picture,
    take_random_face,
    wait_for_picture,
)


def test_random_face_keys_reset_and_download(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    expect(page.locator("#empty")).to_contain_text("No face yet")
    expect(page.locator(SMILE)).to_be_disabled()
    expect(page.locator("#download")).to_be_disabled()
    start = take_random_face(page)

    page.focus(SMILE)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator(PREVIEW)).to_contain_text("512")
    expect(page.locator(FULL)).to_contain_text("1024 × 1024")
    moved = wait_for_picture(page, start)
    assert moved[0] == start[0] and moved[1] != start[1]
    expect(page.locator("#slider-smiling input[type=number]")).to_have_value("0.15")
    expect(page.locator("tr[data-attribute=smiling]")).to_have_class("moved")
    expect(page.locator("tr[data-attribute=young]")).not_to_have_class("moved")

    assert take_picture(page, "#download", tmp_path).size == (1024, 1024)

    page.click("#reset")
    expect(page.locator(SMILE)).to_have_value("0")
    expect(page.locator("tr[data-attribute=smiling]")).not_to_have_class("moved")


def test_the_picture_follows_a_dragged_slider_and_its_reset(visit: Visit) -> None:
    page = visit()
    start = take_random_face(page)
    box = page.locator(SMILE).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(middle[0] + step * box["width"] / 20, middle[1])
        page.wait_for_timeout(40)
    expect(page.locator(PREVIEW)).to_be_visible()  # the button is still held down
    page.mouse.up()
    expect(page.locator(FULL)).to_be_visible()
    dragged = wait_for_picture(page, start)
    strength = float(page.locator(SMILE).input_value())
    assert strength > 0.5
    page.click("#slider-smiling button[aria-label='Reset to default value']")
    expect(page.locator(PREVIEW)).to_be_visible()
    expect(page.locator("tr[data-attribute=smiling]")).not_to_have_class("moved")
    assert shown(page)[1] != dragged[1]


def test_upload_several_faces_and_an_error(
    visit: Visit, photo: Image.Image, tmp_path: Path
) -> None:
    page = visit()
    upload = page.locator("#photo input[type=file]")
    photo.save(tmp_path / "two.png")
    upload.set_input_files(tmp_path / "two.png")
    page.click("#photo button[aria-label='Clear'], #photo button[aria-label='Remove Image']")
    upload.set_input_files(  # while the photo may still be worked on
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"this is no image"}
    )
    expect(page.locator(".toast-body")).to_contain_text("This is no image")
    first = wait_for_picture(page)
    expect(page.locator("#faces button.thumbnail-item")).to_have_count(2)
    page.wait_for_function("document.querySelector('#photo img')?.naturalWidth == 1600")
    page.locator("#faces button.thumbnail-item").nth(1).click()
    second = wait_for_picture(page, first)
    assert first[0] != second[0] and first[1] != second[1]

    take_random_face(page)
    expect(page.locator("#faces")).to_be_hidden()


def test_two_visitors_have_faces_of_their_own(visit: Visit) -> None:
    one, other = visit(), visit()
    first, second = take_random_face(one), take_random_face(other)
    assert not set(first) & set(second)
    one.focus(SMILE)
    one.keyboard.press("End")
    wait_for_picture(one, first)
    assert shown(one)[0] == first[0]
    assert shown(other) == second
    assert other.locator(SMILE).input_value() == "0"


def test_a_phone_keeps_the_picture_in_view(visit: Visit) -> None:
    page = visit(390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    take_random_face(page)
    last = page.locator("input[type=range]").last
    last.evaluate("slider => { slider.scrollIntoView({block: 'end'}); scrollBy(0, 60) }")
    assert page.evaluate("scrollY") > 300
    slider, picture = last.bounding_box(), page.locator("#picture").bounding_box()
    assert picture["y"] >= 0 and picture["width"] > 250
    assert picture["y"] + picture["height"] <= slider["y"] <= 844 - slider["height"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_examples_open(visit: Visit) -> None:
    page = visit()
    examples = page.locator("#examples button.thumbnail-item")
    expect(examples).to_have_count(len(EXAMPLES))
    examples.nth(1).click()
    wait_for_picture(page)
    expect(page.locator("#photo img")).to_be_visible()
    expect(page.locator(SMILE)).to_be_enabled()


# ---- the photo


def test_an_example_is_edited_in_its_photo(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    expect(page.locator("#where input").first).to_be_disabled()
    face = open_example(page)
    expect(page.locator(".likeness")).to_contain_text(re.compile(r"Likeness 0\.\d\d|1\.00"))
    expect(page.locator("#mask")).to_be_hidden()
    frame = page.locator("#picture").bounding_box()
    look(page, "photo")
    photo = wait_for_picture(page, face)
    expect(page.locator(FULL)).to_contain_text("×")
    assert page.locator("#picture").bounding_box() == frame  # nothing jumps

    press(page, "End", 1)
    page.wait_for_selector("#inset img")
    expect(page.locator(PREVIEW)).to_contain_text("photo follows")
    pasted = wait_for_picture(page, photo)
    assert pasted[0] == photo[0] and pasted[1] != photo[1]
    expect(page.locator("#inset")).to_be_hidden()
    image, mask = (take_picture(page, button, tmp_path) for button in ("#download", "#mask"))
    with Image.open(EXAMPLES[example("face-21")]) as original:
        assert image.format == "JPEG" and image.size == mask.size == original.size
        touched = np.asarray(mask) > 0
        before, after = (np.asarray(x.convert("RGB")).astype(int) for x in (original, image))
    difference = np.abs(before - after).mean(2)
    assert difference[touched].mean() > 2 * difference[~touched].mean()

    look(page, "compare")
    assert wait_for_picture(page, pasted)[0] == face[0]
    expect(page.locator("#format .selected")).to_have_text("PNG")
    expect(page.locator("#mask")).to_be_hidden()


def test_two_faces_of_a_photo_are_both_in_it(
    visit: Visit, photo: Image.Image, tmp_path: Path
) -> None:
    small = photo.resize((800, 600))
    small.save(tmp_path / "two.png")
    page = visit()
    faces = page.locator("#faces button.thumbnail-item")
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "two.png")
    first = wait_for_picture(page)
    look(page, "photo")
    start = wait_for_picture(page, first)
    press(page, "Home", 1)
    one = wait_for_picture(page, start)
    faces.nth(1).click()
    expect(page.locator(SMILE)).to_have_value("0")
    expect(faces.nth(0)).to_contain_text("edited")
    other = wait_for_picture(page, one)
    press(page, "End", 1)
    both = wait_for_picture(page, other)
    assert both[0] == start[0]
    expect(page.locator("#format .selected")).to_have_text("PNG")
    image, mask = (take_picture(page, button, tmp_path) for button in ("#download", "#mask"))
    before, after, cover = (np.asarray(x) for x in (small, image, mask))
    for half in (slice(400), slice(450, None)):
        assert (before != after)[:, half].any() and cover[:, half].any()
    assert np.array_equal(before[cover == 0], after[cover == 0])

    faces.nth(0).click()
    expect(page.locator(SMILE)).to_have_value("-1")
    wait_for_picture(page, both)
    faces.nth(1).click()
    expect(page.locator(SMILE)).to_have_value("1")


def test_a_face_without_a_photo_says_so(visit: Visit) -> None:
    page = visit()
    face = take_random_face(page)
    expect(page.locator("#refine")).to_be_disabled()
    expect(page.locator(".likeness")).to_have_count(0)
    look(page, "photo")
    expect(page.locator("#notice [role=status]")).to_contain_text("Open a photo")
    expect(page.locator("#notice [role=status]")).to_be_visible()
    expect(page.locator("#hint")).to_be_hidden()
    page.wait_for_timeout(500)
    assert len(shown(page)) == 2 and shown(page)[0] == face[0]
    open_example(page)
    expect(page.locator("#notice [role=status]")).to_have_count(0)
    expect(page.locator(FULL)).to_contain_text("×")


# ---- likeness


def test_refinement_is_shown_and_stopped(visit: Visit) -> None:
    page = visit()
    opened = open_example(page)
    press(page, "ArrowRight")
    moved = wait_for_picture(page, opened)
    expect(page.locator("#download")).to_be_enabled()
    expect(page.locator("#stop")).to_be_hidden()
    page.click("#refine")
    expect(page.locator(".working")).to_contain_text(re.compile(r"Step \d+ of 60"))
    on_the_way = wait_for_picture(page, moved)
    assert on_the_way[0] == opened[0]
    expect(page.locator("#refine")).to_be_hidden()
    page.click("#stop")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#refine")).to_be_enabled()
    refined = wait_for_picture(page, on_the_way)
    assert refined[0] and refined[1] not in (opened[1], moved[1])
    expect(page.locator("#slider-smiling input[type=number]")).to_have_value("0.15")
    expect(page.locator("tr[data-attribute=smiling]")).to_have_class("moved")
    expect(page.locator(".likeness")).to_be_visible()


def test_what_needs_the_released_classifier_is_not_seen_without_it(visit: Visit) -> None:
    page = visit()
    for part in ("#mapping", "#meaning", "#celeba"):
        expect(page.locator(part)).to_have_count(0)
    page.get_by_role("button", name="Models, consent").click()
    expect(page.locator("#models")).to_contain_text("The set “mobile” runs: the light generator")
    page.click("#settings button")
    take_random_face(page)
    page.fill("#settings-text textarea", '{"mapping": "original", "strengths": {"young": 0.2}}')
    page.click("#apply")
    expect(page.locator(".toast-body")).to_contain_text("released classifier")
