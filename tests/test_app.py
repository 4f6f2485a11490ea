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
import urllib.error
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
EXAMPLE = ROOT / "examples/face-21.jpg"


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
    assert set(endpoints) == {
        "/invert", "/refine", "/random", "/edit", "/paste", "/edit_photo", "/list_attributes",
    }  # fmt: skip
    parameters = {row["parameter_name"]: row for row in endpoints["/edit"]["parameters"]}
    assert list(parameters) == ["token", "face_file", *editor.models.shipped]
    assert all(row["parameter_has_default"] for row in parameters.values())
    for name in editor.models.shipped:
        assert parameters[name]["parameter_default"] == 0
        assert parameters[name]["python_type"]["type"] == "float"
    given = {"photo": [], "face": [0], "refine": [10], "tune": [False]}
    options = {"plain": [False], "keep_metadata": [False]}
    strengths = {name: [0] for name in editor.models.shipped}
    expected = {
        "/invert": given,
        "/refine": {"token": [""], "steps": [60], "tune": [False]},
        "/paste": {"token": [""], **options, "others": [None], **strengths},
        "/edit_photo": given | {"paste": [True], **options, **strengths},
    }
    for name, defaults in expected.items():
        found = {
            row["parameter_name"]: [row["parameter_default"]][: row["parameter_has_default"]]
            for row in endpoints[name]["parameters"]
        }
        assert found == defaults, name


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
        photo=handle_file(tmp_path / "two.png"), face=0, refine=0, api_name="/invert"
    )
    assert about["faces_found"] == 2 and about["warnings"] == list(opened.warnings)
    assert about["confidence"] == pytest.approx(opened.confidence, abs=0.01)
    assert about["attributes"] == pytest.approx(editor.read(opened), abs=1e-3)
    assert pixels(picture).std() > 10 and Path(file).suffix == ".safetensors"
    edited, _ = client.predict(token=token, api_name="/edit")  # all strengths 0
    assert np.array_equal(pixels(edited), pixels(picture))


# ---- photos


@pytest.fixture(scope="module")
def jpeg(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photos") / "two.jpg"
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    photo.save(file, quality=80, exif=exif)
    return file


def changed(file: str, photo: Path) -> tuple[float, float]:
    """Mean difference of a pasted photo in the places of its two faces."""
    with Image.open(file) as image, Image.open(photo) as original:
        assert image.format == "JPEG" and image.quantization == original.quantization
        pictures = [np.asarray(x.convert("RGB")).astype(int) for x in (image, original)]
    difference = np.abs(pictures[0] - pictures[1]).mean(2)
    return difference[:, :800].mean(), difference[:, 900:].mean()


def test_edit_photo_in_one_call(client: Client, jpeg: Path) -> None:
    file, mask, report = client.predict(
        handle_file(jpeg), face=1, refine=1, smiling=-1, api_name="/edit_photo"
    )
    left, right = changed(file, jpeg)
    assert right > 0.3 > left and Path(file).suffix == ".jpg"
    with Image.open(file) as image, Image.open(mask) as cover:
        assert not image.getexif() and cover.format == "PNG" and cover.size == image.size
    assert report["faces_found"] == 2 and 0 < report["confidence"] <= 1
    assert report["after"]["smiling"] < report["before"]["smiling"]
    assert report["warnings"] == [] and "refine" not in report

    face, mask, _ = client.predict(
        handle_file(jpeg), refine=0, paste=False, smiling=1, api_name="/edit_photo"
    )
    assert pixels(face).std() > 10 and mask is None


def test_refine_and_paste_several_faces_of_a_photo(client: Client, jpeg: Path) -> None:
    first, about, *_ = client.predict(handle_file(jpeg), refine=0, api_name="/invert")
    better, now, *_ = client.predict(first, steps=2, api_name="/refine")
    assert better != first and now["confidence"] != about["confidence"]
    file, _, _ = client.predict(better, smiling=-1, keep_metadata=True, api_name="/paste")
    left, right = changed(file, jpeg)
    assert left > 0.3 > right
    with Image.open(file) as image:
        assert image.getexif()[0x010F] == "a camera"

    options = {"others": {first: {"young": -1}}, "plain": True}
    file, _, report = client.predict(better, **options, api_name="/paste")
    assert changed(file, jpeg)[0] > left and report["before"] == report["after"]
    other = client.predict(handle_file(jpeg), face=1, refine=0, api_name="/invert")[0]
    given = {"token": better, "smiling": -1, "api_name": "/paste"}
    file, _, _ = client.predict(others={other: {"smiling": -1}}, **given)
    assert min(changed(file, jpeg)) > 0.3
    foreign = client.predict(handle_file(EXAMPLE), refine=0, api_name="/invert")[0]
    assert "of different photos" in refusal(client, others={foreign: {}}, **given)
    for others in (["no object"], {first: 1}):
        assert "cannot be read" in refusal(client, others=others, **given)
    assert "Unknown attribute" in refusal(client, others={first: {"hat": 1}}, **given)


def test_a_cancelled_job_stops_after_a_step(client: Client, service: Service, jpeg: Path) -> None:
    job = client.submit(handle_file(jpeg), refine=300, api_name="/invert")
    for _ in range(600):
        time.sleep(0.1)
        progress = job.status().progress_data
        if progress and progress[0].index:
            break
    assert progress[0].length == 300 and progress[0].desc == "Working on the likeness"
    kept = len(service.store)
    job.cancel()
    start = time.monotonic()
    client.predict(handle_file(jpeg), refine=0, api_name="/invert")
    assert time.monotonic() - start < 60  # the queue is free again
    assert not service._models._taken and len(service.store) == kept + 1


def test_photos_are_not_served(client: Client, service: Service, jpeg: Path) -> None:
    token = client.predict(handle_file(jpeg), refine=0, api_name="/invert")[0]
    assert service.has_photo(token)
    for file in service.photos.folder.rglob("photo"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{client.src}gradio_api/file={file}")
    assert "without a photo" in refusal(client, token=random_token(client), api_name="/paste")


def random_token(client: Client) -> str:
    return client.predict(seed=4, api_name="/random")[0]


@pytest.mark.parametrize("steps", [-1, 301])
def test_steps_out_of_range(client: Client, jpeg: Path, steps: int) -> None:
    for name in ("/invert", "/edit_photo"):
        given = {"photo": handle_file(jpeg), "refine": steps, "api_name": name}
        assert "Give 0 to 300" in refusal(client, **given)
    given = {"token": random_token(client), "steps": steps, "api_name": "/refine"}
    assert "Give 0 to 300" in refusal(client, **given)


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
