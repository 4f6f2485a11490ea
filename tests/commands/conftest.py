"""The command line in this process, with models that are loaded once; a photo with a place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from sdflow import gpu, tuning
from sdflow.__main__ import main
from sdflow.commands import batch, morphs, progress, sheets
from sdflow.faces import save_face
from sdflow.pipeline import Editor

Run = Callable[..., dict]
Fails = Callable[..., str]


@pytest.fixture(autouse=True)
def loaded(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "load_models", lambda *given: editor.models)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """One verb with --json; its report."""

    def call(*arguments: object) -> dict:
        status, printed = main([*map(str, arguments), "--json"]), capsys.readouterr()
        assert (status, printed.err) == (0, "")
        return json.loads(printed.out)  # exactly one object

    return call


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fails:
    """The sentence of a verb that fails, before the models are loaded."""

    def call(*arguments: object) -> str:
        monkeypatch.setattr(gpu, "load_models", lambda *given: pytest.fail("told after loading"))
        status, printed = main([*map(str, arguments)]), capsys.readouterr()
        assert (status, printed.out) == (2, "")
        assert printed.err.startswith("error: ") and printed.err.endswith(".\n")
        assert printed.err.count("\n") == 1
        return printed.err

    return call


@pytest.fixture(scope="session")
def photo_file(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces as JPEG, with camera and place."""
    path = tmp_path_factory.mktemp("photos") / "two.jpg"
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "A camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 12.0, 30.0)
    photo.save(path, quality=87, exif=exif)
    return path


@pytest.fixture(scope="session")
def face_file(
    editor: Editor, photo_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The larger face of the photo, opened by the encoder alone."""
    path = tmp_path_factory.mktemp("faces") / "face.safetensors"
    save_face(editor.open(photo_file, steps=0), path)
    return path


@pytest.fixture(scope="session")
def random_file(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "random.safetensors"
    save_face(editor.random(1), path)
    return path


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[progress.Bar]:
    """The bars that verbs show, in order."""
    made = []

    class Noted(progress.Bar):
        def __init__(self, what: str, total: int) -> None:
            super().__init__(what, total)
            made.append(self)

    for table in (batch, morphs, sheets):
        monkeypatch.setattr(table, "Bar", Noted)
    return made


@pytest.fixture
def shorten_tuning(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the steps that tuning takes."""

    def call(steps: int) -> None:
        monkeypatch.setattr(tuning, "STEPS", steps)

    return call
