"""The endpoints as tools, through the real MCP client over streamable HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from sdflow.marking import EDITED, GENERATED
from sdflow.page.tools import Tools
from sdflow.pipeline import Editor
from tests.api.answers import EXAMPLE, check_sentence
from tests.api.conftest import Server

TOOLS = {
    "invert", "refine", "random", "read_attributes", "edit", "paste", "edit_photo", "sweep",
    "morph", "list_attributes", "health",
}  # fmt: skip
META = {"_type": "gradio.FileData"}


def talk(server: Server, work: Callable[[ClientSession], Awaitable[Any]]) -> Any:  # noqa: ANN401
    """Does work in a session of its own."""

    async def session() -> Any:  # noqa: ANN401
        async with (
            streamable_http_client(f"{server.url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await work(session)

    return asyncio.run(session())


def ask(server: Server, name: str, **given: Any) -> CallToolResult:  # noqa: ANN401
    """Calls one tool."""
    return talk(server, lambda session: session.call_tool(name, given))


def contents(answer: CallToolResult) -> list[str]:
    """Kinds of contents of an answer that is no error."""
    assert not answer.isError, answer.content
    return [content.type for content in answer.content]


def data(file: Path, kind: str = "image/jpeg") -> str:
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def test_tools_are_the_endpoints(server: Server, editor: Editor) -> None:
    with urllib.request.urlopen(f"{server.url}gradio_api/mcp/schema") as answer:
        assert answer.status == 200
        schema = {tool["name"]: tool for tool in json.load(answer)}
    tools = {tool.name: tool for tool in talk(server, lambda s: s.list_tools()).tools}
    assert set(tools) == set(schema) == TOOLS  # no event of the page is among them
    for tool in tools.values():
        assert " Returns " in tool.description
        for name, row in tool.inputSchema["properties"].items():
            assert len(row["description"]) > 5, (tool.name, name)
            assert row["type"] in ("string", "integer", "number", "boolean", "array", "object")
    assert tools["invert"].inputSchema["required"] == ["photo"]
    edit = tools["edit"].inputSchema
    assert set(editor.models.shipped) < set(edit["properties"]) and "required" not in edit
    assert edit["properties"]["smiling"]["minimum"] == -1
    assert "data: URL" in edit["properties"]["face_file"]["description"]


def test_names_are_the_same_on_a_space(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM", "spaces")
    monkeypatch.setenv("SPACE_ID", "somebody/SDFlow")
    assert set(Tools(server.page).tool_to_endpoint) == TOOLS


def test_a_photo_as_data_an_edit_and_its_mark(server: Server, tmp_path: Path) -> None:
    answer = ask(server, "invert", photo=data(EXAMPLE), refine=0)
    assert contents(answer) == ["text", "text", "image", "text", "text"]
    token, about, _, _, file = answer.content
    assert json.loads(about.text)["faces_found"] == 1 and len(token.text) >= 32

    answer = ask(server, "edit", token=token.text, smiling=-1, format="jpg")
    assert contents(answer) == ["image", "text", "text", "text"]
    picture, address, report, recipe = answer.content
    encoded = base64.b64decode(picture.data)
    with urllib.request.urlopen(address.text.split(": ", 1)[1]) as served:
        assert served.read() == encoded and EDITED.encode() in encoded
    read = json.loads(report.text)
    assert read["after"]["smiling"] < read["before"]["smiling"]
    with urllib.request.urlopen(recipe.text) as served:
        assert json.load(served)["strengths"] == {"smiling": -1}

    # the address of a result, and the file as data, stand for the face too
    with urllib.request.urlopen(file.text) as served:
        (tmp_path / "face.safetensors").write_bytes(served.read())
    by_data = data(tmp_path / "face.safetensors", "application/octet-stream")
    values = [
        json.loads(ask(server, "read_attributes", **given).content[0].text)
        for given in ({"face_file": file.text}, {"face_file": by_data}, {"token": token.text})
    ]
    assert values[0] == values[1] == values[2] == read["before"]


def test_data_goes_when_uploads_go(server: Server, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(EXAMPLE.read_bytes() + b"not sent before")
    folder = server.service.files.folder.parent
    before = set(folder.rglob("*"))
    ask(server, "invert", photo=data(tmp_path / "photo.jpg"), face=9, refine=0)
    new = {path for path in set(folder.rglob("*")) - before if path.is_file()}
    assert new and {str(path) for path in new} <= server.page.upload_file_set


def test_an_uploaded_photo_in_one_call(server: Server) -> None:
    upload = ["curl", "-s", "-F", f"files=@{EXAMPLE}", f"{server.url}gradio_api/upload"]
    (path,) = json.loads(subprocess.run(upload, capture_output=True, check=True).stdout)
    address = f"{server.url}gradio_api/file={path}"
    answer = ask(server, "edit_photo", photo=address, refine=0, plain=True, yaw=1)
    assert contents(answer) == ["image", "text", "image", "text", "text"]
    assert EDITED.encode() in base64.b64decode(answer.content[0].data)


def test_json_parameters_and_videos(server: Server, token: str) -> None:
    stops = [{}, {"young": -1}]
    given = {"token": token, "stops": stops, "seconds": 0.4, "fps": 5}
    video, report = ask(server, "morph", **given).content
    with urllib.request.urlopen(video.text) as served:
        film = served.read()
    assert film[4:8] == b"ftyp" and GENERATED.encode() in film
    assert json.loads(report.text)["pictures"] == 2
    answer = ask(server, "paste", token=token, others={"nobody": {"young": 1}})
    assert answer.isError and "not kept any more" in answer.content[0].text


def test_health_and_attributes_are_json(server: Server, editor: Editor) -> None:
    (about,) = ask(server, "health").content
    assert json.loads(about.text)["status"] == "ready"
    (listed,) = ask(server, "list_attributes").content
    assert [row["name"] for row in json.loads(listed.text)] == list(editor.models.shipped)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("edit", {"token": "forged"}, "not kept any more"),
        ("edit", {}, "There is no face yet"),
        ("invert", {"photo": ""}, "There is no photo yet"),
        ("invert", {"photo": "photo.jpg"}, "upload it"),
        ("invert", {"photo": "https://huggingface.co/a.jpg"}, "upload it"),
        ("invert", {"photo": "http://127.0.0.1/gradio_api/file=/etc/passwd"}, "upload it"),
        ("invert", {"photo": f"http://127.0.0.1/gradio_api/file={EXAMPLE}"}, "upload it"),
        ("invert", {"photo": "data:nonsense"}, "no image"),
        ("invert", {"photo": "data:image/jpeg;base64,A"}, "upload it"),
        ("invert", {"photo": "data:image/jpeg;base64,AAAA"}, "no image"),
        ("invert", {"photo": "data:image/jpeg;base64," + "AAAA" * 2_000_000}, "no image"),
    ],
)
def test_errors_are_one_sentence(
    server: Server, name: str, given: dict[str, Any], words: str
) -> None:
    answer = ask(server, name, **given)
    assert answer.isError and len(answer.content) == 1
    check_sentence(answer.content[0].text)
    assert words in answer.content[0].text


def test_no_argument_makes_the_server_read_its_files(server: Server, token: str) -> None:
    file = {"path": "/etc/passwd", "meta": META}
    for name, given in (
        ("invert", {"photo": file}),
        ("edit", {"token": file}),
        ("paste", {"token": token, "others": {"a": file}}),
        ("morph", {"token": token, "stops": [file, {}]}),
    ):
        assert ask(server, name, **given).isError
    tools = server.page.mcp_server_obj
    for argument in (file, {"a": file}, [file, {}]):  # nor would it without the schema
        with pytest.raises(ValueError, match="neither"):
            tools.convert_strings_to_filedata({"others": argument}, [["photo"]])


def test_progress_is_told_and_work_ends_with_its_client(
    server: Server, client: Client, token: str
) -> None:
    told: list[str] = []

    async def leave_early(session: ClientSession) -> None:
        begun = asyncio.Event()

        async def tell(done: float, total: float | None, message: str | None) -> None:
            told.append(message or "")
            if "Making pictures: Step 2 of 250" in told[-1]:
                begun.set()

        given = {"token": token, "smiling": 1, "seconds": 10, "size": 1024}
        call = asyncio.create_task(session.call_tool("morph", given, progress_callback=tell))
        await begun.wait()
        call.cancel()

    talk(server, leave_early)
    start = time.monotonic()
    client.predict(token, steps=2, api_name="/sweep")  # waits for the same place
    assert time.monotonic() - start < 15
