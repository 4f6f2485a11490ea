"""Sweeps and morphs through the Gradio client, and work that ends when its client does."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from gradio_client import Client
from gradio_client.client import Job
from gradio_client.utils import ProgressUnit
from PIL import Image

from sdflow.marking import GENERATED
from tests.api.answers import refusal
from tests.api.conftest import Server


def progress_of(job: Job) -> ProgressUnit:
    """What is first told of a job's progress."""
    for _ in range(1200):
        time.sleep(0.05)
        if units := job.status().progress_data:
            return units[0]
    raise TimeoutError("nothing was told in a minute")


def test_sweep_of_one_and_grid_of_two(client: Client, token: str) -> None:
    given = {"token": token, "steps": 2, "api_name": "/sweep"}
    sheet, report = client.predict(attribute="young", **given)
    assert Path(sheet).suffix == ".jpg" and report["pictures"] == 3
    assert GENERATED.encode() in Path(sheet).read_bytes()
    grid, report = client.predict(attribute="young", down="yaw", format="png", **given)
    assert report["pictures"] == 4 and report["seconds"] > 0
    with Image.open(sheet) as row, Image.open(grid) as rows:
        assert rows.height > 1.5 * row.height and rows.format == "PNG"


def test_sweep_of_all_attributes(client: Client, server: Server, token: str) -> None:
    job = client.submit(token, attribute="all", steps=2, api_name="/sweep")
    assert progress_of(job).length == 1 + 2 * len(server.service.attributes)
    job.cancel()


def test_morph_to_an_edit_and_through_stops(client: Client, token: str) -> None:
    job = client.submit(token, smiling=-1, seconds=0.4, fps=10, api_name="/morph")
    video, report = job.result()
    assert Path(video).suffix == ".mp4" and report["pictures"] == 4
    with av.open(video) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    assert len(frames) == 4 and frames[0].size == (512, 512)

    stops = [{}, {"young": -1}, {"young": 1, "beard": 1}]
    gif, _ = client.predict(
        token, stops=stops, seconds=0.5, fps=10, format="gif", api_name="/morph"
    )
    with Image.open(gif) as image:
        assert image.format == "GIF" and image.n_frames == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "nowhere to go"),
        ({"stops": [{}]}, "Give 2 to 20"),
        ({"stops": {"smiling": 1}}, "no list"),
        ({"stops": [{}, 1]}, "Give a mapping"),
        ({"stops": [{}, {"hat": 1}]}, "Unknown attribute"),
        ({"stops": [{}, {"young": 1}], "smiling": 1}, "Give the stops alone"),
        ({"smiling": 1, "seconds": 100}, "to 10."),
        ({"smiling": 1, "seconds": None}, "Give a number"),
        ({"smiling": 1, "fps": "fast"}, "from 5 to 50"),
        ({"smiling": 1, "size": 700}, "Give 512 or 1024"),
        ({"smiling": 1, "size": 1024, "format": "gif"}, "Give 512"),
        ({"smiling": 1, "format": "avi"}, "mp4, gif"),
        ({"smiling": None}, "from -1 to 1"),
    ],
)
def test_morphs_that_cannot_be_made(
    client: Client, token: str, given: dict[str, object], words: str
) -> None:
    assert words in refusal(client, "/morph", token=token, **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"attribute": "hat"}, "Choose one of"),
        ({"down": "hat"}, "Choose one of"),
        ({"down": "smiling"}, "two different"),
        ({"attribute": "all", "down": "young"}, "two different"),
        ({"steps": 1}, "from 2 to 11"),
        ({"steps": 2.5}, "whole number"),
        ({"steps": None}, "from 2 to 11"),
        ({"format": "gif"}, "png, webp, jpg"),
    ],
)
def test_sweeps_that_cannot_be_made(
    client: Client, token: str, given: dict[str, object], words: str
) -> None:
    assert words in refusal(client, "/sweep", token=token, **given)


# ---- clients that do not wait


LONG = {"smiling": 1, "seconds": 10, "size": 1024, "api_name": "/morph"}  # a minute of work


def seconds_until_free(client: Client, token: str) -> float:
    start = time.monotonic()
    client.predict(token, steps=2, api_name="/sweep")  # waits for the same place
    return time.monotonic() - start


def test_a_cancelled_job_ends(client: Client, server: Server, token: str) -> None:
    job = client.submit(token, **LONG)
    progress = progress_of(job)
    assert progress.length == 250 and progress.desc == "Making pictures"
    job.cancel()
    assert seconds_until_free(client, token) < 15
    assert server.service._models._free == 1


def test_the_job_of_a_client_that_is_killed_ends(
    client: Client, server: Server, token: str
) -> None:
    call = (
        "from gradio_client import Client\n"
        f"job = Client({server.url!r}, verbose=False).submit({token!r}, **{LONG!r})\n"
        "while not (job.status().progress_data or [None])[0]: pass\n"
        "print('begun', flush=True); job.result()"
    )
    with subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        process.kill()
    assert seconds_until_free(client, token) < 15
