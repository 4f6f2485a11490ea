"""The API: named endpoints with named, typed parameters, beside the page's own events."""

from __future__ import annotations

from typing import Any

import gradio as gr

from sdflow.page.errors import told
from sdflow.page.photo import Photo
from sdflow.page.service import Opened, Service

# One job for the models at a time; those that wait see their place in the queue.
MODELS = {"concurrency_id": "models", "concurrency_limit": 1}


def add_endpoints(service: Service) -> None:
    """The API: named and typed parameters, a token or a face file wherever a face is asked for."""

    def described(opened: Opened) -> tuple[str, dict[str, Any], str, str]:
        face = opened.face
        about = {
            "faces_found": face.faces_found,
            "attributes": service.editor.read(face),
            "seed": face.seed,
            "round_trip_error": face.round_trip_error,
            "seconds_per_step": dict(face.seconds_per_step),
        }
        picture = service.download(service.edit(opened.token, {}).image)
        return opened.token, about, str(picture), str(opened.face_file)

    @told
    def invert(photo: str | None, face: int = 0) -> tuple[str, dict[str, Any], str, str]:
        """Opens a photo: finds a face (0 is the largest) and its code in the generator.

        Returns the face's token for `edit`, what was found and measured, the picture that the
        generator makes of the face, and its face file, which serves wherever the token does.
        """
        return described(service.open(photo, int(face or 0)))

    @told
    def random(seed: int | None = None) -> tuple[str, dict[str, Any], str, str]:
        """Makes a random face, the same for the same seed; returns what `invert` returns."""
        return described(service.random(seed if seed is None else int(seed)))

    @told
    def edit(
        token: str = "", face_file: str | None = None, **strengths: float
    ) -> tuple[str, dict[str, Any]]:
        """Edits a face given by token or face file; strengths go from -1 to 1, 0 leaves as it is.

        Returns the picture, a PNG of 1024 px, and the attributes before and after.
        """
        if face_file and not token:
            edited = service.edit_file(face_file, strengths)
        else:
            edited = service.edit(token, strengths)
        semantics = {"before": edited.before, "after": edited.after}
        return str(service.download(edited.image)), semantics | {"seconds": edited.seconds}

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
        seed = gr.Number(None, precision=0, label="Seed; none draws one")
        token, face_file = gr.Textbox("", label="Token"), gr.File(label="Face file")
        about, picture = gr.JSON(label="About"), gr.Image(type="filepath", label="Picture")
        found = [token, about, picture, gr.File(label="Face file")]
        gr.Button().click(invert, [photo, face], found, **MODELS)
        gr.Button().click(random, [seed], found, **MODELS)
        gr.Button().click(
            edit, [token, face_file], [picture, about], inputs_kwargs=strengths, **MODELS
        )
        gr.Button().click(list_attributes, None, [about], queue=False)
