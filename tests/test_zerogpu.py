"""ZeroGPU: work is done in a forked process, through its own package; faces stay with the server.

What hands out GPUs is a server of this test, see also `on_zerogpu`.
"""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from sdflow import zerogpu
from sdflow.faces import Face, face_to_bytes, load_face
from sdflow.gpu import NONE_FREE, GPUEditor
from sdflow.invert import Step
from sdflow.pipeline import Editor
from tests.program import running


class Scheduler(ThreadingHTTPServer):
    """Hands out its one GPU, or says that the visitor's share is used up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.is_used_up, self.forgets, self.asked, self.pids = False, False, [], []

    @property
    def seconds(self) -> list[int]:
        """That were asked for, call by call."""
        return [int(each["durationSeconds"][0]) for each in self.asked]


class Answer(BaseHTTPRequestHandler):
    """One request to the `Scheduler`."""

    server: Scheduler

    def do_POST(self) -> None:
        """See `spaces.zero.api`."""
        address = urlsplit(self.path)
        status, answer = 200, {}
        if address.path == "/schedule":
            self.server.asked.append(parse_qs(address.query))
            gpu = {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"}
            used_up = {"left": 0, "wait": 3600}
            status, answer = (429, used_up) if self.server.is_used_up else (200, gpu)
        elif address.path == "/release" and self.server.forgets:
            status = 500
        elif address.path == "/allow":
            self.server.pids += map(int, parse_qs(address.query)["pid"])
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *message: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    with Scheduler() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def space(scheduler: Scheduler, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the running Space."""
    environment = {
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{scheduler.server_port}",
    }
    with running(tmp_path_factory.mktemp("space"), environment, "tests.on_zerogpu") as program:
        yield program.url


@pytest.fixture(scope="module")
def client(space: str) -> Client:
    return Client(space, verbose=False)


def test_edits_are_made_in_a_process_of_their_own(
    client: Client, scheduler: Scheduler, editor: Editor
) -> None:
    token, about, _, face_file = client.predict(seed=7, api_name="/random")
    picture, report, _ = client.predict(token, smiling=1, size=512, api_name="/edit")
    assert len(scheduler.asked) == 3  # the face, its picture, its edit
    assert 0 < max(scheduler.seconds) <= 20
    (pid,) = set(scheduler.pids)
    assert pid != os.getpid() and len(scheduler.pids) == 1  # which served the later calls too
    expected = editor.edit(load_face(face_file), {"smiling": 1.0}, 512)
    with Image.open(picture) as image:
        apart = np.asarray(image.convert("RGB"), np.float32) - np.asarray(expected.image)
    assert np.abs(apart).mean() < 0.2
    assert report["after"] == pytest.approx(expected.after) and "notes" not in report
    # the token stands for the face in the server, not in the process that made it
    assert client.predict(token, api_name="/read_attributes") == about["attributes"]


def test_a_photo_is_opened_step_by_step(
    client: Client, scheduler: Scheduler, photo: Image.Image, tmp_path: Path
) -> None:
    file = tmp_path / "two.jpg"
    photo.resize((800, 600)).save(file)
    before = len(scheduler.asked)
    token, about, *_ = client.predict(handle_file(file), refine=2, api_name="/invert")
    assert about["faces_found"] == 2 and about["confidence"] is not None
    assert scheduler.seconds[before] == 13
    pasted, mask, _ = client.predict(token, smiling=1, api_name="/paste")
    with Image.open(pasted) as whole, Image.open(mask) as touched:
        assert whole.size == (800, 600) == touched.size and touched.getbbox()


def test_mistakes_are_told_in_our_words(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "small.png"
    Image.new("RGB", (30, 30), "grey").save(file)
    with pytest.raises(AppError, match="only 30 x 30 pixels: choose one of at least"):
        client.predict(handle_file(file), refine=0, api_name="/invert")


def test_without_a_gpu_the_cpu_goes_on_and_says_so(
    client: Client, scheduler: Scheduler
) -> None:
    token, *_ = client.predict(seed=7, api_name="/random")
    scheduler.is_used_up = True
    try:
        picture, report, _ = client.predict(token, young=1, size=512, api_name="/edit")
    finally:
        scheduler.is_used_up = False
    assert report["notes"] == [NONE_FREE] and Path(picture).stat().st_size > 100_000


def test_a_scheduler_that_fails_after_the_work_does_no_harm(
    client: Client, scheduler: Scheduler
) -> None:
    scheduler.forgets = True
    try:
        job = client.submit(seed=8, api_name="/random")
        token, about, *_ = job.result(60)
    finally:
        scheduler.forgets = False
    assert token and "notes" not in about
    assert client.predict(token, api_name="/read_attributes") == about["attributes"]


# ---- without `spaces`: what runs in the forked process


@pytest.fixture
def run(editor: Editor) -> Iterator[zerogpu.Run]:
    """An editor's methods, in this process."""
    threads = torch.get_num_threads()
    yield zerogpu.runner(editor.models)
    torch.set_num_threads(threads)


def test_steps_come_through_and_can_be_stopped(run: zerogpu.Run, opened: Face) -> None:
    seen: list[Step] = []

    def stop_at_two(step: Step) -> bool:
        seen.append(step)
        time.sleep(0.3)  # the next step is made meanwhile
        return step.done >= 2

    refined = run("refine", (opened, 40), {"on_step": stop_at_two})
    assert 2 <= seen[-1].done < 20 and seen[-1].steps == 40
    assert seen[-1].image.shape == (1, 3, 512, 512) and isinstance(seen[-1].image, torch.Tensor)
    assert not np.array_equal(refined.w, opened.w)  # the best so far is kept


def test_work_that_nobody_waits_for_ends(run: zerogpu.Run, opened: Face) -> None:
    def leave(step: Step) -> bool:
        raise ConnectionError

    start = threading.active_count()
    with pytest.raises(ConnectionError):
        run("refine", (opened, 200), {"on_step": leave})
    assert threading.active_count() == start


def test_an_open_file_is_sent_as_its_bytes(run: zerogpu.Run, editor: Editor, opened: Face) -> None:
    file = io.BytesIO(face_to_bytes(opened))
    there = GPUEditor(editor.models, run, lambda: editor)
    assert np.array_equal(there.open(file).w, opened.w)


def test_errors_keep_their_kind(run: zerogpu.Run, opened: Face) -> None:
    with pytest.raises(ValueError, match="Got size 7"):
        run("edit", (opened, {}, 7), {})
