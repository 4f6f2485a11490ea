"""The API: named endpoints with named, typed parameters, beside the page's own events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gradio as gr

from sdflow.edit import parse_strengths
from sdflow.invert import OnStep, Step
from sdflow.page.errors import told
from sdflow.page.photo import Photo
from sdflow.page.service import MOST_STEPS, Opened, Service
from sdflow.page.work import finish

# One job of each kind at a time; those that wait see their place in the queue. All share the
# models, which go from one to the next in turn, so that a long job delays a quick one by a step.
MODELS = {"concurrency_id": "models", "concurrency_limit": 1}
OPENING = {"concurrency_id": "opening", "concurrency_limit": 1}
LONG = {"concurrency_id": "long", "concurrency_limit": 1}

BAR = gr.Progress()  # gradio fills in the progress of the event
Found = tuple[str, dict[str, Any], str, str]


def steps_shown(progress: gr.Progress) -> Callable[[Step], None]:
    """Tells a visitor or a client how far the likeness has been worked on."""

    def show(step: Step) -> None:
        progress((step.done, step.steps), desc="Working on the likeness")

    return show


def add_endpoints(service: Service) -> None:
    """The API: named and typed parameters, a token or a face file wherever a face is asked for."""

    def described(opened: Opened) -> Found:
        face = opened.face
        about = {
            "faces_found": face.faces_found,
            "confidence": face.confidence,
            "warnings": list(face.warnings),
            "attributes": service.editor.read(face),
            "seed": face.seed,
            "round_trip_error": face.round_trip_error,
            "seconds_per_step": dict(face.seconds_per_step),
        }
        image = service.edit(opened.token, {}).image
        picture = service.pictures.download(image, face, opened.token)
        return opened.token, about, str(picture), str(opened.face_file)

    def pasted(
        *edits: tuple[str, Mapping[str, float]], plain: bool, keep_metadata: bool
    ) -> tuple[str, str, dict[str, Any]]:
        done = service.paste(*edits, plain=plain)
        photo, mask = service.pictures.download_photo(done, keep_metadata)
        semantics = {"before": done.edits[-1].before, "after": done.edits[-1].after}
        return str(photo), str(mask), semantics | {"seconds": done.seconds}

    @told
    async def invert(
        photo: str | None,
        face: int = 0,
        refine: int = 10,
        tune: bool = False,
        progress: gr.Progress = BAR,
    ) -> Found:
        """Opens a photo: finds a face (0 is the largest) and its code in the generator.

        More steps to refine (0 to 300), and tuning the generator to the face, which takes about a
        minute, make it more alike. Returns the face's token for `edit`, `paste` and `refine`; what
        was found and measured, `confidence` being how probably picture and photo are taken for the
        same person; the picture that the generator makes of the face; and its face file, which
        serves `edit` as the token does.
        """

        def work(on_step: OnStep) -> Found:
            number, steps = int(face or 0), whole(refine)
            return described(service.open(photo, number, steps, bool(tune), on_step))

        return await finish(work, steps_shown(progress))

    @told
    async def refine(
        token: str, steps: int = 60, tune: bool = False, progress: gr.Progress = BAR
    ) -> Found:
        """Works on the likeness of a face that `invert` gave; returns what `invert` returns.

        The face gets a new token; the old one goes on to stand for the face as it was.
        """

        def work(on_step: OnStep) -> Found:
            return described(service.refine(token, whole(steps), bool(tune), on_step))

        return await finish(work, steps_shown(progress))

    @told
    def random(seed: int | None = None) -> Found:
        """Makes a random face, the same for the same seed; returns what `invert` returns."""
        return described(service.random(seed if seed is None else int(seed)))

    @told
    def edit(
        token: str = "", face_file: str | None = None, **strengths: float
    ) -> tuple[str, dict[str, Any]]:
        """Edits a face given by token or face file; strengths go from -1 to 1, 0 leaves as it is.

        Returns the picture, a PNG of 1024 px, and the attributes before and after.
        """
        face = service.face(token, face_file)
        edited = service.edit_face(face, strengths)
        semantics = {"before": edited.before, "after": edited.after}
        picture = service.pictures.download(edited.image, face, token)
        return str(picture), semantics | {"seconds": edited.seconds}

    @told
    async def paste(
        token: str,
        plain: bool = False,
        keep_metadata: bool = False,
        others: dict[str, Any] | None = None,
        **strengths: float,
    ) -> tuple[str, str, dict[str, Any]]:
        """Edits a face that `invert` gave and puts it back into its photo.

        `others` are edited faces of the same photo that shall be in it too: strengths by token.
        `plain` pastes the whole square with a soft rim. Returns the photo in its own size, format
        and quality, without its metadata unless they shall be kept; the mask of what was touched,
        a PNG; and the attributes before and after.
        """
        edits = [*several(others), (token, strengths)]
        work = partial(pasted, *edits, plain=bool(plain), keep_metadata=bool(keep_metadata))
        return await asyncio.to_thread(work)

    @told
    async def edit_photo(
        photo: str | None,
        face: int = 0,
        refine: int = 10,
        tune: bool = False,
        paste: bool = True,
        plain: bool = False,
        keep_metadata: bool = False,
        progress: gr.Progress = BAR,
        **strengths: float,
    ) -> tuple[str, str | None, dict[str, Any]]:
        """Edits a face of a photo in one call: what `invert` and then `paste` do.

        Returns the photo with the edited face, the mask of what was touched, and a report; without
        `paste` the face alone, a PNG of 1024 px, and no mask.
        """

        def work(on_step: OnStep) -> tuple[str, str | None, dict[str, Any]]:
            number, steps = int(face or 0), whole(refine)
            parse_strengths(strengths, [row.name for row in service.attributes])  # before all work
            opened = service.open(photo, number, steps, bool(tune), on_step)
            found = opened.face
            about = {
                "token": opened.token,
                "faces_found": found.faces_found,
                "confidence": found.confidence,
                "warnings": list(found.warnings),
                "seconds_per_step": dict(found.seconds_per_step),
            }
            if paste:
                picture, mask, report = pasted(
                    (opened.token, strengths), plain=bool(plain), keep_metadata=bool(keep_metadata)
                )
                return picture, mask, about | report
            picture, report = edit(opened.token, **strengths)
            return picture, None, about | report

        return await finish(work, steps_shown(progress))

    @told
    def list_attributes() -> list[dict[str, str]]:
        """The attributes that `edit` takes, with what -1 (negative) and 1 (positive) mean."""
        return [row.about() for row in service.attributes]

    with gr.Row(visible=False):
        strengths = {
            row.name: gr.Number(0, label=f"{row.label}: -1 {row.negative}, 1 {row.positive}")
            for row in service.attributes
        }
        photo, face = Photo(label="Photo"), gr.Number(0, precision=0, label="Face: 0 the largest")
        few, many = (
            gr.Number(steps, precision=0, label=f"Steps of refinement, 0 to {MOST_STEPS}")
            for steps in (10, 60)
        )
        tune = gr.Checkbox(False, label="Tune the generator to the face: about a minute")
        put_back = gr.Checkbox(True, label="Paste the face into the photo")
        plain = gr.Checkbox(False, label="Paste the whole square with a soft rim")
        keep = gr.Checkbox(False, label="Keep the photo's metadata, place included")
        others = gr.JSON(None, label="Other faces of the photo: token → attribute → strength")
        seed = gr.Number(None, precision=0, label="Seed; none draws one")
        token, face_file = gr.Textbox("", label="Token"), gr.File(label="Face file")
        about, picture = gr.JSON(label="About"), gr.Image(type="filepath", label="Picture")
        mask = gr.Image(type="filepath", label="Mask")
        found = [token, about, picture, gr.File(label="Face file")]
        whole_photo = [picture, mask, about]
        options = [plain, keep]
        gr.Button().click(invert, [photo, face, few, tune], found, **LONG)
        gr.Button().click(refine, [token, many, tune], found, **LONG)
        gr.Button().click(random, [seed], found, **MODELS)
        gr.Button().click(
            edit, [token, face_file], [picture, about], inputs_kwargs=strengths, **MODELS
        )
        gr.Button().click(
            paste, [token, *options, others], whole_photo, inputs_kwargs=strengths, **MODELS
        )
        gr.Button().click(
            edit_photo,
            [photo, face, few, tune, put_back, *options],
            whole_photo,
            inputs_kwargs=strengths,
            **LONG,
        )
        gr.Button().click(list_attributes, None, [about], queue=False)


def whole(steps: float | None) -> int:
    """Steps as a number, so that the service can judge them."""
    if steps is None:
        raise ValueError(f"No number of refinement steps was given. Give 0 to {MOST_STEPS}.")
    return int(steps)


def several(others: object) -> list[tuple[str, Mapping[str, float]]]:
    """Edits of a client's JSON, token → attribute → strength; the service looks into the rest.

    Raises:
        ValueError: it has another form.
    """
    if not others:
        return []
    if not isinstance(others, Mapping) or not all(
        isinstance(strengths, Mapping) for strengths in others.values()
    ):
        raise ValueError(
            "The other faces cannot be read. Give an object of tokens, each with an object of"
            " attributes and strengths."
        )
    return list(others.items())
