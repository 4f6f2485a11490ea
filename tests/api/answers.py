"""How tests ask the API, and what every answer, picture and refusal must be like."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/face-21.jpg"  # of one face


def refusal(client: Client, api_name: str, **given: Any) -> str:  # noqa: ANN401
    """The one sentence that a call fails with."""
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011 - of the client's own type
        client.predict(api_name=api_name, **given)
    sentence = str(caught.value)
    check_sentence(sentence)
    return sentence


def check_sentence(sentence: str) -> None:
    """Short, and nothing of the server's inside."""
    assert sentence.endswith(".") and "Traceback" not in sentence and len(sentence) < 300
    assert str(ROOT) not in sentence and os.environ["GRADIO_TEMP_DIR"] not in sentence


def call(url: str, endpoint: str, body: str) -> str:
    """Calls an endpoint by curl, with JSON as it is; the events of the answer."""
    start = ["curl", "-s", f"{url}gradio_api/call/v2/{endpoint}", "--json", body]
    event = json.loads(subprocess.run(start, capture_output=True, check=True).stdout)["event_id"]
    wait = ["curl", "-sN", f"{url}gradio_api/call/{endpoint}/{event}"]
    return subprocess.run(wait, capture_output=True, text=True, check=True).stdout


def pixels(file: str | Path, kind: str = "PNG", side: int = 1024) -> np.ndarray:
    """A picture of a face, as integers."""
    with Image.open(file) as image:
        assert image.format == kind and image.size == (side, side)
        return np.asarray(image.convert("RGB")).astype(int)


def changed(file: str, photo: Path) -> tuple[float, float]:
    """Mean difference of a pasted JPEG in the halves of its two faces."""
    with Image.open(file) as image, Image.open(photo) as original:
        assert image.format == "JPEG" and image.quantization == original.quantization
        pictures = [np.asarray(x.convert("RGB")).astype(int) for x in (image, original)]
    difference = np.abs(pictures[0] - pictures[1]).mean(2)
    middle = difference.shape[1] // 2
    return difference[:, :middle].mean(), difference[:, middle + 50 :].mean()
