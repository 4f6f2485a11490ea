"""What the API says of itself: names, types, defaults and descriptions of every endpoint."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from gradio_client import Client

from sdflow import __version__
from sdflow.pipeline import Editor
from sdflow.recipes import digests
from tests.api.conftest import Server

REQUIRED = object()
FACE = {"token": "", "face_file": None}
OPENING = {"photo": REQUIRED, "face": 0, "refine": 10, "tune": False}
OPTIONS = {"plain": False, "keep_metadata": False}
MAPPING = {"mapping": "poles"}
FOUND = ["token", "about", "picture", "face_file"]
IN_PHOTO = ["picture", "mask", "report"]


@pytest.fixture(scope="module")
def endpoints(client: Client) -> dict[str, Any]:
    return client.view_api(return_format="dict")["named_endpoints"]


def test_endpoints_have_names_defaults_and_results(
    endpoints: dict[str, Any], editor: Editor
) -> None:
    strengths = dict.fromkeys(editor.models.shipped, 0)
    expected = {
        "/invert": (OPENING, FOUND),
        "/refine": (FACE | {"steps": 60, "tune": False}, FOUND),
        "/random": ({"seed": None}, FOUND),
        "/read_attributes": (FACE | {"celeba": False}, ["attributes"]),
        "/edit": (
            FACE | {"size": 1024, "format": "png"} | MAPPING | strengths,
            ["picture", "report", "recipe"],
        ),
        "/paste": (
            FACE | {"photo": None} | OPTIONS | {"others": None} | MAPPING | strengths, IN_PHOTO
        ),
        "/edit_photo": (OPENING | {"paste": True} | OPTIONS | MAPPING | strengths, IN_PHOTO),
        "/sweep": (
            FACE | {"attribute": "smiling", "down": "", "steps": 5, "format": "jpg"},
            ["sheet", "report"],
        ),
        "/morph": (
            FACE | {"stops": None, "seconds": 4, "fps": 25, "size": 512, "format": "mp4"}
            | MAPPING | strengths,
            ["video", "report"],
        ),
        "/list_attributes": ({}, ["attributes"]),
        "/health": ({}, ["health"]),
    }  # fmt: skip
    assert set(endpoints) == set(expected)
    for name, (parameters, results) in expected.items():
        found = {
            row["parameter_name"]: (
                row["parameter_default"] if row["parameter_has_default"] else REQUIRED
            )
            for row in endpoints[name]["parameters"]
        }
        assert list(found) == list(parameters) and found == parameters, name
        assert [row["label"] for row in endpoints[name]["returns"]] == results, name


def test_everything_is_described_and_typed(endpoints: dict[str, Any], client: Client) -> None:
    for name, endpoint in endpoints.items():
        assert endpoint["description"].endswith("."), name
        for row in [*endpoint["parameters"], *endpoint["returns"]]:
            assert len(row["python_type"]["description"]) > 5, (name, row)
            assert "Any" not in row["python_type"]["type"].replace("str, Any", ""), (name, row)
    types = {
        row["parameter_name"]: row["python_type"]["type"]
        for row in endpoints["/morph"]["parameters"]
    }
    assert types["smiling"] == types["seconds"] == "float" and types["size"] == "int"
    assert types["stops"] == "list[dict(str, float)]" and types["face_file"] == "filepath"
    assert types["format"] == "Literal['mp4', 'gif']" and types["token"] == "str"
    shown = client.view_api(print_info=False, return_format="str")
    assert "Smile: -1 serious, 0 as it is, 1 smiling" in shown


def test_list_attributes(client: Client, editor: Editor) -> None:
    listed = client.predict(api_name="/list_attributes")
    assert [row["name"] for row in listed] == list(editor.models.shipped)
    assert all(row["negative"] and row["positive"] and row["label"] for row in listed)


def test_health(client: Client, server: Server, editor: Editor) -> None:
    with urllib.request.urlopen(f"{server.url}healthz") as answer:
        assert answer.status == 200 and json.load(answer) == {"status": "ready"}
    about = client.predict(api_name="/health")
    assert about["status"] == "ready" and about["version"] == __version__
    assert about["models"] == digests(editor.models)
