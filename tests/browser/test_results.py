"""Sources and results in the browser: clipboard, webcam, HEIC, files; every way to see an edit."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from sdflow.marking import EDITED
from sdflow.recipes import load_recipe
from tests.browser.actions import (
    EXAMPLES,
    SMILE,
    Visit,
    alone,
    example,
    look,
    open_example,
    press,
    take,
    take_picture,
    wait_for_picture,
)
from tests.browser.conftest import CHROMIUM

PHOTO = EXAMPLES[example("face-21")]
OPEN = "#source input[type=file][accept*='.safetensors']"


def choose(page: Page, name: str) -> None:
    """Chooses the download's format."""
    page.locator(f"#format label:has-text('{name}')").click()
    expect(page.locator("#format .selected")).to_have_text(name)
    expect(page.locator("#download")).to_be_disabled()


def test_a_face_alone_and_cut_out_in_every_format(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    start = open_example(page, "face-29")  # short hair: the corners are background
    press(page, "End", 1)
    wait_for_picture(page, start)
    look(page, "face")
    face = wait_for_picture(page, of=alone)
    expect(page.locator("#alone img")).to_have_attribute("alt", "Edited face")
    look(page, "cutout")
    wait_for_picture(page, face, of=alone)
    cut = take_picture(page, "#download", tmp_path)
    assert cut.format == "PNG" and cut.mode == "RGBA" and cut.size == (1024, 1024)
    corners = np.asarray(cut.getchannel("A"))
    assert (corners[:100, :60] == 0).mean() > 0.99 and corners[512, 512] == 255

    press(page, "Home", 1)  # the preview is cut out too
    expect(page.locator("#caption [data-state=preview]")).to_be_visible()
    assert alone(page)[0].endswith(".webp")
    expect(page.locator("#caption [data-state=ready]")).to_be_visible()
    expect(page.locator("#download")).to_be_enabled()
    for name, form in (("WebP", "WEBP"), ("JPEG", "JPEG")):
        choose(page, name)
        image = take_picture(page, "#download", tmp_path)
        assert image.format == form and (image.mode == "RGBA") == (form == "WEBP")
    assert image.getpixel((30, 50)) == (255, 255, 255)


def test_a_recipe_and_a_face_file_open_again(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    start = open_example(page)
    press(page, "ArrowLeft", 4)
    wait_for_picture(page, start)
    recipe, face = (take(page, button, tmp_path) for button in ("#recipe", "#face_file"))
    assert load_recipe(recipe).strengths == {"smiling": -0.2}
    made = take_picture(page, "#download", tmp_path)
    assert EDITED in made.info["xmp"].decode()

    other = visit()
    other.locator(OPEN).set_input_files(recipe)
    opened = wait_for_picture(other)
    expect(other.locator(SMILE)).to_have_value("-0.2")
    assert take_picture(other, "#download", tmp_path).tobytes() == made.tobytes()
    other.locator(OPEN).set_input_files(face)
    wait_for_picture(other, opened)
    expect(other.locator(SMILE)).to_have_value("0")
    (tmp_path / "none.json").write_text("{}")
    other.locator(OPEN).set_input_files(tmp_path / "none.json")
    expect(other.locator(".toast-body")).to_contain_text("holds no recipe")
    expect(other.locator(SMILE)).to_be_enabled()  # the earlier face stays


def test_a_photo_from_the_clipboard(visit: Visit) -> None:
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    png = io.BytesIO()
    Image.open(PHOTO).resize((512, 512)).save(png, "PNG")
    page.evaluate(
        """async code => {
            const blob = await (await fetch('data:image/png;base64,' + code)).blob();
            await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
        }""",
        base64.b64encode(png.getvalue()).decode(),
    )
    page.click("#photo button[aria-label='Paste from clipboard']")
    wait_for_picture(page)
    expect(page.locator(".likeness")).to_be_visible()


def test_a_heic_photo_is_shown_as_jpeg(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "phone.heic"
    pillow_heif.from_pillow(Image.open(PHOTO).resize((640, 640))).save(file, quality=80)
    page = visit()
    page.locator("#photo input[type=file]").set_input_files(file)
    start = wait_for_picture(page)
    page.wait_for_function("document.querySelector('#photo img')?.naturalWidth == 640")
    look(page, "photo")
    wait_for_picture(page, start)
    expect(page.locator("#caption")).to_contain_text("640 × 640")


@pytest.fixture
def webcam(browser: Browser, tmp_path: Path, url: str) -> Iterator[Page]:
    """The page in a browser whose camera sees an example."""
    frame = io.BytesIO()
    Image.open(PHOTO).resize((640, 640)).save(frame, "JPEG", quality=90)
    film = tmp_path / "camera.mjpeg"
    film.write_bytes(frame.getvalue() * 2)
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    camera += [f"--use-file-for-fake-video-capture={film}", "--no-sandbox"]
    seeing = browser.browser_type.launch(executable_path=CHROMIUM, args=camera)
    page = seeing.new_page()
    page.goto(url)
    yield page
    seeing.close()


def test_a_photo_from_the_webcam(webcam: Page) -> None:
    webcam.click("#photo button[aria-label='Capture from camera']")
    webcam.locator("#photo").get_by_text("Click to Access Webcam").click()
    webcam.wait_for_function("document.querySelector('#photo video')?.videoWidth > 0")
    webcam.locator("#photo button.capture-button").click()
    expect(webcam.locator(".toast-body")).to_have_count(0)
    wait_for_picture(webcam)
    expect(webcam.locator(".likeness")).to_be_visible()
