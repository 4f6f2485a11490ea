"""The page on a server in this process, with the real weights; faces that several tests use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from sdflow.page.service import Service
from sdflow.pipeline import Editor
from tests.ports import free_port


@dataclass(frozen=True)
class Server:
    """The running page.

    Attributes:
        service: that it stands on.
        page: with its MCP server.
        url: ends in a slash.
    """

    service: Service
    page: gr.Blocks
    url: str


@pytest.fixture(scope="session")
def server(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    os.environ.setdefault("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("private")))
    import app

    service = Service(app.PRIVATE / "api", load=lambda: editor, steps=0)
    service.start().result()
    page = app.make_page(service)
    options = {"server_name": "127.0.0.1", "server_port": free_port(), "quiet": True}
    yield Server(service, page, app.launch(page, service, prevent_thread_lock=True, **options)[1])
    page.close()


@pytest.fixture(scope="session")
def client(server: Server) -> Client:
    return Client(server.url, verbose=False)


@pytest.fixture(scope="session")
def token(client: Client) -> str:
    """Of a random face."""
    return client.predict(seed=5, api_name="/random")[0]


@pytest.fixture(scope="session")
def jpeg(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photo of two faces, smaller, with a camera's name in it."""
    file = tmp_path_factory.mktemp("photos") / "two.jpg"
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    photo.resize((800, 600)).save(file, quality=80, exif=exif)
    return file


@pytest.fixture(scope="session")
def inverted(client: Client, jpeg: Path) -> list[tuple[Any, ...]]:
    """What `invert` returns for each face of the photo."""
    photo = handle_file(jpeg)
    given = {"photo": photo, "refine": 0, "api_name": "/invert"}
    return [client.predict(face=face, **given) for face in (0, 1)]
