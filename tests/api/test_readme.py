"""Every snippet of the README's section on the API, run against the server as it stands there."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from tests.api.answers import ROOT
from tests.api.conftest import Server

PHOTO, ADDRESS = "photo.jpg", "http://127.0.0.1:7860"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## The API\n")[2].partition("\nWithout a server:")[0]
SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, jpeg: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where somebody with a photo tries them."""
    (tmp_path / PHOTO).write_bytes(jpeg.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def snippet(server: Server, language: str, words: str) -> str:
    """The one snippet that has these words, for the server of the tests."""
    (found,) = (code for kind, code in SNIPPETS if kind == language and words in code)
    assert ADDRESS in found
    return found.replace(ADDRESS, server.url.rstrip("/"))


def size(file: str | Path) -> tuple[int, int]:
    with Image.open(file) as image:
        image.load()
        return image.size


def test_nothing_is_left_out(client: Client) -> None:
    assert sorted(kind for kind, _ in SNIPPETS) == ["bash", "json", "python", "python"]
    table = SECTION.partition("```")[0]
    for endpoint in client.view_api(return_format="dict")["named_endpoints"]:
        name = endpoint.removeprefix("/")
        assert f"`{name}`" in table
        for kind, code in SNIPPETS:
            assert kind == "json" or re.search(rf"\b{name}\b", code), (kind, name)


def test_python(server: Server, folder: Path) -> None:
    made: dict[str, object] = {}
    exec(snippet(server, "python", "gradio_client"), made)
    assert size(made["edited"]) == (1024, 1024) and size(made["pasted"]) == size(PHOTO)
    assert Path(made["again"]).suffix == ".webp" and Path(made["video"]).suffix == ".gif"
    assert size(made["grid"])[1] > 700 and Path(made["recipe"]).suffix == ".json"
    assert made["report"]["pictures"] == 10 and set(made["values"]) == {
        row["name"] for row in made["rows"]
    }
    assert made["health"]["status"] == "ready" and made["about"]["seed"] == 21


def test_curl(server: Server, folder: Path) -> None:
    code = "set -euo pipefail\n" + snippet(server, "bash", "curl")
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and not done.stderr and '"error"' not in done.stdout
    assert size("result.png") == (1024, 1024) and size("result.jpg") == size(PHOTO)
    assert size("result.webp")[0] > 700
    assert Path("result.mp4").read_bytes()[4:8] == b"ftyp"
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(printed) == 6 and printed[0][1]["seconds_per_step"]["refine"] > 0
    assert printed[-1][0]["status"] == "ready"


def test_mcp_address(server: Server) -> None:
    (one,) = json.loads(snippet(server, "json", "mcpServers"))["mcpServers"].values()

    async def tools() -> set[str]:
        async with (
            streamable_http_client(one["url"]) as streams,
            ClientSession(*streams[:2]) as session,
        ):
            await session.initialize()
            return {tool.name for tool in (await session.list_tools()).tools}

    assert "edit" in asyncio.run(tools())


def test_mcp_client(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    call_tool = ClientSession.call_tool

    async def remember(*args: object, **kwargs: object) -> object:
        answers.append(await call_tool(*args, **kwargs))
        return answers[-1]

    monkeypatch.setattr(ClientSession, "call_tool", remember)
    exec(snippet(server, "python", "mcp"), {"__name__": "readme"})
    assert size("edited.png") == (1024, 1024)
    assert len(answers) == 11 and not any(answer.isError for answer in answers)
