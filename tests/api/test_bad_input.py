"""What clients may get wrong is told in one sentence, before any work."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tests.api.answers import EXAMPLE, call, check_sentence, refusal
from tests.api.conftest import Server


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


@pytest.mark.parametrize("case", BAD_PHOTOS)
def test_bad_photos(client: Client, tmp_path: Path, case: str) -> None:
    data, words = BAD_PHOTOS[case]
    (tmp_path / "photo.jpg").write_bytes(data)
    assert words in refusal(client, "/invert", photo=handle_file(tmp_path / "photo.jpg"))


@pytest.mark.parametrize("photo", ["photo.jpg", 1, ["a"], {"url": "x"}, {"path": 5}])
def test_photos_that_are_no_files(client: Client, photo: object) -> None:
    assert "no uploaded file" in refusal(client, "/invert", photo=photo)
    assert "no uploaded file" in refusal(client, "/edit", face_file=photo)


def test_a_missing_photo(client: Client) -> None:
    for name in ("/invert", "/edit_photo"):
        assert "There is no photo yet" in refusal(client, name, photo=None)


@pytest.mark.parametrize("strength", [1.5, -3, 1e300, None, "0.5", True, [1]])
def test_strengths(client: Client, token: str, strength: object) -> None:
    assert "from -1 to 1" in refusal(client, "/edit", token=token, smiling=strength)


@pytest.mark.parametrize("name", ["/paste", "/edit_photo", "/morph"])
def test_strengths_of_other_edits(client: Client, token: str, name: str) -> None:
    given = {"photo": handle_file(EXAMPLE)} if name == "/edit_photo" else {"token": token}
    assert "from -1 to 1" in refusal(client, name, smiling=1.5, **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"refine": -1}, "from 0 to 300"),
        ({"refine": 301}, "from 0 to 300"),
        ({"refine": 1.5}, "whole number"),
        ({"refine": None}, "from 0 to 300"),
        ({"refine": "many"}, "from 0 to 300"),
        ({"face": -1}, "from 0 to"),
        ({"face": None}, "from 0 to"),
        ({"tune": "yes"}, "true or false"),
        ({"tune": None}, "true or false"),
    ],
)
def test_ways_to_open(client: Client, given: dict[str, Any], words: str) -> None:
    name = "/invert" if "face" in given else "/edit_photo"
    assert words in refusal(client, name, photo=handle_file(EXAMPLE), **given)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("/refine", {"steps": 1000}, "from 0 to 300"),
        ("/refine", {"steps": None}, "from 0 to 300"),
        ("/refine", {"steps": 1}, "photo"),  # of a random face
        ("/edit", {"size": 700}, "1024"),
        ("/edit", {"size": None}, "1024"),
        ("/edit", {"format": "bmp"}, "png, webp, jpg"),
        ("/edit", {"format": ["png"]}, "png, webp, jpg"),
        ("/paste", {"plain": 1}, "true or false"),
        ("/paste", {}, "without a photo"),
        ("/edit", {"token": 5}, "no text"),
        ("/edit", {"token": {"a": 1}}, "no text"),
    ],
)
def test_other_parameters(
    client: Client, token: str, name: str, given: dict[str, Any], words: str
) -> None:
    assert words in refusal(client, name, **{"token": token} | given)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "five"])
def test_seeds(client: Client, seed: object) -> None:
    assert "as a seed" in refusal(client, "/random", seed=seed)


def test_a_face_that_the_photo_does_not_show(client: Client, jpeg: Path) -> None:
    assert "There is no face 7" in refusal(client, "/invert", photo=handle_file(jpeg), face=7)


@pytest.mark.parametrize("name", ["/edit", "/paste", "/read_attributes", "/sweep", "/refine"])
def test_tokens_that_are_forged_or_missing(client: Client, name: str, jpeg: Path) -> None:
    assert "not kept any more" in refusal(client, name, token="forged")
    assert "There is no face yet" in refusal(client, name)


def test_tokens_that_have_expired(client: Client, server: Server) -> None:
    token = client.predict(seed=7, api_name="/random")[0]
    server.service.store.discard(token)
    assert "not kept any more" in refusal(client, "/edit", token=token)


def test_wrong_face_files(client: Client, tmp_path: Path) -> None:
    for name, data in {"a.png": encoded(Image.new("RGB", (64, 64))), "b.txt": b"face"}.items():
        (tmp_path / name).write_bytes(data)
        given = {"face_file": handle_file(tmp_path / name)}
        for endpoint in ("/edit", "/read_attributes", "/refine", "/sweep"):
            assert "no face file" in refusal(client, endpoint, **given)


@pytest.mark.parametrize(
    ("endpoint", "body", "words"),
    [
        ("edit", '"smiling": NaN', "from -1 to 1"),
        ("edit", '"smiling": -Infinity', "from -1 to 1"),
        ("random", '"seed": NaN', "as a seed"),
        ("refine", '"steps": Infinity', "from 0 to 300"),
        ("sweep", '"steps": NaN', "from 2 to 11"),
        ("morph", '"seconds": NaN, "smiling": 1', "seconds"),
        ("morph", '"fps": Infinity, "smiling": 1', "from 5 to 50"),
    ],
)
def test_what_is_no_number(
    server: Server, token: str, endpoint: str, body: str, words: str
) -> None:
    """By curl: the Gradio client sends only what JSON knows."""
    of_a_face = "" if endpoint == "random" else f'"token": "{token}", '
    answer = call(server.url, endpoint, f"{{{of_a_face}{body}}}")
    assert answer.startswith("event: error")
    sentence = json.loads(answer.partition("data: ")[2])["error"]
    check_sentence(sentence)
    assert words in sentence


@pytest.mark.parametrize(
    ("endpoint", "body", "words"),
    [
        ("edit", {"hat": 1}, "hat"),
        ("invert", {}, "photo"),
        ("nothing", {}, "no endpoint"),
    ],
)
def test_misspelt_calls_by_curl(
    server: Server, endpoint: str, body: dict[str, Any], words: str
) -> None:
    address = f"{server.url}gradio_api/call/v2/{endpoint}"
    command = ["curl", "-s", "-w", "%{http_code}", address, "--json", json.dumps(body)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert answer.endswith("422")
    sentence = json.loads(answer.removesuffix("422"))["error"]
    check_sentence(sentence)
    assert words in sentence
