"""The API of the page through the real Gradio client, its errors, health and the folder it leaves.

The server runs in this process on the loopback, with the real weights and without refinement.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from sdflow.faces import Face, UnknownFace
from sdflow.page.errors import OURS, as_sentence
from sdflow.page.service import Service
from sdflow.pipeline import Editor

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def service(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> Service:
    os.environ.setdefault("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("private")))
    import app

    service = Service(app.PRIVATE / "made", load=lambda: editor, steps=0)
    service.start().result()
    return service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    import app

    page = app.make_page(service)
    url = app.launch(
        page, service, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True
    )[1]
    yield Client(url, verbose=False)
    page.close()


@pytest.fixture(scope="module")
def random_face(client: Client) -> tuple[Any, ...]:
    return client.predict(seed=5, api_name="/random")


def pixels(file: str) -> np.ndarray:
    with Image.open(file) as image:
        assert image.format == "PNG" and image.size == (1024, 1024)
        return np.asarray(image.convert("RGB")).astype(int)


# ---- what it offers


def test_endpoints_are_named_and_typed(client: Client, editor: Editor) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {"/invert", "/random", "/edit", "/list_attributes"}
    parameters = {row["parameter_name"]: row for row in endpoints["/edit"]["parameters"]}
    assert list(parameters) == ["token", "face_file", *editor.models.shipped]
    assert all(row["parameter_has_default"] for row in parameters.values())
    for name in editor.models.shipped:
        assert parameters[name]["parameter_default"] == 0
        assert parameters[name]["python_type"]["type"] == "float"
    names = [row["parameter_name"] for row in endpoints["/invert"]["parameters"]]
    assert names == ["photo", "face"]


def test_list_attributes(client: Client, editor: Editor) -> None:
    listed = client.predict(api_name="/list_attributes")
    assert [row["name"] for row in listed] == list(editor.models.shipped)
    assert all(row["negative"] and row["positive"] and row["label"] for row in listed)


def test_health(client: Client) -> None:
    with urllib.request.urlopen(f"{client.src}healthz") as answer:
        assert answer.status == 200 and json.load(answer) == {"status": "ready"}


# ---- faces and edits


def test_a_token_and_a_face_file_give_the_same_edit(
    client: Client, random_face: tuple[Any, ...]
) -> None:
    token, about, picture, file = random_face
    assert len(token) > 20 and about["seed"] == 5 and about["faces_found"] == 0
    by_token, read = client.predict(token=token, smiling=0.8, young=-0.4, api_name="/edit")
    by_file, _ = client.predict(
        face_file=handle_file(file), smiling=0.8, young=-0.4, api_name="/edit"
    )
    assert np.array_equal(pixels(by_token), pixels(by_file))
    assert not np.array_equal(pixels(by_token), pixels(picture))
    assert read["after"]["smiling"] > read["before"]["smiling"]
    assert read["after"]["young"] < read["before"]["young"]
    assert read["after"]["yaw"] == read["before"]["yaw"]


def test_invert_takes_a_photo_and_a_face_of_it(
    client: Client, photo: Image.Image, editor: Editor, opened: Face, tmp_path: Path
) -> None:
    photo.save(tmp_path / "two.png")
    token, about, picture, file = client.predict(
        photo=handle_file(tmp_path / "two.png"), face=0, api_name="/invert"
    )
    assert about["faces_found"] == 2
    assert about["attributes"] == pytest.approx(editor.read(opened), abs=1e-3)
    assert pixels(picture).std() > 10 and Path(file).suffix == ".safetensors"
    edited, _ = client.predict(token=token, api_name="/edit")  # all strengths 0
    assert np.array_equal(pixels(edited), pixels(picture))


# ---- bad input


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


BAD_PHOTOS = {
    "no image": (b"this is no image", "This is no image"),
    "empty": (b"", "empty"),
    "one pixel": (encoded(Image.new("RGB", (1, 1))), "only 1 x 1 pixels"),
    "huge": (encoded(Image.new("1", (20000, 20000))), "megapixels"),
    "no face": (encoded(Image.new("RGB", (300, 300), "teal")), "No face found"),
}


def refusal(client: Client, **given: Any) -> str:  # noqa: ANN401
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011 - of the client's own type
        client.predict(**given)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "Traceback" not in sentence and len(sentence) < 300
    assert str(ROOT) not in sentence and os.environ["GRADIO_TEMP_DIR"] not in sentence
    return sentence


@pytest.mark.parametrize("case", BAD_PHOTOS)
def test_bad_photos_are_told_in_a_sentence(client: Client, tmp_path: Path, case: str) -> None:
    data, words = BAD_PHOTOS[case]
    (tmp_path / "photo.jpg").write_bytes(data)
    given = {"photo": handle_file(tmp_path / "photo.jpg"), "api_name": "/invert"}
    assert words in refusal(client, **given)


def test_a_face_that_the_photo_does_not_show(
    client: Client, photo: Image.Image, tmp_path: Path
) -> None:
    photo.save(tmp_path / "two.png")
    given = {"photo": handle_file(tmp_path / "two.png"), "face": 7, "api_name": "/invert"}
    assert "There is no face 7" in refusal(client, **given)


@pytest.mark.parametrize("strength", [1.5, -3, 1e300, None])
def test_strengths_out_of_range(
    client: Client, random_face: tuple[Any, ...], strength: float | None
) -> None:
    given = {"token": random_face[0], "smiling": strength, "api_name": "/edit"}
    assert "from -1 to 1" in refusal(client, **given)


def test_tokens_that_are_forged_or_expired(client: Client, service: Service) -> None:
    assert "not kept any more" in refusal(client, token="forged", api_name="/edit")
    token = client.predict(seed=6, api_name="/random")[0]
    service.store.discard(token)
    assert "not kept any more" in refusal(client, token=token, api_name="/edit")
    assert "There is no face yet" in refusal(client, api_name="/edit")


def test_wrong_face_files(client: Client, tmp_path: Path) -> None:
    for name, data in {"a.png": encoded(Image.new("RGB", (64, 64))), "b.txt": b"face"}.items():
        (tmp_path / name).write_bytes(data)
        given = {"face_file": handle_file(tmp_path / name), "api_name": "/edit"}
        assert "no face file" in refusal(client, **given)


# ---- errors


def test_our_own_faults_stay_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (RuntimeError("secret /srv/path"), KeyError("secret")):
        assert as_sentence(error).message == OURS
        assert "secret" in capsys.readouterr().err


def test_what_a_visitor_typed_is_not_html() -> None:
    assert as_sentence(ValueError("<img src=x>")).message == "&lt;img src=x&gt;"


# ---- the server as a process


def test_the_program_starts_and_leaves_nothing(tmp_path: Path) -> None:
    environment = os.environ | {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": "7985",
        "TMPDIR": str(tmp_path),
    }
    environment.pop("GRADIO_TEMP_DIR", None)
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stderr=subprocess.PIPE
    ) as server:
        try:
            for _ in range(600):
                time.sleep(0.2)
                try:
                    with urllib.request.urlopen("http://127.0.0.1:7985/healthz") as answer:
                        if json.load(answer)["status"] == "ready":
                            break
                except OSError:
                    assert server.poll() is None, server.stderr.read().decode()
            folders = list(tmp_path.glob("sdflow-*"))
            assert len(folders) == 1 and folders[0].stat().st_mode & 0o77 == 0
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        assert "Traceback" not in server.stderr.read().decode()
    assert not list(tmp_path.glob("sdflow-*"))


def test_expired_faces_are_unknown(service: Service) -> None:
    with pytest.raises(UnknownFace):
        service.edit("no such token", {})
