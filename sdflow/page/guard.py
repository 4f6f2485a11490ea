"""What gradio would do for a client and a public server must not."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import safehttpx
from gradio import processing_utils, utils
from starlette.requests import Request
from starlette.responses import JSONResponse

NO_FETCHING = "This server fetches no files from elsewhere. Download it, then upload it here."


def fetch_nothing() -> None:
    """Gradio fetches the address that a client gives for a file, and passes on what lies there:
    anybody could reach the world through this server. From now on it does not.

    All its fetching goes through the check that the address is a public one, but for hosts that
    it trusts; now none is.
    """

    async def refuse(hostname: str) -> str:
        del hostname
        raise gr.Error(NO_FETCHING, print_exception=False)

    safehttpx.async_validate_url = refuse
    processing_utils.PUBLIC_HOSTNAME_WHITELIST.clear()


def is_upload(path: str) -> bool:
    """Whether a path that a client gives is of a file in the folder of uploads and results, where
    names cannot be guessed. Gradio looks only at objects that say that they are files, and takes
    an image's path from others too."""
    folder = Path(utils.get_upload_folder()).resolve()
    return Path(path).resolve().is_relative_to(folder)


async def misspelt(request: Request, error: Exception) -> JSONResponse:
    """The answer to a call of an endpoint, or with a parameter, that there is not; gradio stumbles
    over such a name.

    Raises:
        Exception: the error, where it has another cause.
    """
    if "/gradio_api/call/" not in request.url.path:
        raise error
    unknown = isinstance(error, KeyError)
    sentence = f"There is no endpoint {error}." if unknown else str(error).split(" Please")[0]
    return JSONResponse({"error": f"{sentence.rstrip('.')}. See /gradio_api/info."}, 422)
