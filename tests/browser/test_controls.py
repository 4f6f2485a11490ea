"""Undo, redo, reset, presets and settings in the browser: by mouse, keys, touch."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from sdflow.presets import PRESETS
from tests.browser.actions import (
    SMILE,
    Visit,
    press,
    shown,
    take_random_face,
    wait_for_picture,
)

SETTINGS = "#settings-text textarea"
PRESET = next(preset for preset in PRESETS if preset.name == "older")


def settle(page: Page, earlier: list[str]) -> list[str]:
    """Waits for the full size of what the sliders say by now."""
    expect(page.locator("#caption [data-state=preview]")).to_be_visible()
    return wait_for_picture(page, earlier)


def value(page: Page, name: str) -> float:
    return float(page.locator(f"#slider-{name} input[type=range]").input_value())


def test_undo_and_redo_go_through_what_was_settled(visit: Visit) -> None:
    page = visit()
    expect(page.locator("#undo")).to_be_disabled()
    start = take_random_face(page)
    expect(page.locator("#undo")).to_be_disabled()
    press(page, "ArrowRight", 4)  # four changes, which come to rest once
    first = settle(page, start)
    page.click(f"#presets button:has-text('{PRESET.label}')")
    second = settle(page, first)
    assert {name: value(page, name) for name in PRESET.strengths} == PRESET.strengths
    assert value(page, "smiling") == 0.2  # the preset leaves it
    expect(page.locator("#redo")).to_be_disabled()

    page.click("#undo")
    settle(page, second)
    assert value(page, "young") == 0 and value(page, "smiling") == 0.2
    page.keyboard.press("Control+z")
    expect(page.locator(SMILE)).to_have_value("0")
    expect(page.locator("#undo")).to_be_disabled()
    page.keyboard.press("Control+Shift+z")
    expect(page.locator(SMILE)).to_have_value("0.2")
    page.wait_for_timeout(700)  # a key that comes while the last one is answered does nothing
    page.keyboard.press("Control+y")
    expect(page.locator("#slider-young input[type=range]")).to_have_value("-0.5")
    page.wait_for_timeout(700)
    expect(page.locator("#redo")).to_be_disabled()

    number = page.locator("#slider-smiling input[type=number]")
    number.focus()
    page.keyboard.press("Control+z")  # is the field's own
    page.wait_for_timeout(300)
    assert value(page, "young") == -0.5
    page.click("#reset")
    expect(page.locator("#slider-young input[type=range]")).to_have_value("0")
    page.click("#undo")  # at once: what has not come to rest is a step too
    expect(page.locator("#slider-young input[type=range]")).to_have_value("-0.5")


def test_a_reset_of_one_slider_by_keys_and_its_name(visit: Visit) -> None:
    page = visit()
    start = take_random_face(page)
    press(page, "Home", 1)
    settle(page, start)
    reset = page.get_by_role("button", name="Reset: Smile", exact=True)
    page.focus("#slider-smiling input[type=number]")
    page.keyboard.press("Tab")
    expect(reset).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(SMILE)).to_have_value("0")
    assert reset.bounding_box()["height"] >= 24


def test_settings_are_copied_and_loaded(visit: Visit) -> None:
    page = visit()
    start = take_random_face(page)
    press(page, "ArrowLeft", 2)
    moved = settle(page, start)
    page.click("#settings button")
    expect(page.locator(SETTINGS)).to_have_value('{"smiling": -0.1}')
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#settings-text button")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert json.loads(copied) == {"smiling": -0.1}

    for wrong, sentence in (
        ("{smiling", "Paste an object"),
        ("[1, 2]", "Paste an object"),
        ('{"smiling": 2}', "from -1 to 1"),
        ('{"wings": 1}', "Unknown attribute"),
    ):
        page.fill(SETTINGS, wrong)
        page.click("#apply")
        expect(page.locator(".toast-body").last).to_contain_text(sentence)
        expect(page.locator(SETTINGS)).to_have_value(wrong)  # to be put right
    assert value(page, "smiling") == -0.1 and shown(page) == moved

    page.fill(SETTINGS, '{"strengths": {"young": 0.5}}')
    page.click("#apply")
    settle(page, moved)
    assert value(page, "young") == 0.5 and value(page, "smiling") == 0


def test_touch_on_a_phone(visit: Visit) -> None:
    page = visit(390, 844)
    page.locator("#random").tap()
    start = wait_for_picture(page)
    page.locator("#presets button").first.tap()
    settle(page, start)
    assert value(page, "smiling") == 1
    slider = page.locator("#slider-yaw input[type=range]")
    slider.focus()  # which brings it out from below the picture
    box = slider.bounding_box()
    page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    expect(page.locator("tr[data-attribute=yaw]")).to_have_class("moved")
    assert value(page, "yaw") > 0.5
    page.locator("#undo").tap()
    expect(slider).to_have_value("0")


def test_the_divider_moves_by_keys(visit: Visit) -> None:
    page = visit()
    take_random_face(page)
    divider = page.get_by_role("slider", name="Divider between before and after")
    divider.focus()
    for key, place in (("ArrowRight", "55"), ("Home", "0"), ("End", "100"), ("ArrowLeft", "95")):
        page.keyboard.press(key)
        expect(divider).to_have_attribute("aria-valuenow", place)
    style = page.locator("#picture img").last.get_attribute("style")
    assert re.search(r"inset\(0px 0px 0px 9[45](\.\d+)?%\)", style)
    assert page.locator("#picture img").evaluate_all("all => all.map(i => i.alt)") == [
        "Before",
        "After",
    ]


def test_the_page_speaks_german(visit: Visit) -> None:
    page = visit(locale="de-AT")
    expect(page.locator("#empty")).to_contain_text("Noch kein Gesicht")
    expect(page.locator("#slider-smiling")).to_contain_text("Lächeln")
    expect(page.locator("#presets")).to_contain_text("Älter")
    page.locator("#photo input[type=file]").set_input_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"this is no image"}
    )
    expect(page.locator(".toast-body")).to_contain_text("Das ist kein Bild")
    start = take_random_face(page)
    expect(page.locator("#caption")).to_contain_text("Vorher")
    expect(page.locator("#readout")).to_contain_text("Geschlecht")
    page.get_by_text("Einstellungen als JSON").click()
    expect(page.locator(SETTINGS)).to_have_value("{}")
    page.wait_for_timeout(200)  # it is just being made
    page.fill(SETTINGS, '{"smiling": true}')
    page.click("#apply")
    expect(page.locator(".toast-body").last).to_contain_text("Geben Sie eine Zahl von -1 bis 1")
    assert shown(page) == start
    for english in ("Reset", "Undo", "Face", "Photo", "Attribute", "Compare"):
        assert not re.search(rf"\b{english}\b", page.inner_text("#workbench")), english
