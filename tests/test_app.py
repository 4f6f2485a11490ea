"""The program as a process, what it leaves, and how its errors are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from sdflow.page.errors import ENDED, OURS, as_sentence
from sdflow.page.work import Abandoned

ROOT = Path(__file__).parents[1]


# ---- errors


def test_our_own_faults_stay_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (RuntimeError("secret /srv/path"), KeyError("secret")):
        assert as_sentence(error).message == OURS
        assert "secret" in capsys.readouterr().err


def test_work_that_was_ended_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert as_sentence(Abandoned()).message == ENDED
    assert capsys.readouterr().err == ""


def test_what_a_visitor_typed_is_not_html() -> None:
    assert as_sentence(ValueError("<img src=x>")).message == "&lt;img src=x&gt;"


# ---- the server as a process


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("SDFLOW_MODELS", "large", "There is no model set 'large'. Choose mobile, stylegan2 or "
         "auto."),
        ("SDFLOW_WEIGHTS_DIR", "gone", "SDFLOW_WEIGHTS_DIR names gone, which is not a folder. "
         "Correct or unset it."),
    ],
)  # fmt: skip
def test_what_cannot_be_started_with_is_refused_in_a_sentence(
    tmp_path: Path, variable: str, value: str, sentence: str
) -> None:
    environment = os.environ | {variable: value, "TMPDIR": str(tmp_path)}
    environment.pop("GRADIO_TEMP_DIR", None)
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.endswith(f"error: {sentence}\n")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("sdflow-*"))


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
            with urllib.request.urlopen(
                "http://127.0.0.1:7985/gradio_api/mcp/schema"  # missing without gradio's extra
            ) as answer:
                assert {tool["name"] for tool in json.load(answer)} >= {"edit", "health"}
            folders = list(tmp_path.glob("sdflow-*"))
            assert len(folders) == 1 and folders[0].stat().st_mode & 0o77 == 0
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        assert "Traceback" not in server.stderr.read().decode()
    assert not list(tmp_path.glob("sdflow-*"))
