"""app.py as a program of its own, for tests that only a process can show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Program:
    """The running program: its address, which ends in a slash, and its process."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def peak_kilobytes(self) -> int:
        """The most memory that it has had so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])


@contextmanager
def running(
    folder: Path, environment: Mapping[str, str], module: str = "app", patience: float = 120
) -> Iterator[Program]:
    """Starts it, waits until its models are loaded, and ends it.

    Args:
        folder: for its log and its temporary files.
        environment: beside this process's own.
        module: that is run.
        patience: seconds to wait for it.
    """
    port = free_port()
    here = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    known = {**os.environ, **here, "TMPDIR": str(folder), **environment}
    known.pop("GRADIO_TEMP_DIR", None)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, env=known, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + patience
        while not _is_ready(port):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Program(f"http://127.0.0.1:{port}/", process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return json.load(answer)["status"] == "ready"
    except OSError:
        return False
