"""The page while the models are still being fetched: up at once, and it says what it waits for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import sdflow.weights as weights
from sdflow.manifest import WeightFile
from sdflow.page.service import Service
from sdflow.pipeline import Editor
from tests.browser.actions import take_random_face
from tests.ports import free_port


@pytest.mark.parametrize(("locale", "words"), [("en-US", "Being fetched"), ("de-DE", "geladen")])
def test_downloads_are_shown_and_early_requests_wait(
    browser: Browser, editor: Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    locale: str, words: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    import app

    fetched, done = threading.Event(), threading.Event()

    def load() -> Editor:
        with weights._told(WeightFile("e4e.pt", 1_070_000_000)):
            fetched.set()
            done.wait(60)
        return editor

    service = Service(tmp_path / "made", load=load)
    service.start()
    fetched.wait(60)
    page = app.make_page(service)
    options = {"server_name": "127.0.0.1", "server_port": free_port(), "quiet": True}
    url = app.launch(page, service, prevent_thread_lock=True, **options)[1]
    context = browser.new_context(locale=locale)
    visitor = context.new_page()
    try:
        visitor.goto(url)
        expect(visitor.locator("#banner")).to_contain_text("e4e.pt, 1070 MB")
        expect(visitor.locator("#banner")).to_contain_text(words)
        visitor.click("#random")  # before there is any model
        visitor.wait_for_timeout(500)
        assert service.status == "loading" and service.fetching == "e4e.pt, 1070 MB"
        done.set()
        visitor.wait_for_selector("#banner", state="detached")
        visitor.wait_for_selector("#caption [data-state=ready]:not(:empty)")
        take_random_face(visitor)
        assert service.fetching is None
    finally:
        done.set()
        context.close()
        page.close()
