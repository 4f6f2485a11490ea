"""What the browser's tests do and look at."""

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
SECONDS = 60  # to wait for a picture
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.jpg"))
Visit = Callable[..., Page]


def shown(page: Page) -> list[str]:
    """The addresses of the pictures that are compared: before, after."""
    return page.locator("#picture img").evaluate_all("images => images.map(image => image.src)")


def alone(page: Page) -> list[str]:
    """The address of the picture that stands in their place."""
    return page.locator("#alone img").evaluate_all("images => images.map(image => image.src)")


def wait_for_picture(
    page: Page, other_than: list[str] | None = None, of: Callable[[Page], list[str]] = shown
) -> list[str]:
    """Waits for the full size, and for a result that is none of those given; returns it."""
    page.wait_for_selector("#caption [data-state=ready]:not(:empty)")
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        pictures = of(page)
        if len(pictures) == (2 if of is shown else 1) and pictures != other_than:
            page.wait_for_function(
                "[...document.querySelectorAll('#picture img')].every(i => i.naturalWidth > 0)"
            )
            return pictures
        page.wait_for_timeout(50)
    raise AssertionError(f"still the same picture: {of(page)}")


def wait_for_full(page: Page, value: float, slider: str = SMILE) -> None:
    """Waits until a slider stands somewhere and the full size of that can be taken along."""
    expect(page.locator(slider)).to_have_value(f"{value:g}")
    expect(page.locator("#settings-text textarea")).to_have_value(
        re.compile(rf": {value:g}\b") if value else re.compile("^{")
    )
    expect(page.locator("#download")).to_be_enabled()


def example(name: str) -> int:
    """Which of the examples has a name."""
    return [file.stem for file in EXAMPLES].index(name)


def open_example(page: Page, name: str = "face-21") -> list[str]:
    """Opens an example; returns the addresses of before and after."""
    earlier = shown(page)
    page.locator("#examples button.thumbnail-item").nth(example(name)).click()
    return wait_for_picture(page, earlier)


def take_random_face(page: Page) -> list[str]:
    """Presses the button; returns the addresses of before and after."""
    earlier = shown(page)
    page.click("#random")
    return wait_for_picture(page, earlier)


def look(page: Page, where: str) -> None:
    """Chooses what is shown: compare, face, photo or cutout."""
    page.locator(f"#where label:has(input[value={where}])").click()


def press(page: Page, key: str, times: int = 3, slider: str = SMILE) -> None:
    """Moves a slider by keys."""
    page.focus(slider)
    for _ in range(times):
        page.keyboard.press(key)


def take(page: Page, button: str, folder: Path) -> Path:
    """Presses a button that downloads a file, once it can be; returns the file."""
    expect(page.locator(button)).to_be_enabled()
    with page.expect_download() as started:
        page.click(button)
    file = folder / started.value.suggested_filename
    started.value.save_as(file)
    return file


def take_picture(page: Page, button: str, folder: Path) -> Image.Image:
    """The same for a picture; returns it."""
    with Image.open(take(page, button, folder)) as image:
        image.load()
    return image


def luminance(colour: str) -> float:
    """Relative luminance of a CSS rgb() colour, as WCAG 2 defines it."""
    levels = [float(number) / 255 for number in re.findall(r"[\d.]+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
