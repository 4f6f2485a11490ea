"""The API: named endpoints with named, typed and described parameters, beside the page's events.

The same endpoints are the tools of MCP clients, see `sdflow.page.tools`.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from sdflow.attributes import Attribute, preselected
from sdflow.edit import LEAST, MAPPINGS, ORIGINAL, POLES
from sdflow.gpu import most_together
from sdflow.page.calls import ALL, FEW, MANY, MOST_FACES, Calls
from sdflow.page.checks import MOST_STEPS
from sdflow.page.many import COLUMNS, FPS, MOST_FRAMES, MOST_STOPS
from sdflow.page.pictures import FORMATS, FULL, PREVIEW
from sdflow.page.service import Service
from sdflow.video import VIDEOS

# One job of each kind at a time; those that wait see their place in the queue. All share the
# models, which go from one to the next in turn, so that a long job delays a quick one by a step.
MODELS = {"concurrency_id": "models", "concurrency_limit": 1}
OPENING = {"concurrency_id": "opening", "concurrency_limit": 1}
LONG = {"concurrency_id": "long", "concurrency_limit": 1}
# A GPU takes several edits in one pass, see `together`: as many wait for the models at a time.
TOGETHER = most_together()
EDITS = {"concurrency_id": "edits", "concurrency_limit": TOGETHER} if TOGETHER > 1 else MODELS
AT_ONCE = {"queue": False}

OBJECT = {"type": "object", "additionalProperties": True}
NUMBERS = {"type": "object", "additionalProperties": {"type": "number"}}  # by attribute


def add_endpoints(service: Service) -> None:
    """The API: a token or a face file wherever a face is asked for."""
    calls, names = Calls(service), [row.name for row in service.attributes]
    pictures, videos = ([suffix[1:] for suffix in row] for row in (FORMATS, VIDEOS))
    with gr.Row(visible=False):
        # ---- parameters
        strengths = {row.name: strength(row, service.classifies) for row in service.attributes}
        photo = upload(gr.Image(label="photo"), "JPEG, PNG, WebP, HEIC or AVIF, at most 25 MB")
        its_photo = upload(
            gr.Image(label="photo"), "With a face file: the photo that the face was opened from"
        )
        number = whole("face", 0, f"Which face of the photo, 0 the largest, to {MOST_FACES}")
        few, many = (
            whole(name, steps, f"Steps of work on the likeness, 0 to {MOST_STEPS}, 0.3 s each")
            for name, steps in (("refine", FEW), ("steps", MANY))
        )
        tune = tick(
            "tune", False, "Also change the generator for this face: more alike, half a minute"
        )
        put_back = tick("paste", True, "Put the face back into the photo; else it comes alone")
        plain = tick(
            "plain", False, "Paste the whole square with a soft rim instead of face and hair"
        )
        keep = tick(
            "keep_metadata", False, "Keep the photo's EXIF and XMP with place, time and camera"
        )
        others = put(
            gr.JSON(None, label="others"),
            "More edited faces of the photo: token to attribute to strength",
            {"type": "object", "additionalProperties": NUMBERS},
        )
        seed = whole("seed", None, "The same seed gives the same face; none draws one")
        token = put(gr.Textbox("", label="token"), "Of a face that this server keeps")
        face_file = upload(
            gr.File(label="face_file"),
            "Instead of a token: the face file that came with the face; it never expires",
        )
        size = whole("size", FULL, f"Of the picture in pixels, {FULL} or {PREVIEW}")
        picture_format = choice("format", pictures, "png", "Of the picture")
        mapping = choice(
            "mapping", [*MAPPINGS], POLES,
            "What numbers mean. original, where the released classifier is: scales, as in"
            " SDFlow's own editor; -1 keeps what it sees of an attribute, 1e-6 is the opposite,"
            " 0.2 beyond, 0 no edit",
        )  # fmt: skip
        celeba = tick(
            "celeba", False,
            "Instead CelebA's 40 attributes and age_group, 0 to 6, where the released classifier"
            " is",
        )  # fmt: skip
        attribute = choice(
            "attribute", [*names, ALL], preselected(service.attributes)[0],
            f"Shown from left to right; {ALL}: a row each",
        )  # fmt: skip
        down = choice("down", ["", *names], "", "A second attribute, shown from top to bottom")
        columns = whole("steps", 5, "Strengths to show, {} to {}".format(*COLUMNS))
        sheet_format = choice("format", pictures, "jpg", "Of the sheet")
        stops = put(
            gr.JSON(None, label="stops"),
            f"Edits to pass, 2 to {MOST_STOPS}, each an object of strengths, {{}} the face as it"
            " is; instead of strengths, which lead there from the original",
            {"type": "array", "items": NUMBERS},
        )
        seconds = put(
            gr.Number(4, label="seconds"), f"Of the video; at most {MOST_FRAMES} pictures in all"
        )
        fps = put(gr.Number(25, label="fps"), "Pictures a second, {:g} to {:g}".format(*FPS))
        video_size = whole(
            "size", PREVIEW, f"Of the video in pixels, {PREVIEW} or {FULL}; a GIF {PREVIEW}"
        )
        video_format = choice("format", videos, "mp4", "Of the video")

        # ---- results
        its_token = put(gr.Textbox(label="token"), "Stands for the face until two hours after use")
        about = data(
            "about",
            "What was found and measured: attributes (about 0 to 1), confidence (how probably"
            " picture and photo show the same person), warnings, seconds",
        )
        report = data("report", "Attributes before and after, about 0 to 1; seconds")
        summary = data("report", "The token, what was found, attributes before and after, seconds")
        made = data("report", "Number of pictures; seconds")
        inverted = picture("picture", "What the generator makes of the face, PNG, 1024 pixels")
        edited = picture("picture", "The edited face")
        pasted = picture("picture", "The photo with the edited face in it")
        mask = picture("mask", "What was touched, PNG, 0 where nothing was")
        its_file = put(gr.File(label="face_file"), "Accepted wherever a token is")
        recipe = put(
            gr.File(label="recipe"), "JSON from which the command line makes the same picture"
        )
        sheet = picture("sheet", "Contact sheet with labels")
        video = put(gr.File(label="video"), "MP4 (H.264) or GIF")
        values = data("attributes", "Attribute to value, about 0 to 1", NUMBERS)
        table = data(
            "attributes", "Name, label, negative, positive, group of each",
            {"type": "array", "items": OBJECT},
        )  # fmt: skip
        state = data(
            "health",
            "Status (ready, loading, failed), version, precision, models: the set, why it is this"
            " one unless it was asked for, digests",
        )

        face, found = [token, face_file], [its_token, about, inverted, its_file]
        opening, options = [photo, number, few, tune], [plain, keep]
        clip = [stops, seconds, fps, video_size, video_format, mapping]
        listen(calls.invert, opening, found, LONG)
        listen(calls.refine, [*face, many, tune], found, LONG)
        listen(calls.random, [seed], found, MODELS)
        listen(calls.read_attributes, [*face, celeba], [values], MODELS)
        listen(
            calls.edit, [*face, size, picture_format, mapping], [edited, report, recipe], EDITS,
            strengths,
        )  # fmt: skip
        listen(
            calls.paste, [*face, its_photo, *options, others, mapping], [pasted, mask, report],
            MODELS, strengths,
        )  # fmt: skip
        listen(
            calls.edit_photo, [*opening, put_back, *options, mapping], [pasted, mask, summary],
            LONG, strengths,
        )  # fmt: skip
        listen(calls.sweep, [*face, attribute, down, columns, sheet_format], [sheet, made], LONG)
        listen(calls.morph, [*face, *clip], [video, made], LONG, strengths)
        listen(calls.list_attributes, [], [table], AT_ONCE)
        listen(calls.health, [], [state], AT_ONCE)


def listen(
    call: Any,  # noqa: ANN401
    inputs: list[Component],
    outputs: list[Component],
    turn: dict[str, Any],
    strengths: dict[str, Component] | None = None,
) -> None:
    """An endpoint of a call's name, whose values come as the client sent them."""
    gr.Button().click(
        call, inputs, outputs, inputs_kwargs=strengths, api_name=call.__name__,
        preprocess=False, **turn,
    )  # fmt: skip


def put(component: Component, about: str, schema: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
    """A component that describes a parameter or a result to clients.

    Args:
        component: of the API alone.
        about: what it is.
        schema: JSON schema, where gradio's own says too little.
    """
    schema = schema or component.api_info()
    # gradio's clients look for the one with parameters, for the other with results
    component.api_info_as_input = lambda: schema | {"additional_description": about}
    component.api_info_as_output = lambda: schema | {"description": about}
    return component


def strength(row: Attribute, classifies: bool) -> gr.Number:
    """How far an attribute is moved; scales, which need the classifier, go further down."""
    about = f"{row.label}: -1 {row.negative}, 0 as it is, 1 {row.positive}"
    least = LEAST[ORIGINAL if classifies else POLES]
    if classifies:
        about += f"; with the mapping original from {least}"
    schema = {"type": "number", "minimum": least, "maximum": 1}
    return put(gr.Number(0, label=row.name), about, schema)


def whole(label: str, value: int | None, about: str) -> gr.Number:
    """A whole number."""
    return put(gr.Number(value, precision=0, label=label), about)


def tick(label: str, value: bool, about: str) -> gr.Checkbox:
    """A yes or no."""
    return put(gr.Checkbox(value, label=label), about)


def choice(label: str, choices: list[str], value: str, about: str) -> gr.Dropdown:
    """One of some words."""
    return put(gr.Dropdown(choices, value=value, label=label), about)


def data(label: str, about: str, schema: dict[str, Any] = OBJECT) -> gr.JSON:
    """A result that is JSON."""
    return put(gr.JSON(label=label), about, schema)


def picture(label: str, about: str) -> gr.Image:
    """A result that is a picture."""
    return put(gr.Image(type="filepath", label=label), about)


def upload(component: Component, about: str) -> Any:  # noqa: ANN401
    """A parameter that is a file. What a client sends for it is judged by `checks.path_of`:
    gradio's own model of a file would fail without a sentence."""
    schema = component.api_info()
    component.api_info = lambda: schema
    component.data_model = None
    return put(component, about)
