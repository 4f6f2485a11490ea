"""Where the released classifier is: the original's editing and CelebA's attributes, on the page
and in the API of one server. The classifier is filled by rule, the other networks are ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from sdflow.models import load_classifier
from sdflow.page.service import Service
from sdflow.pipeline import Editor
from sdflow.recipes import load_recipe
from sdflow.released import CELEBA_40
from sdflow.selection import Decided, Selection
from tests.browser.actions import (
    EXAMPLES,
    Visit,
    example,
    take,
    wait_for_picture,
)
from tests.browser.conftest import Visitors
from tests.full_size import write_full_size
from tests.ports import free_port

WHY = "There is no GPU: the embedded models run."
OPEN = "#source input[type=file][accept*='.safetensors']"
SETTINGS = "#settings-text textarea"
SAYS = '{"mapping": "original", "strengths": {"young": -0.22}}'
LIKELY = 0.5


@pytest.fixture(scope="module")
def service(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """With a classifier, in a folder of its own as long as the service looks for it."""
    os.environ.setdefault("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("private")))
    import app

    folder = write_full_size(tmp_path_factory.mktemp("classifier"), ("classifier",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDFLOW_WEIGHTS_DIR", str(folder))
        classifying = Editor(replace(editor.models, classifier=load_classifier()))
        service = Service(
            app.PRIVATE / "original", lambda: classifying, 0, decided=Decided(Selection(), WHY)
        )
    service.start().result()
    return service


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    import app

    page = app.make_page(service)
    options = {"server_name": "127.0.0.1", "server_port": free_port(), "quiet": True}
    yield app.launch(page, service, prevent_thread_lock=True, **options)[1]
    page.close()


@pytest.fixture(scope="module")
def visitors(browser: Browser, url: str) -> Visitors:
    """Of this module's page."""
    return Visitors(browser, url)


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


@pytest.fixture(scope="module")
def token(client: Client) -> str:
    """Of a random face."""
    return client.predict(seed=5, api_name="/random")[0]


def by_bit(values: dict[str, float], name: str, scale: float) -> float:
    """What the original makes of an attribute."""
    return -scale if values[name] > LIKELY else 1 + scale


# ---- the API


def test_edits_by_the_originals_mapping(client: Client, service: Service, token: str) -> None:
    values = client.predict(token, celeba=True, api_name="/read_attributes")
    assert list(values) == [*CELEBA_40, "age_group"]
    assert values == pytest.approx(service.editor.classify(service.face(token)))
    given = {"young": 0.2, "smiling": 1e-6, "size": 512, "mapping": "original"}
    picture, report, recipe = client.predict(token, **given, api_name="/edit")
    before, after = report["before"], report["after"]
    assert after["young"] == pytest.approx(by_bit(values, "Young", 0.2), abs=1e-6)
    assert after["smiling"] == pytest.approx(by_bit(values, "Smiling", 0), abs=2e-6)
    assert after["gender"] == before["gender"]
    kept = load_recipe(recipe)
    assert kept.mapping == "original" and kept.strengths == {"young": 0.2, "smiling": 1e-6}
    assert {"classifier", "estimator"} < set(kept.models)
    again = service.editor.edit(kept.face, kept.strengths, 512, mapping=kept.mapping).image
    with Image.open(picture) as image:
        assert np.array_equal(np.asarray(image), np.asarray(again))


def test_photos_and_morphs_by_the_originals_mapping(client: Client) -> None:
    photo = handle_file(EXAMPLES[example("face-21")])
    given = {"refine": 0, "young": 1e-6, "mapping": "original"}
    _, mask, report = client.predict(photo, **given, api_name="/edit_photo")
    values = client.predict(report["token"], celeba=True, api_name="/read_attributes")
    assert report["after"]["young"] == pytest.approx(by_bit(values, "Young", 0), abs=2e-6)
    with Image.open(mask) as touched:
        assert np.asarray(touched).any()
    stops = [{"young": -1}, {"young": 0.0}]  # what is named there is edited, also at 0
    given = {"stops": stops, "seconds": 0.4, "fps": 5, "format": "gif", "mapping": "original"}
    gif, made = client.predict(report["token"], **given, api_name="/morph")
    assert made["pictures"] == 2
    with Image.open(gif) as film:
        frames = [film.seek(i) or np.asarray(film.convert("RGB")).astype(int) for i in (0, 1)]
    assert np.abs(frames[0] - frames[1]).mean() > 0.5


def test_health_says_why_these_models_run(client: Client) -> None:
    models = client.predict(api_name="/health")["models"]
    assert models["set"] == "mobile" and models["why"] == WHY


# ---- the page


def choose(page: Page, mapping: str) -> None:
    page.locator(f"#mapping label:has(input[value={mapping}])").click()


def expect_flipped(page: Page, flipped: bool = True) -> None:
    """What the readout says of `young` after the edit: what the demo's 0.7 makes of a bit, or
    something else."""
    told = page.locator("tr[data-attribute=young] td").last
    flips = re.compile("0.22|0.78")
    expect(told).to_have_text(flips) if flipped else expect(told).not_to_have_text(flips)


def test_the_originals_demo_on_the_page(visit: Visit, tmp_path: Path) -> None:
    page = visit(390, 844, "dark", "de-DE")
    page.locator("#random").tap()
    start = wait_for_picture(page)
    hint, presets, original = (
        page.locator(name) for name in ("#meaning p", "#presets", "#mapping input[value=original]")
    )
    expect(hint).to_be_hidden()
    expect(presets).to_be_visible()
    page.click("#settings button")
    choose(page, "original")
    expect(hint).to_be_visible()
    expect(presets).to_be_hidden()
    for unknown in ("#slider-beard", "#slider-yaw"):
        expect(page.locator(unknown)).to_be_hidden()
    page.fill("#slider-young input[type=number]", "0.7")
    page.keyboard.press("Tab")
    second = wait_for_picture(page, start)
    expect(page.locator(SETTINGS)).to_have_value(SAYS)
    expect_flipped(page)
    recipe = take(page, "#recipe", tmp_path)
    assert load_recipe(recipe).strengths == {"young": -0.22}

    rows, heads = page.locator("#celeba tbody tr"), page.locator("#celeba thead")
    expect(rows).to_have_count(0)  # nothing is read before somebody looks
    page.locator("#celeba .label-wrap").tap()
    expect(rows).to_have_count(41)
    expect(heads).to_contain_text("Nachher")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    choose(page, "poles")  # the slider stays where it is, and means something else
    wait_for_picture(page, second)
    expect(page.locator(SETTINGS)).to_have_value('{"young": 0.7}')
    expect_flipped(page, False)
    page.locator("#undo").tap()
    expect(original).to_be_checked()
    expect_flipped(page)
    page.locator("#delete").tap()
    expect(rows).to_have_count(0)
    expect(original).not_to_be_checked()
    page.locator(OPEN).set_input_files(recipe)
    expect(original).to_be_checked()
    expect(page.locator(SETTINGS)).to_have_value(SAYS)
    expect_flipped(page)
    page.locator("button:has-text('Datenschutz')").tap()
    expect(page.locator("#models")).to_contain_text("Es gibt keine GPU")
