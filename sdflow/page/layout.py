"""The parts of the page and where they stand; app.py says what they do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from sdflow.attributes import Attribute
from sdflow.page import readout
from sdflow.page.photo import Photo

FACE, IN_PHOTO = "Face", "In the photo"
BUTTON = {"size": "md", "min_width": 120}


@dataclass(frozen=True, eq=False)
class Source:
    """Where a face comes from, the left column.

    Attributes:
        photo: to upload.
        faces: of the photo, to choose from.
        random_face, face_file: other ways to a face.
        examples: photos to try.
    """

    photo: Photo
    faces: gr.Gallery
    random_face: gr.Button
    face_file: gr.UploadButton
    examples: gr.Gallery


@dataclass(frozen=True, eq=False)
class View:
    """What is seen of a face, the middle column.

    Attributes:
        where: the face alone, or in its photo.
        empty: shown instead of a picture.
        picture: before and after.
        inset: the face alone, small, while the photo waits for it.
        caption: below the picture.
        likeness, notice: how sure it is, and what speaks against the photo.
        refine, tune, stop: work on the likeness.
        working: how far that is.
        picture_file, mask_file, face_file: downloads.
        table: attributes, before and after.
    """

    where: gr.Radio
    empty: gr.HTML
    picture: gr.ImageSlider
    inset: gr.Image
    caption: gr.HTML
    likeness: gr.HTML
    notice: gr.HTML
    refine: gr.Button
    tune: gr.Button
    stop: gr.Button
    working: gr.HTML
    picture_file: gr.DownloadButton
    mask_file: gr.DownloadButton
    face_file: gr.DownloadButton
    table: gr.HTML


@dataclass(frozen=True, eq=False)
class Parts:
    """The whole page, for those who connect its events.

    Attributes:
        session: what a visit keeps, see `sdflow.page.visit.Visit`.
        previewed: the request of the last preview, which the full size follows.
        source, view: the left and the middle column.
        sliders: of the attributes, by name.
        reset: puts all sliders to 0.
    """

    session: gr.State
    previewed: gr.State
    source: Source
    view: View
    sliders: dict[str, gr.Slider]
    reset: gr.Button


def make_source(examples: Iterable[Path]) -> Source:
    """The left column."""
    with gr.Column(elem_id="source"):
        photo = Photo(
            label="Photo",
            sources=["upload", "webcam", "clipboard"],
            height=220,
            elem_id="photo",
            buttons=[],
        )
        with gr.Column(elem_id="several"):  # style.css hides it while it is empty
            gr.HTML("<h2>Faces in the photo</h2>")
            faces = _gallery("Faces in the photo", "faces")
        with gr.Row():
            random_face = gr.Button(
                "Random face", variant="primary", size="md", min_width=100, elem_id="random"
            )
            face_file = gr.UploadButton(
                "Open face file", file_types=[".safetensors"], size="md", min_width=100
            )
        gr.HTML("<h2>Examples</h2>")
        chosen = _gallery("Examples", "examples", [str(file) for file in examples])
    return Source(photo, faces, random_face, face_file, chosen)


def make_view() -> View:
    """The middle column."""
    with gr.Column(elem_id="view"):
        with gr.Column(elem_id="result"):
            where = gr.Radio(
                [FACE, IN_PHOTO],
                value=FACE,
                show_label=False,
                label="What is shown",
                container=False,
                interactive=False,
                elem_id="where",
            )
            with gr.Column(elem_id="stage"):
                empty = gr.HTML(readout.EMPTY, elem_id="empty")
                picture = gr.ImageSlider(
                    type="filepath",
                    show_label=False,
                    interactive=False,
                    max_height=2000,  # the style sheet limits it
                    buttons=["fullscreen"],
                    elem_id="picture",
                )
                inset = gr.Image(
                    type="filepath",
                    label="Preview of the face",
                    show_label=False,
                    interactive=False,
                    container=False,
                    buttons=[],
                    elem_id="inset",
                )
            caption = gr.HTML(readout.caption(""), elem_id="caption")
        with gr.Column(elem_id="likeness"):
            notice = gr.HTML(elem_id="notice")
            with gr.Row(elem_id="improve"):
                figure = gr.HTML(elem_id="figure")
                refine = gr.Button(
                    "Refine likeness", interactive=False, elem_id="refine", **BUTTON
                )
                tune = gr.Button("Tune to this face", interactive=False, elem_id="tune", **BUTTON)
                working = gr.HTML(elem_id="working")
                stop = gr.Button("Stop", size="md", min_width=80, elem_id="stop")
            gr.HTML(f"<p>{escape(readout.HINT)}</p>", elem_id="hint")
        with gr.Column(elem_id="details"):
            with gr.Row(elem_id="downloads"):
                picture_file = gr.DownloadButton(
                    "Download PNG", interactive=False, elem_id="png", **BUTTON
                )
                mask_file = gr.DownloadButton("Mask", visible=False, elem_id="mask", **BUTTON)
                face_file = gr.DownloadButton(
                    "Face file", interactive=False, elem_id="face-file", **BUTTON
                )
            table = gr.HTML(elem_id="readout")
    return View(
        where, empty, picture, inset, caption, figure, notice, refine, tune, stop, working,
        picture_file, mask_file, face_file, table,
    )  # fmt: skip


def make_controls(attributes: Iterable[Attribute]) -> tuple[dict[str, gr.Slider], gr.Button]:
    """The right column: a slider for each attribute, by name, and the button that resets all."""
    sliders: dict[str, gr.Slider] = {}
    with gr.Column(elem_id="controls"):
        reset = gr.Button("Reset all", size="sm", elem_id="reset")
        for group, members in readout.grouped(attributes):
            gr.HTML(f"<h2>{escape(group)}</h2>")
            for attribute in members:
                with gr.Group(elem_classes="attribute"):
                    sliders[attribute.name] = gr.Slider(
                        -1,
                        1,
                        value=0,
                        step=0.05,
                        label=attribute.label,
                        interactive=False,
                        elem_id=f"slider-{attribute.name}",
                    )
                    gr.HTML(readout.poles(attribute))
    return sliders, reset


def _gallery(label: str, name: str, files: list[str] | None = None) -> gr.Gallery:
    """A row of small pictures to choose from."""
    return gr.Gallery(
        files,
        label=label,
        show_label=False,
        elem_id=name,
        columns=4,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
    )
