"""A public server: it fetches nothing for clients and gives nobody a file that is not theirs."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import safehttpx
from gradio_client import Client, handle_file

from sdflow.page.guard import NO_FETCHING
from tests.api.answers import EXAMPLE, ROOT, call, refusal
from tests.api.conftest import Server

META = {"_type": "gradio.FileData"}


class Elsewhere(BaseHTTPRequestHandler):
    """A server that somebody wants ours to ask."""

    asked: list[str] = []

    def do_GET(self) -> None:  # noqa: N802
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(EXAMPLE.read_bytes())

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Keeps quiet."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(autouse=True)
def everything_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine too, so that only our refusal is between a client and the world."""
    monkeypatch.setattr(safehttpx, "is_public_ip", lambda ip: True)


def status(server: Server, path: str) -> str:
    """The status of a GET, whose path curl shall not tidy up."""
    command = ["curl", "-s", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}"]
    return subprocess.run(
        [*command, f"{server.url}gradio_api/{path}"], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("name", ["/invert", "/edit", "/paste"])
def test_no_address_is_fetched_for_a_file(client: Client, elsewhere: str, name: str) -> None:
    what = "photo" if name == "/invert" else "face_file"
    for address in (f"{elsewhere}/a.jpg", "https://huggingface.co/a.jpg"):
        sent = {what: {"path": address, "meta": META}}
        assert refusal(client, name, **sent) == NO_FETCHING
        assert refusal(client, name, **{what: handle_file(address)}) == NO_FETCHING
    without = {what: {"path": None, "url": f"{elsewhere}/a.jpg", "meta": META}}
    assert "no uploaded file" in refusal(client, name, **without)
    assert Elsewhere.asked == []


def test_no_address_is_passed_on(server: Server, elsewhere: str) -> None:
    for way in ("file=", "file/", "proxy="):
        assert status(server, f"{way}{elsewhere}/a.jpg") in ("400", "403")
    assert Elsewhere.asked == []


@pytest.mark.parametrize("path", [EXAMPLE.with_name("face-23.jpg"), Path("/etc/passwd")])
def test_files_of_the_server_are_not_read(server: Server, path: Path) -> None:
    around = f"{server.service.files.folder}/../../../../../../../../{path}"
    for sent in ({"path": str(path)}, {"path": str(path), "meta": META}, {"path": around}):
        for endpoint, what in (("invert", "photo"), ("edit", "face_file"), ("edit", "token")):
            # the Gradio client would upload its own file of that path
            answer = call(server.url, endpoint, json.dumps({what: sent}))
            assert answer.startswith("event: error"), answer
            # no word about what is in it, which would mean that it was read
            ours = ("no uploaded file" in answer) or ("no text" in answer)
            assert ours or '"error": null' in answer


def test_the_pages_own_photo_input_reads_no_file_of_the_server(server: Server) -> None:
    from gradio.data_classes import ImageData
    from gradio.exceptions import Error

    from sdflow.page.photo import Photo

    photo = Photo(render=False)
    with pytest.raises(Error, match="not uploaded"):
        photo.preprocess(ImageData(path=str(EXAMPLE)))


def test_files_are_served_by_unguessable_names_only(
    inverted: list[tuple[Any, ...]], server: Server
) -> None:
    assert all(len(token) >= 32 for token, *_ in inverted)
    service = server.service
    made = [path for path in service.files.folder.rglob("sdflow-*.png")]
    assert status(server, f"file={made[0]}") == "200"
    assert all(len(path.parent.name) >= 32 for path in made)
    for path in (
        service.files.folder, made[0].parent, made[0].parents[2], ROOT / "app.py",
        f"{made[0].parent}/../../../../../../../../etc/passwd", "/etc/passwd", ROOT / ".git/HEAD",
    ):  # fmt: skip
        assert status(server, f"file={path}") == "403", path
    kept = [path for path in service.photos.folder.rglob("photo")]
    assert kept and all(status(server, f"file={path}") == "403" for path in kept)


def test_what_is_forgotten_is_served_no_more(client: Client, server: Server) -> None:
    token = client.predict(seed=8, api_name="/random")[0]
    client.predict(token, beard=1, api_name="/edit")
    files = [path for folder in server.service.files._of[token] for path in folder.iterdir()]
    assert len(files) >= 4 and all(status(server, f"file={path}") == "200" for path in files)
    server.service.forget([token])
    assert all(status(server, f"file={path}") == "403" for path in files)
    assert "not kept any more" in refusal(client, "/edit", token=token)


def test_nothing_personal_is_logged(
    client: Client, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "anna-at-home.jpg"
    photo.write_bytes(EXAMPLE.read_bytes())
    token = client.predict(handle_file(photo), refine=0, api_name="/invert")[0]
    client.predict(token, beard=1, api_name="/edit")
    for given in ({"photo": "anna-at-home.jpg"}, {"photo": handle_file(photo), "face": 9}):
        refusal(client, "/invert", **given)
    refusal(client, "/edit", token=token, beard=3)
    logged = "".join(capfd.readouterr())
    assert "anna" not in logged and token not in logged and "Traceback" not in logged
