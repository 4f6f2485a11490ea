"""Downloads through the real Hub client, from a server in this process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.weights.house import COMMIT, CONTENT, House


class Hub(BaseHTTPRequestHandler):
    """The two requests that a Hub client makes for a file."""

    content = CONTENT["a.bin"]

    def do_GET(self) -> None:
        found = self.path == f"/some/net/resolve/{COMMIT}/a.bin"
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        if found:
            self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(self.content)))
        else:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", str(len(self.content) if found else 0))
        self.end_headers()
        if found and self.command == "GET":
            self.wfile.write(self.content)

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        del args


@pytest.fixture
def hub(house: House, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Hub on this machine, as the environment of a process that is to use it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    yield {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    server.shutdown()
    server.server_close()


TELL = """
from sdflow.weights import WeightsError
try:
    print(weights.path("hub").read_bytes()[:1].decode())
except WeightsError as error:
    print(error)
"""


def test_a_hub_file_is_fetched_once(house: House, hub: dict[str, str]) -> None:
    out, err = house.run(TELL, **hub).communicate(timeout=60)
    assert out == "a\n", err
    assert err.splitlines() == ["Fetching a.bin (0.0 MB) from the Hub repository some/net: MIT."]
    out, err = house.run(TELL, **{**hub, "HF_ENDPOINT": "http://127.0.0.1:9"}).communicate(
        timeout=60
    )
    assert (out, err) == ("a\n", "")  # a file at a pinned commit costs no request


def test_a_hub_file_with_other_content_is_removed(
    house: House, hub: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "content", b"x" * 3000)
    out, err = house.run(TELL, **hub).communicate(timeout=60)
    assert "instead of" in out and "It was removed" in out, err
    stored = [path for path in (tmp_path / "hf").rglob("*") if path.is_file()]
    assert not any(path.read_bytes() == b"x" * 3000 for path in stored)


def test_a_repository_that_the_hub_does_not_show(house: House, hub: dict[str, str]) -> None:
    house.entries[-1]["source"]["repository"] = "some/other"
    house.write()
    out, err = house.run(TELL, **hub).communicate(timeout=60)
    assert "The Hub shows this machine no a.bin of some/other" in out, err
    assert out.endswith("names.\n")


def test_a_hub_that_cannot_be_reached(house: House, hub: dict[str, str]) -> None:
    out, err = house.run(TELL, **{**hub, "HF_HUB_OFFLINE": "1"}).communicate(timeout=60)
    assert "Could not fetch a.bin of some/net" in out, err
    assert out.count("\n") == 1 and out.endswith("SDFLOW_WEIGHTS_DIR names.\n")
