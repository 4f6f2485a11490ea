"""Faces and edits through the real Gradio client: by token, by face file, in the photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from sdflow.marking import EDITED, GENERATED
from sdflow.pipeline import Editor
from sdflow.recipes import load_recipe
from tests.api.answers import EXAMPLE, changed, pixels, refusal
from tests.api.conftest import Server


def test_a_token_and_a_face_file_give_the_same_edit(client: Client) -> None:
    token, about, picture, file = client.predict(seed=6, api_name="/random")
    assert len(token) > 20 and about["seed"] == 6 and about["faces_found"] == 0
    given = {"smiling": -0.8, "young": -0.4, "api_name": "/edit"}
    by_token, read, recipe = client.predict(token=token, **given)
    by_file, _, _ = client.predict(face_file=handle_file(file), **given)
    assert np.array_equal(pixels(by_token), pixels(by_file))
    assert np.abs(pixels(by_token) - pixels(picture)).mean() > 1
    assert read["after"]["smiling"] < read["before"]["smiling"]
    assert read["after"]["young"] < read["before"]["young"]
    assert read["after"]["yaw"] == read["before"]["yaw"] and read["seconds"] > 0
    assert GENERATED.encode() in Path(by_token).read_bytes()
    followed = load_recipe(recipe)
    assert followed.strengths == {"smiling": -0.8, "young": -0.4} and followed.size == 1024
    shown = {"token": token, "api_name": "/read_attributes"}
    of_file = {"face_file": handle_file(file), "api_name": "/read_attributes"}
    assert client.predict(**shown) == client.predict(**of_file) == read["before"]


@pytest.mark.parametrize(("name", "kind"), [("webp", "WEBP"), ("jpg", "JPEG")])
def test_formats_and_sizes(client: Client, token: str, name: str, kind: str) -> None:
    file, _, _ = client.predict(token=token, beard=1, size=512, format=name, api_name="/edit")
    assert Path(file).suffix == f".{name}" and pixels(file, kind, 512).std() > 10
    assert GENERATED.encode() in Path(file).read_bytes()


def test_invert(
    inverted: list[tuple[Any, ...]], server: Server, editor: Editor
) -> None:
    for token, about, picture, _ in inverted:
        assert about["faces_found"] == 2 and 0 < about["confidence"] <= 1
        assert set(about["attributes"]) == set(editor.models.shipped)
        assert pixels(picture).std() > 10 and server.service.has_photo(token)
    assert inverted[0][0] != inverted[1][0]


def test_refine(client: Client, inverted: list[tuple[Any, ...]], server: Server) -> None:
    token, _, _, file = inverted[0]
    better, now, *_ = client.predict(token, steps=1, api_name="/refine")
    assert better != token and now["seconds_per_step"]["refine"] > 0
    assert server.service.has_photo(better)
    by_file, *_ = client.predict(
        face_file=handle_file(file), steps=0, api_name="/refine"
    )
    assert by_file not in (token, better)


def test_paste_by_token_and_by_face_file(
    client: Client, inverted: list[tuple[Any, ...]], jpeg: Path
) -> None:
    token, _, _, file = inverted[0]
    given = {"smiling": -1, "plain": True, "keep_metadata": True, "api_name": "/paste"}
    first, mask, report = client.predict(token, **given)
    left, right = changed(first, jpeg)
    assert left > 0.3 > right and report["after"]["smiling"] < report["before"]["smiling"]
    with Image.open(first) as image, Image.open(mask) as cover:
        assert image.getexif()[0x010F] == "a camera"
        assert cover.format == "PNG" and cover.size == image.size
    assert EDITED.encode() in Path(first).read_bytes()

    source = {"face_file": handle_file(file), "photo": handle_file(jpeg)}
    again, _, _ = client.predict(**source, **given)
    assert Path(again).read_bytes() == Path(first).read_bytes()
    sent = {"api_name": "/paste", "face_file": handle_file(file)}
    assert "holds no photo" in refusal(client, **sent)
    assert "Name the photo" in refusal(client, photo=handle_file(EXAMPLE), **sent)


def test_paste_several_faces(
    client: Client, inverted: list[tuple[Any, ...]], jpeg: Path, token: str
) -> None:
    other = inverted[1][0]
    given = {"token": inverted[0][0], "smiling": -1, "api_name": "/paste"}
    file, _, _ = client.predict(others={other: {"smiling": -1}}, **given)
    assert min(changed(file, jpeg)) > 0.3
    assert "without a photo" in refusal(client, others={token: {}}, **given)
    for others in (["no object"], {other: 1}):
        assert "cannot be read" in refusal(client, others=others, **given)
    assert "Unknown attribute" in refusal(client, others={other: {"hat": 1}}, **given)


def test_edit_photo_in_one_call(client: Client, jpeg: Path) -> None:
    file, mask, report = client.predict(
        handle_file(jpeg), face=1, refine=0, smiling=-1, plain=True, api_name="/edit_photo"
    )
    left, right = changed(file, jpeg)
    assert right > 0.3 > left and Path(file).suffix == ".jpg"
    with Image.open(file) as image, Image.open(mask) as cover:
        assert not image.getexif() and cover.size == image.size
    assert report["faces_found"] == 2 and 0 < report["confidence"] <= 1
    assert report["after"]["smiling"] < report["before"]["smiling"]

    face, mask, _ = client.predict(
        handle_file(jpeg), refine=0, paste=False, smiling=1, api_name="/edit_photo"
    )
    assert pixels(face).std() > 10 and mask is None
