"""What the API's calls make of clients' numbers, and how its endpoints begin, by model set."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from sdflow.media import Render
from sdflow.page.calls import Calls
from sdflow.page.endpoints import add_endpoints
from sdflow.page.scales import Scales, mapping_of
from sdflow.page.service import Service
from sdflow.pipeline import Editor


@pytest.fixture
def service(tmp_path: Path, editor: Editor) -> Service:
    """One as if the classifier were at hand, which what is tested here asks nothing."""
    service = Service(tmp_path, lambda: editor, steps=0)
    service.classifies = True
    return service


def result(call: Awaitable[Any]) -> Any:  # noqa: ANN401
    """In a thread of its own, for playwright keeps a loop in that of the tests."""

    async def wait() -> Any:  # noqa: ANN401
        return await call

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, wait()).result()


def test_mistakes_are_told_while_the_models_are_being_loaded(tmp_path: Path) -> None:
    """And the loop, which all requests share, goes on."""
    done = threading.Event()
    service = Service(tmp_path, lambda: done.wait(60))
    service.classifies = False
    calls = Calls(service)
    try:
        for call in (calls.paste, calls.morph):
            with pytest.raises(gr.Error, match="needs the released classifier"):
                result(call("token", mapping="original", young=0.5))
        with pytest.raises(gr.Error, match="Choose one of"):
            result(calls.sweep("token", attribute="nose"))
        assert service.status == "loading"
    finally:
        done.set()


def test_zero_edits_nothing_in_a_morph_as_the_original(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[Mapping[str, float]] = []

    def renderer(*_: object) -> Render:
        return lambda edit: rendered.append(edit) or Image.new("RGB", (64, 64))

    monkeypatch.setattr(service, "renderer", renderer)
    given = {"token": service.random(3).token, "seconds": 0.5, "fps": 10, "mapping": "original"}
    stops = [{}, {"gender": 0.2, "young": 0}, {"smiling": 1e-6, "gender": 0}]
    result(Calls(service).morph(stops=stops, **given))
    assert all(mapping_of(edit) == "original" for edit in rendered)
    assert [dict(rendered[at]) for at in (0, 2, 4)] == [
        {"gender": -1, "smiling": -1}, {"gender": 0.2, "smiling": -1},
        {"gender": -1, "smiling": 1e-6},
    ]  # fmt: skip


def test_zero_edits_nothing_in_other_faces_as_the_original(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasted: list[tuple[str, Mapping[str, float]]] = []

    def paste(*edits: tuple[str, Mapping[str, float]], plain: bool) -> None:
        pasted.extend(edits)
        raise ValueError("enough")

    monkeypatch.setattr(service, "paste", paste)
    others = {"a": {"young": 0, "gender": 1e-6}, "b": {"young": 0.0}}
    with pytest.raises(gr.Error, match="enough"):
        result(Calls(service).paste("c", others=others, mapping="original", young=0.2, gender=0))
    assert pasted == [("a", Scales(gender=1e-6)), ("b", {}), ("c", Scales(young=0.2))]


@pytest.mark.parametrize(
    ("semantics", "first"), [("ours", "smiling"), ("released", "smiling"), ("released3", "gender")]
)
def test_a_sweep_begins_with_an_attribute_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, semantics: str, first: str
) -> None:
    monkeypatch.setenv("SDFLOW_SEMANTICS", semantics)
    with gr.Blocks() as page:
        add_endpoints(Service(tmp_path))
    told = page.get_api_info()["named_endpoints"]["/sweep"]["parameters"]
    (attribute,) = [row for row in told if row["parameter_name"] == "attribute"]
    assert attribute["parameter_default"] == first and first in attribute["type"]["enum"]
