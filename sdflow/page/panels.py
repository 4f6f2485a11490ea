"""The panels below the workbench: variants, morph, comparison; events/ says what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from sdflow.attributes import Attribute, preselected
from sdflow.page import tiles
from sdflow.page.boards import GRIDS, SWEEPS
from sdflow.page.photo import Photos
from sdflow.page.texts import text, text_of

STYLE = Path(__file__).with_name("panels.css")
MOST_SECONDS = 8
MP4, GIF = ".mp4", ".gif"
EFFORTS = QUICK, ALIKE = "quick", "alike"  # how photos to compare are opened
BUTTON = {"size": "md", "min_width": 100}


@dataclass(frozen=True, eq=False)
class Variants:
    """Edits side by side.

    Attributes:
        kind: one attribute, or two against each other.
        across, down: the attributes.
        columns, size: number of pictures of one, rows and columns of two.
        make, stop, sheet: buttons.
        working: how far it is.
        board: the pictures.
        tried: the history of the face.
    """

    kind: gr.Radio
    across: gr.Dropdown
    down: gr.Dropdown
    columns: gr.Radio
    size: gr.Radio
    make: gr.Button
    stop: gr.Button
    sheet: gr.DownloadButton
    working: gr.HTML
    board: gr.HTML
    tried: gr.HTML


@dataclass(frozen=True, eq=False)
class Morphing:
    """A video of a face on its way.

    Attributes:
        path: the way, with the list of edits.
        add, clear: of the list.
        seconds, back, form, size: of the video.
        make, stop, file: buttons.
        working: how far it is.
        player: the result.
    """

    path: gr.HTML
    add: gr.Button
    clear: gr.Button
    seconds: gr.Slider
    back: gr.Checkbox
    form: gr.Radio
    size: gr.Radio
    make: gr.Button
    stop: gr.Button
    file: gr.DownloadButton
    working: gr.HTML
    player: gr.HTML


@dataclass(frozen=True, eq=False)
class Comparing:
    """People or attributes beside each other.

    Attributes:
        kind: several people, or every attribute of one.
        photos: to add people.
        effort: how their photos are opened.
        add, clear: the faces of the workbench; nobody.
        people: those gathered.
        strengths: of every attribute.
        make, stop, sheet: buttons.
        working: how far it is.
        board: the pictures.
    """

    kind: gr.Radio
    photos: Photos
    effort: gr.Radio
    add: gr.Button
    clear: gr.Button
    people: gr.HTML
    strengths: gr.Radio
    make: gr.Button
    stop: gr.Button
    sheet: gr.DownloadButton
    working: gr.HTML
    board: gr.HTML


@dataclass(frozen=True, eq=False)
class Panels:
    """All three."""

    variants: Variants
    morphing: Morphing
    comparing: Comparing


def make_panels(attributes: Sequence[Attribute]) -> Panels:
    """The three tabs."""
    with gr.Tabs(elem_id="panels"):
        with gr.Tab(text("variants")):
            variants = _make_variants(attributes)
        with gr.Tab(text("morph")):
            morphing = _make_morphing()
        with gr.Tab(text("compare")):
            comparing = _make_comparing()
    return Panels(variants, morphing, comparing)


def _make_variants(attributes: Sequence[Attribute]) -> Variants:
    named = [(text_of(row), row.name) for row in attributes]
    first, second = preselected(attributes)
    with gr.Row(elem_id="variants", elem_classes="desk"):
        with gr.Column(elem_classes="choose"):
            kind = _choice("variants.kind", ["one", "two"], "variants", "one")
            across = _dropdown("variants.across", named, first)
            down = _dropdown("variants.down", named, second)
            columns = _parts("variants.columns", [(str(n), n) for n in SWEEPS], SWEEPS[0])
            size = _parts("variants.size", [(f"{n} × {n}", n) for n in GRIDS], GRIDS[0])
            make, stop, sheet = _buttons("variants")
            working = gr.HTML(elem_classes="status")
        with gr.Column(elem_classes="outcome"):
            board = _tiles(tiles.empty(str(text("variants.empty"))), elem_id="variants-board")
    with gr.Column(elem_id="history"):
        gr.HTML(text("tried.heading"))
        tried = _tiles("", elem_id="tried")
    return Variants(kind, across, down, columns, size, make, stop, sheet, working, board, tried)


def _make_morphing() -> Morphing:
    with gr.Row(elem_id="morph", elem_classes="desk"):
        with gr.Column(elem_classes="choose"):
            path = _tiles("", elem_id="morph-path")
            with gr.Row(elem_classes="pair"):
                add, clear = _second("morph.add"), _second("morph.clear")
            with gr.Row(elem_classes="pair"):
                form = _parts("morph.format", [("MP4", MP4), ("GIF", GIF)], MP4)
                size = _parts("morph.size", [("512", 512), ("1024", 1024)], 512)
            seconds = gr.Slider(
                1, MOST_SECONDS, value=2, step=0.5, label=text("morph.seconds"), buttons=[],
                elem_id="morph-seconds",
            )  # fmt: skip
            back = gr.Checkbox(True, label=text("morph.back"), elem_id="morph-back")
            make, stop, file = _buttons("morph")
            working = gr.HTML(elem_classes="status")
        with gr.Column(elem_classes="outcome"):
            player = gr.HTML(tiles.empty(str(text("morph.empty"))), elem_id="morph-player")
    return Morphing(
        path, add, clear, seconds, back, form, size, make, stop, file, working, player
    )


def _make_comparing() -> Comparing:
    with gr.Row(elem_id="compare", elem_classes="desk"):
        with gr.Column(elem_classes="choose"):
            kind = _choice("compare.kind", ["people", "attributes"], "compare", "people")
            with gr.Column(elem_id="compare-gather"):
                photos = Photos(
                    label=text("compare.photos"), file_count="multiple", height=132,
                    elem_id="compare-photos", buttons=[],
                )  # fmt: skip
                efforts = [(text(f"compare.{effort}"), effort) for effort in EFFORTS]
                effort = _parts("compare.effort", efforts, EFFORTS[0])
                people = _tiles("", elem_id="compare-people")
                with gr.Row(elem_classes="pair"):
                    add, clear = _second("compare.add"), _second("compare.clear")
            several = [(text(f"compare.strengths.{n}"), n) for n in (2, 4)]
            strengths = _parts("compare.strengths", several, 2)
            make, stop, sheet = _buttons("compare")
            working = gr.HTML(elem_classes="status")
        with gr.Column(elem_classes="outcome"):
            board = _tiles(tiles.empty(str(text("compare.empty"))), elem_id="compare-board")
    return Comparing(
        kind, photos, effort, add, clear, people, strengths, make, stop, sheet, working, board
    )


def _choice(label: str, keys: Sequence[str], prefix: str, value: str) -> gr.Radio:
    """One control of two parts, each with words of its own, that says itself what it is."""
    choices = [(text(f"{prefix}.{key}"), key) for key in keys]
    return gr.Radio(
        choices, value=value, label=text(label), show_label=False, container=False,
        elem_id=label.replace(".", "-"), elem_classes="parts",
    )  # fmt: skip


def _parts(label: str, choices: Sequence[tuple[str, Any]], value: object) -> gr.Radio:
    """One control of several parts, of which one is chosen, below its label."""
    return gr.Radio(
        choices, value=value, label=text(label), elem_id=label.replace(".", "-"),
        elem_classes="parts", min_width=120,
    )  # fmt: skip


def _dropdown(label: str, choices: Sequence[tuple[Any, str]], value: str) -> gr.Dropdown:
    return gr.Dropdown(
        choices, value=value, label=text(label), filterable=False, buttons=[],
        elem_id=label.replace(".", "-"),
    )  # fmt: skip


def _buttons(panel: str) -> tuple[gr.Button, gr.Button, gr.DownloadButton]:
    """What starts, ends and takes along a panel's work."""
    with gr.Row(elem_classes="buttons"):
        make = gr.Button(
            text(f"{panel}.make"), variant="primary", interactive=False, elem_id=f"{panel}-make",
            **BUTTON,
        )  # fmt: skip
        stop = gr.Button(text("stop"), elem_id=f"{panel}-stop", elem_classes="stop", **BUTTON)
        file = gr.DownloadButton(
            text("download"), interactive=False, elem_id=f"{panel}-download", **BUTTON
        )
    return make, stop, file


def _second(key: str) -> gr.Button:
    """A button that adds to a list or clears it."""
    return gr.Button(text(key), interactive=False, elem_id=key.replace(".", "-"), **BUTTON)


def _tiles(value: str, **options: Any) -> gr.HTML:  # noqa: ANN401
    """HTML whose buttons send `select` and `delete` events."""
    return gr.HTML(value, js_on_load=tiles.CLICKS, apply_default_css=False, **options)
