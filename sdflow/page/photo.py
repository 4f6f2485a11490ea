"""The page's image input: it hands over the uploaded file as it is.

In a file of its own because gradio writes an interface (.pyi) beside each component's class.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


class Photo(gr.Image):
    """An image input whose handlers get the path of the uploaded file.

    Gradio would decode the file and, where it cannot, fail before any handler; `images.open_photo`
    reads more formats and says what is wrong. A class, because gradio makes a session's component
    anew after each update.
    """

    is_template = True  # its looks are those of gr.Image

    def preprocess(self, payload: Any) -> str | None:  # noqa: ANN401 - gradio's ImageData
        """The path of the uploaded file."""
        return payload.path if payload else None
