"""--refine and --tune: steps, face files that go on from where they stand, and Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sdflow import invert
from sdflow.__main__ import make_parser
from sdflow.commands import options
from sdflow.commands.opening import DROPPED, Interruption
from sdflow.commands.options import Likeness
from sdflow.faces import load_face

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds, on a busy machine


def test_defaults() -> None:
    assert (options.QUICK, options.REFINED) == (invert.STEPS, invert.REFINED)
    parse = make_parser().parse_args
    assert parse(["edit", "photo.jpg"]).refine is None
    assert parse(["edit", "photo.jpg", "--refine"]).refine == 60
    assert parse(["sweep", "photo.jpg", "--refine", "7"]).refine == 7
    asked = [Likeness(), Likeness(7), Likeness(0, tune=True), Likeness(tune=True)]
    assert [likeness.steps_for(False) for likeness in asked] == [10, 7, 0, 60]
    assert [likeness.steps_for(True) for likeness in asked] == [0, 7, 0, 60]
    for wrong in (-1, 1001):
        with pytest.raises(ValueError, match="Give 0 to 1000 with --refine"):
            Likeness(wrong)


def test_refine_a_photo_and_go_on(run: Callable, photo_file: Path, tmp_path: Path) -> None:
    quick, refined = tmp_path / "quick.safetensors", tmp_path / "refined.safetensors"
    report = run("invert", photo_file, "-o", quick, "--refine", 0)
    assert (report["steps"], report["tune"], report["distance"]) == (0, False, None)
    again = run("invert", quick, "-o", refined, "--refine", 2)
    assert again["steps"] == 2 and 0 < again["distance"] < 1 and not again["stopped"]
    assert "refine" in again["seconds_per_step"] and again["face"] is None
    assert (load_face(refined).w != load_face(quick).w).any()
    assert load_face(refined).crop == load_face(quick).crop
    same = run("invert", quick, "-o", tmp_path / "same.safetensors", "--refine", 0)
    np.testing.assert_array_equal(load_face(same["output"]).w, load_face(quick).w)


def test_tune_a_face_file(
    run: Callable, face_file: Path, tmp_path: Path, shorten_tuning: Callable
) -> None:
    shorten_tuning(2)
    tuned, dropped = tmp_path / "tuned.safetensors", tmp_path / "dropped.safetensors"
    report = run("invert", face_file, "-o", tuned, "--refine", 0, "--tune")
    assert report["tune"] and report["tuned"] and "tune" in report["seconds_per_step"]
    assert load_face(tuned).tuning and not load_face(face_file).tuning
    np.testing.assert_array_equal(load_face(tuned).w, load_face(face_file).w)
    edited = run("edit", tuned, "-o", tmp_path / "out.png", "--size", 512)
    assert edited["tuned"]
    report = run("invert", tuned, "-o", dropped, "--refine", 1)
    assert not report["tuned"] and report["warnings"][-1] == DROPPED


# ---- Ctrl-C


@pytest.fixture
def refining(photo_file: Path, tmp_path: Path) -> Callable:
    """A process that refines and tunes for long, and what reads its terminal until some words."""
    started = []

    def start(*more: str) -> tuple[subprocess.Popen, Callable[[str], str]]:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "sdflow", "invert", str(photo_file), "--json", *more]
        process = subprocess.Popen(
            [*command, "-o", str(tmp_path / "face.safetensors")],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=theirs,
            # What runs in the background ignores Ctrl-C; a person's process does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        os.close(theirs)
        started.append((process, ours))
        seen = ""

        def read_until(words: str) -> str:
            nonlocal seen
            deadline = time.monotonic() + PATIENCE
            while words not in seen and time.monotonic() < deadline:
                if select.select([ours], [], [], 1)[0]:
                    try:
                        seen += os.read(ours, 4096).decode()
                    except OSError:  # the process has left
                        break
            assert words in seen, seen
            return seen

        return process, read_until

    yield start
    for process, ours in started:
        process.kill()
        process.communicate()
        os.close(ours)


def test_ctrl_c_keeps_the_best(refining: Callable, tmp_path: Path) -> None:
    process, read_until = refining("--refine", "1000", "--tune")
    read_until("] 2 of 1000, distance 0.")
    process.send_signal(signal.SIGINT)
    told = read_until("going on with the best so far")
    assert "Stopped refining after step " in told
    output, _ = process.communicate(timeout=PATIENCE)
    report = json.loads(output)
    assert process.returncode == 0
    assert report["stopped"] and report["distance"] < 1 and not report["tuned"]
    assert load_face(tmp_path / "face.safetensors").faces_found == 2


def test_ctrl_c_twice_gives_up(refining: Callable, tmp_path: Path) -> None:
    process, read_until = refining("--refine", "1000")
    read_until("] 1 of 1000")
    process.send_signal(signal.SIGINT)
    read_until("Press Ctrl-C again")
    process.send_signal(signal.SIGINT)
    read_until("Interrupted.")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not (tmp_path / "face.safetensors").exists()


def test_ctrl_c_ends_what_has_no_steps() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Interruption(keep=False):
            signal.raise_signal(signal.SIGINT)
        with Interruption(keep=True) as interruption:
            signal.raise_signal(signal.SIGINT)
            assert interruption.asked
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
