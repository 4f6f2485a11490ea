"""The page in headless Chromium: what a visitor does with mouse, keys, phone, and what is seen."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

SMILE = "#slider-smiling input[type=range]"
FULL = "#caption [data-state=ready]"
PREVIEW = "#caption [data-state=preview]"
IN_PHOTO = "#where label:has-text('In the photo')"
SECONDS = 60  # to wait for a picture
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.jpg"))
Visit = Callable[..., Page]


def shown(page: Page) -> list[str]:
    """The addresses of the pictures that are compared: before, after."""
    return page.locator("#picture img").evaluate_all("images => images.map(image => image.src)")


def wait_for_picture(page: Page, other_than: list[str] | None = None) -> list[str]:
    """Waits for the full size, and for a result that is none of those given; returns it."""
    page.wait_for_selector("#caption [data-state=ready]:not(:empty)")
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        pictures = shown(page)
        if len(pictures) == 2 and pictures != other_than:
            page.wait_for_function(
                "[...document.querySelectorAll('#picture img')].every(i => i.naturalWidth > 0)"
            )
            return pictures
        page.wait_for_timeout(50)
    raise AssertionError(f"still the same picture: {shown(page)}")


def open_example(page: Page, number: int = 0) -> list[str]:
    """Opens an example; returns the addresses of before and after."""
    page.locator("#examples button.thumbnail-item").nth(number).click()
    return wait_for_picture(page)


def press(page: Page, key: str, times: int = 3, slider: str = SMILE) -> None:
    """Moves a slider by keys."""
    page.focus(slider)
    for _ in range(times):
        page.keyboard.press(key)


def download(page: Page, button: str, folder: Path) -> Image.Image:
    """Presses a button that downloads a picture, once it can be; returns the picture."""
    expect(page.locator(button)).to_be_enabled()
    with page.expect_download() as started:
        page.click(button)
    file = folder / started.value.suggested_filename
    started.value.save_as(file)
    with Image.open(file) as image:
        image.load()
    return image


def take_random_face(page: Page) -> list[str]:
    """Presses the button; returns the addresses of before and after."""
    earlier = shown(page)
    page.click("#random")
    return wait_for_picture(page, earlier)


def luminance(colour: str) -> float:
    """Relative luminance of a CSS rgb() colour, as WCAG 2 defines it."""
    levels = [float(number) / 255 for number in re.findall(r"[\d.]+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(page: Page, selector: str) -> float:
    """Contrast of an element's text with the nearest background behind it."""
    text, behind = page.locator(selector).first.evaluate(
        """element => {
            const text = getComputedStyle(element).color;
            let colour = 'rgba(0, 0, 0, 0)';
            for (let at = element; at && /, 0\\)|transparent/.test(colour); at = at.parentElement)
                colour = getComputedStyle(at).backgroundColor;
            return [text, colour];
        }"""
    )
    low, high = sorted((luminance(text), luminance(behind)))
    return (high + 0.05) / (low + 0.05)


def test_random_face_keys_reset_and_download(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    expect(page.locator("#empty")).to_contain_text("No face yet")
    expect(page.locator(SMILE)).to_be_disabled()
    expect(page.locator("#png")).to_be_disabled()
    start = take_random_face(page)

    page.focus(SMILE)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator(PREVIEW)).to_contain_text("512")
    expect(page.locator(FULL)).to_contain_text("1024")
    moved = wait_for_picture(page, start)
    assert moved[0] == start[0] and moved[1] != start[1]
    expect(page.locator("#slider-smiling input[type=number]")).to_have_value("0.15")
    expect(page.locator("tr[data-attribute=smiling]")).to_have_class("moved")
    expect(page.locator("tr[data-attribute=young]")).not_to_have_class("moved")

    expect(page.locator("#png")).to_be_enabled()
    with page.expect_download() as download:
        page.click("#png")
    download.value.save_as(tmp_path / "edit.png")
    with Image.open(tmp_path / "edit.png") as image:
        assert image.format == "PNG" and image.size == (1024, 1024)

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


def test_dark_and_light_are_legible(visit: Visit) -> None:
    for scheme in ("light", "dark"):
        page = visit(scheme=scheme)
        body = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert body < 0.1 if scheme == "dark" else body > 0.8
        texts = ["#header h1", "#header p", "#random", "#reset", "#empty p", "#workbench h2"]
        texts += [".poles span", "[data-testid=block-info]", "#photo [data-testid=upload-text]"]
        for selector in texts:
            assert contrast(page, selector) >= 4.5, (scheme, selector)


def test_examples_open(visit: Visit) -> None:
    page = visit()
    examples = page.locator("#examples button.thumbnail-item")
    expect(examples).to_have_count(4)
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
    page.click(IN_PHOTO)
    photo = wait_for_picture(page, face)
    expect(page.locator(FULL)).to_contain_text("×")
    assert page.locator("#picture").bounding_box() == frame  # nothing jumps

    press(page, "End", 1)
    page.wait_for_selector("#inset img")
    expect(page.locator(PREVIEW)).to_contain_text("photo follows")
    pasted = wait_for_picture(page, photo)
    assert pasted[0] == photo[0] and pasted[1] != photo[1]
    expect(page.locator("#inset")).to_be_hidden()
    image, mask = (download(page, button, tmp_path) for button in ("#png", "#mask"))
    with Image.open(EXAMPLES[0]) as original:
        assert image.format == "JPEG" and image.size == mask.size == original.size
        touched = np.asarray(mask) > 0
        before, after = (np.asarray(x.convert("RGB")).astype(int) for x in (original, image))
    difference = np.abs(before - after).mean(2)
    assert difference[touched].mean() > 2 * difference[~touched].mean()

    page.locator("#where label").first.click()
    assert wait_for_picture(page, pasted)[0] == face[0]
    expect(page.locator("#png")).to_contain_text("PNG")
    expect(page.locator("#mask")).to_be_hidden()


def test_two_faces_of_a_photo_are_both_in_it(
    visit: Visit, photo: Image.Image, tmp_path: Path
) -> None:
    photo.save(tmp_path / "two.png")
    page = visit()
    faces = page.locator("#faces button.thumbnail-item")
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "two.png")
    first = wait_for_picture(page)
    page.click(IN_PHOTO)
    start = wait_for_picture(page, first)
    press(page, "Home", 1)
    one = wait_for_picture(page, start)
    faces.nth(1).click()
    expect(page.locator(SMILE)).to_have_value("0")
    other = wait_for_picture(page, one)
    press(page, "End", 1)
    both = wait_for_picture(page, other)
    assert both[0] == start[0]
    expect(page.locator("#png")).to_contain_text("Download PNG")
    image, mask = (download(page, button, tmp_path) for button in ("#png", "#mask"))
    before, after, cover = (np.asarray(x) for x in (photo, image, mask))
    for half in (slice(800), slice(900, None)):
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
    page.click(IN_PHOTO)
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
    expect(page.locator("#png")).to_be_enabled()
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
