"""The page on a server in this process, and Debian's Chromium, without which these tests fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from sdflow.downloads import fetch_members
from sdflow.manifest import Archive, WeightFile, hash_file
from sdflow.page.service import Service
from sdflow.pipeline import Editor
from sdflow.weights import cache_dir
from tests.ports import free_port

CHROMIUM = "/usr/bin/chromium"
AXE_ARCHIVE = Archive(
    "npm",
    "axe-core",
    "4.14.1",
    "axe-core-4.14.1.tgz",
    708_405,
    "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
)
AXE = WeightFile(
    "axe.min.js",
    653_780,
    "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
    "package/axe.min.js",
)
PATIENCE = 60_000  # milliseconds; a busy machine of two cores needs some


@pytest.fixture(scope="session")
def service(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """What the page calls; photos are opened without refinement, to save time."""
    os.environ.setdefault("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("private")))
    import app

    service = Service(app.PRIVATE / "made", load=lambda: editor, steps=0)
    service.start().result()
    return service


@pytest.fixture(scope="session")
def url(service: Service) -> Iterator[str]:
    """Address of the page."""
    import app

    page = app.make_page(service)
    options = {"server_name": "127.0.0.1", "server_port": free_port(), "quiet": True}
    yield app.launch(page, service, prevent_thread_lock=True, **options)[1]
    page.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which judges pages; fetched once by npm into the cache."""
    file = cache_dir() / "tests" / AXE.name
    if not file.exists() or hash_file(file) != AXE.sha256:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("npm_config_offline", raising=False)  # of the fixture `offline`
            fetch_members(AXE_ARCHIVE, {file: AXE}, cache_dir())
    return file.read_text(encoding="utf-8")


class Visitors:
    """Pages for visitors, who come one after the other: a page that is loaded again is a new
    session with what the browser has cached, which takes half the time of a new one."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.complaints: list[str] = []  # if a page erred or left this machine
        self.free: dict[tuple[bool, str, str], list[Page]] = {}
        self.taken: list[tuple[Page, list[Page]]] = []

    def open_page(
        self, width: int = 1280, height: int = 800, scheme: str = "light", locale: str = "en-US"
    ) -> Page:
        touch = width < 500
        free = self.free.setdefault((touch, scheme, locale), [])
        page = free.pop() if free else self._make_page(touch, scheme, locale)
        self.taken.append((page, free))
        page.set_viewport_size({"width": width, "height": height})
        page.goto(self.url)
        page.wait_for_selector("#random")
        page.wait_for_selector("#banner", state="detached")
        return page

    def leave(self) -> None:
        """Ends the sessions, and what the browser knows of them."""
        while self.taken:
            page, free = self.taken.pop()
            page.mouse.up()
            page.evaluate("localStorage.clear(), sessionStorage.clear()")
            page.goto("about:blank")
            page.context.clear_cookies()
            page.context.clear_permissions()
            free.append(page)

    def _make_page(self, touch: bool, scheme: str, locale: str) -> Page:
        context = self.browser.new_context(
            locale=locale, color_scheme=scheme, reduced_motion="reduce", has_touch=touch
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("request", self._check)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def _check(self, sent: Request) -> None:
        if not sent.url.startswith((self.url, "data:", "blob:", "about:blank")):
            self.complaints.append(sent.url)


@pytest.fixture(scope="session")
def visitors(browser: Browser, url: str) -> Visitors:
    return Visitors(browser, url)


@pytest.fixture
def visit(visitors: Visitors) -> Iterator[Callable[..., Page]]:
    """Opens the page as a new visitor; fails at the end if the page erred or left this machine."""
    visitors.complaints.clear()
    yield visitors.open_page
    visitors.leave()
    assert not visitors.complaints
