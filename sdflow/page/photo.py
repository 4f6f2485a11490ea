"""The page's inputs for photos: they hand over the uploaded files as they are.

In a file of its own because gradio writes an interface (.pyi) beside each component's class.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from sdflow.page.guard import is_upload

NO_UPLOAD = "This photo was not uploaded. Choose it again."


class Photo(gr.Image):
    """An image input whose handlers get the path of the uploaded file.

    Gradio would decode the file and, where it cannot, fail before any handler; `images.open_photo`
    reads more formats and says what is wrong. A class, because gradio makes a session's component
    anew after each update.
    """

    is_template = True  # its looks are those of gr.Image

    def preprocess(self, payload: Any) -> str | None:  # noqa: ANN401 - gradio's ImageData
        """The path of the uploaded file.

        Raises:
            gr.Error: it is none, but a file of the server.
        """
        if payload is None or payload.path is None:
            return None
        if not is_upload(payload.path):
            raise gr.Error(NO_UPLOAD, print_exception=False)
        return payload.path


class Photos(gr.File):
    """An input for several photos whose handlers get the paths of the uploaded files.

    Gradio would refuse all of them for one of another kind; `images.open_photo` says of each what
    is wrong.
    """

    is_template = True  # its looks are those of gr.File

    def preprocess(self, payload: Any) -> list[str]:  # noqa: ANN401 - gradio's ListFiles
        """The paths of the uploaded files.

        Raises:
            gr.Error: one is none, but a file of the server.
        """
        paths = [file.path for file in payload or ()]
        if not all(map(is_upload, paths)):
            raise gr.Error(NO_UPLOAD, print_exception=False)
        return paths
