"""The page while the models are still being fetched: up at once, and it says what it waits for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from sdflow import downloads
from sdflow.manifest import Archive, WeightFile, find_entry
from sdflow.page.service import Service
from sdflow.pipeline import Editor
from sdflow.weights import cache_dir, path
from tests.browser.actions import take_random_face
from tests.ports import free_port

LANDMARKS = find_entry("dlib_landmarks").files[0]
FETCHED = f"{LANDMARKS.name}, {LANDMARKS.size / 1e6:.0f} MB"


@pytest.mark.parametrize(("locale", "words"), [("en-US", "Being fetched"), ("de-DE", "geladen")])
def test_downloads_are_shown_and_early_requests_wait(
    browser: Browser, editor: Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    locale: str, words: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    import app

    fetched, done = threading.Event(), threading.Event()
    kept = cache_dir()
    monkeypatch.setenv("SDFLOW_CACHE", str(tmp_path))

    def fetch(source: Archive, wanted: Mapping[Path, WeightFile], folder: Path) -> None:
        fetched.set()
        done.wait(60)
        for file in wanted:
            file.parent.mkdir(parents=True)
            file.symlink_to(kept / file.relative_to(tmp_path))

    def load() -> Editor:
        path("dlib_landmarks")
        return editor

    monkeypatch.setattr(downloads, "fetch_members", fetch)
    service = Service(tmp_path / "made", load=load)
    service.start()
    assert fetched.wait(60)
    page = app.make_page(service)
    options = {"server_name": "127.0.0.1", "server_port": free_port(), "quiet": True}
    url = app.launch(page, service, prevent_thread_lock=True, **options)[1]
    context = browser.new_context(locale=locale)
    visitor = context.new_page()
    try:
        visitor.goto(url)
        expect(visitor.locator("#banner")).to_contain_text(FETCHED)
        expect(visitor.locator("#banner")).to_contain_text(words)
        visitor.click("#random")  # before there is any model
        visitor.wait_for_timeout(500)
        assert service.status == "loading" and service.fetching == FETCHED
        done.set()
        visitor.wait_for_selector("#banner", state="detached")
        visitor.wait_for_selector("#caption [data-state=ready]:not(:empty)")
        take_random_face(visitor)
        assert service.fetching is None
    finally:
        done.set()
        context.close()
        page.close()
