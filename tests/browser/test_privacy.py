"""What is nobody else's business: deletion, expired and foreign faces, tokens, logs."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from sdflow.page.service import Service
from tests.browser.actions import (
    EXAMPLES,
    SMILE,
    Visit,
    example,
    look,
    press,
    shown,
    take,
    take_random_face,
    wait_for_picture,
)

PHOTO = EXAMPLES[example("face-21")]


def tokens(service: Service) -> set[str]:
    """Of all faces that are kept."""
    return set(service.store._kept)


def status(address: str) -> int:
    """Of what a server answers."""
    try:
        with urllib.request.urlopen(address) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def upload(page: Page, folder: Path, name: str = "my-very-own.jpg") -> list[str]:
    """Opens a photo; returns the addresses of before and after."""
    file = folder / name
    with Image.open(PHOTO) as photo:
        photo.crop((3, 3, 1000, 1000)).save(file, quality=91)
    page.locator("#photo input[type=file]").set_input_files(file)
    return wait_for_picture(page)


def test_deleting_leaves_nothing_and_touches_nobody_else(
    visit: Visit, service: Service, tmp_path: Path
) -> None:
    import app

    other = visit()
    kept = take_random_face(other)
    before, files = tokens(service), {*app.PRIVATE.rglob("*")}
    page = visit()
    answered: set[str] = set()
    page.on("response", lambda answer: answered.add(answer.url))
    start = upload(page, tmp_path)
    press(page, "End", 1)
    face = wait_for_picture(page, start)
    look(page, "photo")
    wait_for_picture(page, face)
    take(page, "#mask", tmp_path)
    mine = tokens(service) - before
    made = {file for file in {*app.PRIVATE.rglob("*")} - files if file.is_file()}
    examples = tuple(file.name for file in EXAMPLES)
    addresses = {at for at in answered if "/file=" in at and not at.endswith(examples)}
    assert mine and len(made) > 8 and len(addresses) >= 6
    assert any(file.name == "my-very-own.jpg" for file in made)
    assert all(status(at) == 200 for at in addresses)

    page.click("#delete")
    expect(page.locator(".toast-body")).to_contain_text("Nothing of your photos")
    expect(page.locator("#empty")).to_contain_text("No face yet")
    expect(page.locator("#empty")).to_be_visible()
    expect(page.locator("#photo img")).to_have_count(0)
    expect(page.locator(SMILE)).to_be_disabled()
    expect(page.locator(SMILE)).to_have_value("0")
    expect(page.locator("#download")).to_be_disabled()
    expect(page.locator("#undo")).to_be_disabled()
    assert "my-very-own" not in page.content()
    assert not mine & tokens(service)
    assert not [file for file in made if file.exists()]
    assert not [at for at in addresses if status(at) not in (403, 404)]

    assert shown(other) == kept and all(status(at) == 200 for at in kept)
    press(other, "End", 1)
    wait_for_picture(other, kept)
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "my-very-own.jpg")
    wait_for_picture(page)  # the page goes on


def test_deleting_while_a_photo_is_opened(
    visit: Visit, service: Service, tmp_path: Path
) -> None:
    before = tokens(service)
    page = visit()
    with Image.open(PHOTO) as photo:
        photo.save(tmp_path / "new.jpg")
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "new.jpg")
    page.wait_for_selector("#empty .progress-text")
    page.click("#delete")
    expect(page.locator(".toast-body").filter(has_text="as you asked")).to_be_visible()
    assert tokens(service) == before
    expect(page.locator("#empty")).to_contain_text("No face yet")


def test_an_expired_face_is_told(visit: Visit, service: Service) -> None:
    before = tokens(service)
    page = visit()
    start = take_random_face(page)
    for token in tokens(service) - before:
        service.store.discard(token)  # as its time has come
    press(page, "End", 1)
    expect(page.locator(".toast-body")).to_contain_text("not kept any more")
    assert shown(page) == start
    assert take_random_face(page) != start


def test_tokens_stay_on_the_server_and_sessions_apart(
    visit: Visit, service: Service, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before, photos = tokens(service), {kept.path for kept in service._photo_of.values()}
    page = visit()
    answers: list[str] = []
    page.on("response", lambda answer: answers.append(answer.url))
    page.on("requestfinished", lambda asked: answers.append(asked.post_data or ""))
    page.locator("#photo input[type=file]").set_input_files(
        {"name": "secret-name.jpg", "mimeType": "image/jpeg", "buffer": b"this is no image"}
    )
    expect(page.locator(".toast-body")).to_contain_text("no image")
    start = upload(page, tmp_path, "secret-name.jpg")
    press(page, "End", 1)
    wait_for_picture(page, start)
    config = page.evaluate("JSON.stringify(window.gradio_config)")
    seen = page.content() + config + "".join(answers)
    new = tokens(service) - before
    assert new and not any(token in seen for token in new)

    # the kept photo cannot be asked for, whatever the address
    (photo,) = {kept.path for kept in service._photo_of.values()} - photos
    root = page.url.rstrip("/")
    for at in (f"/gradio_api/file={photo}", f"/file={photo}", f"/gradio_api/file={photo.parent}"):
        assert status(root + at) in (403, 404)
    told = "".join(capfd.readouterr())
    assert "secret" not in told and str(tmp_path) not in told
    assert not any(token in told for token in new)
