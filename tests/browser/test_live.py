"""The picture follows the slider: how often, the last position wins, and what waits is told."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Page, expect

from sdflow.page.service import Service
from tests.browser.actions import SMILE, Visit, open_example, press, shown, take_random_face

ENOUGH = 8  # previews in a drag of a second, on a machine that makes as many
OVERHEAD = 0.04  # seconds of a preview beside rendering: the queue, the files, the browser
# remembers when another picture came, and what the caption called it
WATCH = """() => {
    window.seen = [];
    const image = document.querySelectorAll('#picture img')[1];
    let last = image.src;
    new MutationObserver(() => {
        if (image.src === last) return;
        last = image.src;
        const state = document.querySelector('#caption [data-state]').dataset.state;
        window.seen.push([performance.now(), state, last]);
    }).observe(image, {attributes: true, attributeFilter: ['src']});
}"""


def drag(page: Page, seconds: float, share: float, moves: int = 25) -> tuple[float, float]:
    """Drags the smile's slider over a share of its width; returns when it began and ended."""
    box = page.locator(SMILE).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    start, began = time.perf_counter(), page.evaluate("performance.now()")
    for i in range(1, moves + 1):
        page.mouse.move(x + share * box["width"] * i / moves, y)
        time.sleep(max(start + seconds * i / moves - time.perf_counter(), 0))
    page.mouse.up()
    return began, page.evaluate("performance.now()")


def seconds_of_a_preview(service: Service, token: str) -> float:
    """How long one takes now that nothing else is asked of this machine."""
    spent = []
    for i in range(5):
        start = time.perf_counter()
        service.preview(token, {"smiling": 0.1 + i / 10})
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def test_a_drag_of_a_second_shows_enough_previews_and_the_last_is_right(
    visit: Visit, service: Service
) -> None:
    page = visit()
    take_random_face(page)
    possible = 1 / (seconds_of_a_preview(service, service.random(1).token) + OVERHEAD)
    page.evaluate(WATCH)
    began, ended = drag(page, 1.0, 0.4)
    expect(page.locator("#download")).to_be_enabled()
    seen = page.evaluate("window.seen")
    during = [at for at, state, _ in seen if at <= ended + 1000 / possible]
    print(f"{len(during)} previews in {ended - began:.0f} ms, {possible:.1f} a second possible")
    assert len(during) >= min(ENOUGH, int(0.6 * possible))
    assert [state for _, state, _ in seen][-2:] == ["preview", "ready"]
    assert seen[-1][2] == shown(page)[1]
    strength = float(page.locator(SMILE).input_value())
    assert strength == pytest.approx(0.8, abs=0.06)


def test_the_last_position_wins(visit: Visit) -> None:
    page = visit()
    open_example(page)
    drag(page, 0.3, 0.4)
    press(page, "Home", 1)
    press(page, "ArrowRight", 6)
    expect(page.locator("#caption [data-state=preview]")).to_be_visible()
    expect(page.locator("#caption [data-state=ready]")).to_be_visible()
    expect(page.locator("tr[data-attribute=smiling]")).to_have_class("moved")
    dragged = shown(page)[1]
    assert float(page.locator(SMILE).input_value()) == -0.7
    readout = page.inner_text("tr[data-attribute=smiling]")
    page.click("#slider-smiling button")
    expect(page.locator("tr[data-attribute=smiling]")).not_to_have_class("moved")
    page.locator("#slider-smiling input[type=number]").fill("-0.7")
    expect(page.locator("tr[data-attribute=smiling]")).to_have_class("moved")
    expect(page.locator("#caption [data-state=ready]")).to_be_visible()
    assert page.inner_text("tr[data-attribute=smiling]") == readout
    assert shown(page)[1] != dragged  # files have new names


@pytest.fixture
def slow(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Opening and previews take longer."""

    def slower(function: object) -> object:
        def wait(*args: object, **options: object) -> object:
            time.sleep(1.2)
            return function(*args, **options)

        return wait

    for name in ("open", "preview"):
        monkeypatch.setattr(service, name, slower(getattr(service, name)))
    yield


def one_waits(pages: Sequence[Page], place: str) -> None:
    """Waits until one of the visitors sees a place in the queue."""
    for _ in range(600):
        for page in pages:
            text = page.locator(f"{place} .progress-text")
            if text.count() and "queue: 1/1" in text.inner_text(timeout=1000):
                return
        pages[0].wait_for_timeout(20)
    raise AssertionError("nobody had to wait")


def test_those_who_wait_see_their_place(visit: Visit, slow: None) -> None:
    pages = visit(), visit()
    for page in pages:
        page.locator("#examples button.thumbnail-item").nth(1).click()
    one_waits(pages, "#empty")
    for page in pages:
        page.wait_for_selector("#caption [data-state=ready]:not(:empty)")
    for page in pages:
        press(page, "ArrowRight", 1)
    one_waits(pages, "#caption")
    for page in pages:
        expect(page.locator("tr[data-attribute=smiling]")).to_have_class("moved")
        expect(page.locator("#caption .progress-text")).to_be_hidden()


def test_previews_stay_live_during_a_long_job(visit: Visit) -> None:
    worker, other = visit(), visit()
    open_example(worker)
    take_random_face(other)
    worker.click("#tune")
    expect(worker.locator(".working")).to_contain_text("Step")
    started = worker.inner_text(".working span")
    other.evaluate(WATCH)
    drag(other, 1.0, 0.3)
    expect(other.locator("#caption [data-state=preview]")).to_be_visible()
    expect(other.locator("#caption [data-state=ready]")).to_be_visible()
    expect(worker.locator(".working")).to_be_visible()  # it still goes on
    states = [state for _, state, _ in other.evaluate("window.seen")]
    assert states[0] == "preview" and states[-1] == "ready"
    worker.wait_for_function(
        "before => document.querySelector('.working span').innerText !== before", arg=started
    )
    worker.click("#stop")
    expect(worker.locator("#stop")).to_be_hidden()
    expect(worker.locator("#download")).to_be_enabled()
