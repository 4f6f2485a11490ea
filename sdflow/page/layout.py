"""The parts of the page and where they stand; app.py says what they do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from sdflow.attributes import Attribute
from sdflow.edit import MAPPINGS
from sdflow.page import readout
from sdflow.page.photo import Photo
from sdflow.page.pictures import FORMATS
from sdflow.page.texts import text, text_of
from sdflow.page.visit import COMPARE, CUT_OUT, FACE, IN_PHOTO
from sdflow.presets import Preset
from sdflow.selection import CELEBA

BUTTON = {"size": "md", "min_width": 120}
OURS = ["ours"]  # class of what means nothing to the original's editing; style.css hides it then


@dataclass(frozen=True, eq=False)
class Source:
    """Where a face comes from, the left column.

    Attributes:
        photo: to upload.
        faces: of the photo, to choose from.
        random_face, file: other ways to a face, the second for face files and recipes.
        examples: photos to try.
        table: attributes, before and after.
        celeba: opens CelebA's attributes, where they can be read.
        celeba_table: these.
        delete: removes everything of the visit.
    """

    photo: Photo
    faces: gr.Gallery
    random_face: gr.Button
    file: gr.UploadButton
    examples: gr.Gallery
    table: gr.HTML
    celeba: gr.Accordion
    celeba_table: gr.HTML
    delete: gr.Button


@dataclass(frozen=True, eq=False)
class View:
    """What is seen of a face, the middle column.

    Attributes:
        where: how the edit is shown, see `sdflow.page.visit.Visit.where`.
        empty: shown as long as there is no picture.
        picture: before and after.
        alone: the edited face or its cut-out, in place of both.
        inset: the face alone, small, while the photo waits for it.
        caption: below the picture.
        undo, redo, reset: of the sliders.
        likeness, notice: how sure it is, and what speaks against the photo.
        refine, tune, stop: work on the likeness.
        working: how far that is.
        format: of the picture to take along.
        picture_file, mask_file, face_file, recipe_file: downloads.
    """

    where: gr.Radio
    empty: gr.HTML
    picture: gr.ImageSlider
    alone: gr.Image
    inset: gr.Image
    caption: gr.HTML
    undo: gr.Button
    redo: gr.Button
    reset: gr.Button
    likeness: gr.HTML
    notice: gr.HTML
    refine: gr.Button
    tune: gr.Button
    stop: gr.Button
    working: gr.HTML
    format: gr.Radio
    picture_file: gr.DownloadButton
    mask_file: gr.DownloadButton
    face_file: gr.DownloadButton
    recipe_file: gr.DownloadButton


@dataclass(frozen=True, eq=False)
class Controls:
    """What moves the face, the right column.

    Attributes:
        sliders: of the attributes, by name.
        presets: a button for each.
        mapping: what the sliders mean, where there is a choice.
        settings: the sliders as JSON.
        apply: puts them where the JSON says.
    """

    sliders: dict[str, gr.Slider]
    presets: dict[Preset, gr.Button]
    mapping: gr.Radio
    settings: gr.Textbox
    apply: gr.Button


@dataclass(frozen=True, eq=False)
class Parts:
    """The whole page, for those who connect its events.

    Attributes:
        session: what a visit keeps, see `sdflow.page.visit.Visit`.
        previewed: the request of the last preview, which the full size follows.
        looked: changes with every face that is opened and every result in full size, and when
            everything is deleted.
        source, view, controls: the three columns.
    """

    session: gr.State
    previewed: gr.State
    looked: gr.State
    source: Source
    view: View
    controls: Controls

    @property
    def sliders(self) -> dict[str, gr.Slider]:
        """Those of the controls."""
        return self.controls.sliders


def make_source(examples: Iterable[Path], credits: str, classifies: bool) -> Source:
    """The left column.

    Args:
        examples: photos to try.
        credits: HTML that says whose they are.
        classifies: whether CelebA's attributes can be read.
    """
    with gr.Column(elem_id="source"):
        photo = Photo(
            label=text("photo"),
            sources=["upload", "webcam", "clipboard"],
            height=220,
            elem_id="photo",
            buttons=[],
        )
        with gr.Column(elem_id="several"):  # style.css hides it while it is empty
            gr.HTML(f"<h2>{text('faces')}</h2>")
            faces = _gallery("faces", 4)
        with gr.Row():
            random_face = gr.Button(
                text("random"), variant="primary", size="md", min_width=100, elem_id="random"
            )
            file = gr.UploadButton(
                text("open"),
                file_types=[".safetensors", ".json"],
                size="md",
                min_width=100,
                elem_id="open",
            )
        gr.HTML(f"<h2>{text('examples')}</h2>")
        chosen = _gallery("examples", 5, [str(file) for file in examples])
        gr.HTML(credits, elem_id="credits")
        table = gr.HTML(elem_id="readout")
        with gr.Accordion(
            text("celeba"), open=False, visible=classifies, elem_id="celeba"
        ) as celeba:
            celeba_table = gr.HTML()
        with gr.Column(elem_id="deletion"):
            delete = gr.Button(text("delete"), size="sm", elem_id="delete")
            gr.HTML(f"<p>{text('delete.note')}</p>")
    return Source(photo, faces, random_face, file, chosen, table, celeba, celeba_table, delete)


def make_view() -> View:
    """The middle column."""
    with gr.Column(elem_id="view"):
        with gr.Column(elem_id="result"):
            where = _choice("where", [COMPARE, FACE, IN_PHOTO, CUT_OUT])
            with gr.Column(elem_id="stage"):
                empty = gr.HTML(readout.empty(), elem_id="empty")
                picture = gr.ImageSlider(
                    type="filepath",
                    show_label=False,
                    interactive=False,
                    max_height=2000,  # the style sheet limits it
                    buttons=["fullscreen"],
                    elem_id="picture",
                )
                alone, inset = _picture("alone"), _picture("inset")
            caption = gr.HTML(readout.caption(), elem_id="caption")
            with gr.Row(elem_id="tools"):
                undo, redo, reset = (
                    gr.Button(
                        text(name), interactive=False, size="sm", min_width=80, elem_id=name
                    )
                    for name in ("undo", "redo", "reset")
                )
        with gr.Column(elem_id="likeness"):
            notice = gr.HTML(elem_id="notice")
            with gr.Row(elem_id="improve"):
                figure = gr.HTML(elem_id="figure")
                refine, tune = (
                    gr.Button(text(name), interactive=False, elem_id=name, **BUTTON)
                    for name in ("refine", "tune")
                )
                working = gr.HTML(elem_id="working")
                stop = gr.Button(text("stop"), size="md", min_width=80, elem_id="stop")
            gr.HTML(f"<p>{text('likeness.hint')}</p>", elem_id="hint")
        with gr.Column(elem_id="details"):
            with gr.Row(elem_id="downloads"):
                form = _choice("format", FORMATS)
                picture_file = gr.DownloadButton(
                    text("take"),
                    interactive=False,
                    variant="primary",
                    elem_id="download",
                    **BUTTON,
                )
            with gr.Row(elem_id="files"):
                face_file, recipe_file, mask_file = (
                    gr.DownloadButton(
                        text(name),
                        interactive=False,
                        size="sm",
                        min_width=90,
                        visible=name != "mask",
                        elem_id=name,
                    )
                    for name in ("face_file", "recipe", "mask")
                )
    return View(
        where, empty, picture, alone, inset, caption, undo, redo, reset, figure, notice, refine,
        tune, stop, working, form, picture_file, mask_file, face_file, recipe_file,
    )  # fmt: skip


def make_controls(
    attributes: Iterable[Attribute], presets: Iterable[Preset], classifies: bool
) -> Controls:
    """The right column; `classifies` offers the original's editing."""
    sliders: dict[str, gr.Slider] = {}
    with gr.Column(elem_id="controls"):
        presets = tuple(presets)
        gr.HTML(f"<h2>{text('presets')}</h2>", visible=bool(presets), elem_classes=OURS)
        with gr.Row(elem_id="presets", visible=bool(presets), elem_classes=OURS):
            buttons = {
                preset: gr.Button(
                    text(f"preset.{preset.name}"), interactive=False, size="sm", min_width=0
                )
                for preset in presets
            }
        with gr.Column(elem_id="meaning", visible=classifies):
            gr.HTML(f"<h2>{text('mapping')}</h2>")
            mapping = _choice("mapping", MAPPINGS)
            gr.HTML(f"<p>{text('mapping.hint')}</p>")
        for group, members in readout.grouped(attributes):
            classes = _classes(*members)
            gr.HTML(f"<h2>{text(f'group.{group}')}</h2>", elem_classes=classes)
            with gr.Group(elem_classes=["attributes", *classes]):
                for attribute in members:
                    sliders[attribute.name] = gr.Slider(
                        -1,
                        1,
                        value=0,
                        step=0.05,
                        label=text_of(attribute),
                        interactive=False,
                        elem_id=f"slider-{attribute.name}",
                        elem_classes=_classes(attribute),
                    )
                    gr.HTML(text_of(attribute, "poles"), elem_classes=OURS)
        for name in ("to_zero", "divider", "alone"):  # page.js names things with them
            gr.HTML(f"<span id='word-{name}' hidden>{text(name)}</span>")
        with gr.Accordion(text("settings"), open=False, elem_id="settings"):
            settings = gr.Textbox(
                "{}",
                label=text("settings.label"),
                lines=3,
                max_lines=8,
                max_length=4000,
                buttons=["copy"],
                elem_id="settings-text",
            )
            apply = gr.Button(
                text("settings.apply"), interactive=False, size="sm", elem_id="apply"
            )
    return Controls(sliders, buttons, mapping, settings, apply)


def _classes(*attributes: Attribute) -> list[str]:
    """`OURS`, if the original's editing knows none of them."""
    return [] if any(row.name in CELEBA.values() for row in attributes) else OURS


def _choice(name: str, values: Iterable[str]) -> gr.Radio:
    """One control of several parts, of which one is chosen."""
    words = {".png": "PNG", ".webp": "WebP", ".jpg": "JPEG"}
    choices = [(words.get(value) or text(f"{name}.{value}"), value) for value in values]
    return gr.Radio(
        choices,
        value=choices[0][1],
        show_label=False,
        label=text(name),
        container=False,
        interactive=False,
        elem_id=name,
        elem_classes="parts",
    )


def _picture(name: str) -> gr.Image:
    """A picture to look at."""
    return gr.Image(
        type="filepath",
        label=text(name),
        show_label=False,
        interactive=False,
        container=False,
        buttons=[],
        elem_id=name,
    )


def _gallery(name: str, columns: int, files: list[str] | None = None) -> gr.Gallery:
    """A row of small pictures to choose from."""
    return gr.Gallery(
        files,
        label=text(name),
        show_label=False,
        elem_id=name,
        columns=columns,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
    )
