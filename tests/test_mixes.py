"""Generator, encoder and semantics in any mix, with full-size networks filled by rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import sync_playwright

from sdflow.__main__ import main
from sdflow.faces import Face
from sdflow.models import load_models
from sdflow.networks.cnf import ADAPTIVE
from sdflow.networks.resnet import predictions
from sdflow.pipeline import Editor
from sdflow.recipes import digests
from sdflow.released import CELEBA_40, original_target
from sdflow.selection import Selection
from tests.browser.actions import press, take_random_face, wait_for_picture
from tests.browser.conftest import CHROMIUM
from tests.full_size import write_full_size
from tests.program import running

EXAMPLE = Path(__file__).parents[1] / "examples/astronaut.jpg"
Load = Callable[[Selection], Editor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_full_size(tmp_path_factory.mktemp("full-size"))


@pytest.fixture(scope="module")
def load(folder: Path) -> Load:
    """Loads a mix, one after the other."""

    def loaded(selection: Selection) -> Editor:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SDFLOW_WEIGHTS_DIR", str(folder))
            return Editor(load_models(selection, "cpu"))

    return loaded


@pytest.fixture(scope="module")
def released(load: Load) -> Editor:
    """Light generator, our encoder, the released semantics for five attributes."""
    return load(Selection(semantics="released"))


@pytest.fixture(scope="module")
def face(released: Editor) -> Face:
    return released.open(EXAMPLE, steps=0)


def test_the_whole_full_size_set_as_a_program(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "SDFLOW_WEIGHTS_DIR": str(folder)}
    picture, recipe = tmp_path / "edited.png", tmp_path / "recipe.json"
    command = [sys.executable, "-m", "sdflow", "edit", EXAMPLE, "--models", "stylegan2"]
    command += ["-s", "smiling=0.8", "--refine", "0", "--paste", "--json", "-o", picture]
    measured = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); print("\
        "resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", measured, *map(str, [*command, "--save-recipe", recipe])],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert picture.stat().st_size == told["output_bytes"]
    assert set(told["after"]) == {"eyeglasses", "gender", "smiling", "wavy_hair", "young"}
    assert json.loads(recipe.read_text())["models"]["set"] == "stylegan2"
    assert "no sha256 of e4e is recorded" in done.stderr
    kilobytes = int(done.stderr.split()[-1])
    assert 1e6 < kilobytes < 12e6  # the project's bound


def test_the_whole_full_size_set_on_the_page_and_in_the_api(
    folder: Path, tmp_path: Path
) -> None:
    def visit(url: str) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(url)
            before = take_random_face(page)
            press(page, "ArrowRight", slider="#slider-wavy_hair input[type=range]")
            assert wait_for_picture(page, before)[0] == before[0]  # the original stays
            assert page.locator("#slider-beard").count() == 0
            browser.close()

    environment = {"SDFLOW_MODELS": "stylegan2", "SDFLOW_WEIGHTS_DIR": str(folder)}
    # in a thread of its own, for playwright keeps a loop in that of the browser's tests
    with running(tmp_path, environment) as program, ThreadPoolExecutor(1) as thread:
        thread.submit(visit, program.url).result()
        client = Client(program.url, verbose=False)
        photo, mask, report = client.predict(
            handle_file(EXAMPLE), refine=0, wavy_hair=1, api_name="/edit_photo"
        )
        assert report["after"]["wavy_hair"] == pytest.approx(1.2, abs=1e-6)
        with Image.open(photo) as whole, Image.open(mask) as touched, Image.open(EXAMPLE) as given:
            assert whole.size == given.size and touched.getbbox()
        assert client.predict(api_name="/health")["models"]["set"] == "stylegan2"
        assert 1e6 < program.peak_kilobytes < 12e6


def test_the_forty_attributes_and_the_originals_editing_as_programs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("SDFLOW_WEIGHTS_DIR", str(folder))
    monkeypatch.setenv("SDFLOW_SEMANTICS", "")  # so that it is as it was afterwards
    chosen = ["--semantics", "released3", "--refine", "0"]
    assert main(["read", str(EXAMPLE), *chosen, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["faces"]
    assert len(row["celeba"]) == 41 and set(row["attributes"]) == {"eyeglasses", "gender", "young"}
    command = ["edit", str(EXAMPLE), *chosen, "-s", "young=0.2", "--mapping", "original"]
    assert main([*command, "--json", "-o", str(tmp_path / "edited.png")]) == 0
    after = json.loads(capsys.readouterr().out)["after"]
    assert after["young"] == pytest.approx(-0.2 if row["celeba"]["Young"] > 0.5 else 1.2, abs=1e-6)
    command[-3] = "young=0,gender=-1.2"  # the opposite, and beyond what is seen
    assert main([*command, "-o", str(tmp_path / "opposite.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (young,) = [line for line in lines if line.startswith("young:")]
    (gender,) = [line for line in lines if line.startswith("gender:")]
    assert "(strength +0.00)" in young and "(strength -1.20)" in gender
    assert main(["edit", str(EXAMPLE), *chosen, "-s", "gender=-1.2"]) == 2
    assert "from -1 to 1" in capsys.readouterr().err
    command[-3] = "young=0.2"
    recipe, picture = str(tmp_path / "recipe.json"), tmp_path / "edited.png"
    assert main([*command, "--save-recipe", recipe, "-o", str(picture)]) == 0
    assert main(["edit", recipe, *chosen[:2], "-o", str(tmp_path / "again.png")]) == 0
    assert picture.read_bytes() == (tmp_path / "again.png").read_bytes()
    capsys.readouterr()
    assert main(["edit", recipe, *chosen[:2], "--mapping", "poles"]) == 2
    assert "numbers have another mapping. Leave --mapping out" in capsys.readouterr().err
    assert main(["morph", recipe, *chosen[:2], "-o", str(tmp_path / "m.gif")]) == 2
    assert "edits as the original does. Say what" in capsys.readouterr().err
    monkeypatch.setenv("SDFLOW_WEIGHTS_DIR", "")
    monkeypatch.setenv("SDFLOW_SEMANTICS", "ours")
    assert main(["edit", recipe]) == 2
    assert "released classifier" in capsys.readouterr().err


def test_e4e_before_the_light_generator(load: Load) -> None:
    editor = load(Selection(encoder="e4e", semantics="released3"))
    assert editor.models.name == "mobile + e4e + released3" and editor.models.corrector is None
    assert [row.name for row in editor.attributes] == ["gender", "young", "eyeglasses"]
    assert editor.models.attributes == ("eyeglasses", "gender", "young")  # c's order
    opened = editor.open(EXAMPLE, steps=0)
    with torch.no_grad():
        code = editor.models.encoder(editor._crop(opened))[0]
    assert np.abs(opened.w - code.numpy()).mean() < 0.05  # but for the crop's JPEG
    edited = editor.edit(opened, {"eyeglasses": 1.0}, 512)
    assert edited.after["eyeglasses"] == pytest.approx(1.2, abs=1e-6)
    assert edited.after["young"] == edited.before["young"]
    assert np.abs(edited.w - opened.w).max() > 1e-3


def test_the_full_size_generator_behind_our_own_parts(load: Load) -> None:
    editor = load(Selection("stylegan2"))
    face = editor.random(3)
    assert len(editor.attributes) >= 10 and editor.models.classifier is not None
    edited = editor.edit(face, {"smiling": 1.0}, 512)
    with torch.no_grad():
        again = editor.models.synthesis(torch.from_numpy(edited.w)[None], 512)
    drawn = again.clamp(-1, 1)[0].permute(1, 2, 0).numpy() * 127.5 + 127.5
    assert np.abs(drawn - np.asarray(edited.image)).max() <= 1
    assert set(digests(editor.models)) == {"set", "stylegan2", "flow", "parsing"}
    assert digests(editor.models)["stylegan2"] == "unpinned"
    with pytest.raises(ValueError, match="Only the light generator can be tuned"):
        editor.open(EXAMPLE, steps=0, tune=True)


def test_sliders_follow_the_semantics(released: Editor, face: Face) -> None:
    with pytest.raises(ValueError, match="Unknown attribute 'beard'.*wavy_hair"):
        released.edit(face, {"beard": 1.0})
    assert released.models.gates is None
    same = released.edit(face, {}, 512)
    assert np.array_equal(same.w, face.w)


def test_forty_attributes_are_read(released: Editor, face: Face) -> None:
    told = released.classify(face)
    assert tuple(told) == (*CELEBA_40, "age_group") and len(CELEBA_40) == 40
    with torch.no_grad():
        logits = released.models.classifier(released._crop(face))[0]
    assert told["Male"] == pytest.approx(torch.sigmoid(logits[20]).item(), abs=1e-6)
    assert told["Wavy_Hair"] == pytest.approx(torch.sigmoid(logits[33]).item(), abs=1e-6)
    assert told["age_group"] == int((logits[40:] > 0).sum())


@pytest.mark.parametrize("scale", [-1.0, 0.0, 0.2])
def test_the_originals_editing(released: Editor, face: Face, scale: float) -> None:
    models, crop = released.models, released._crop(face)
    edited = released.edit(face, {"young": scale}, 512, mapping="original")
    with torch.no_grad():
        bit = predictions(models.classifier(crop))[0, 39].item()
        c = models.estimator(crop)
        wanted = c.clone()
        wanted[0, 4] = -scale if bit else 1 + scale
        z = models.flow.encode(torch.from_numpy(face.w)[None], c, ADAPTIVE)
        w = models.flow.decode(z, wanted, ADAPTIVE)
    assert np.abs(edited.w - w[0].numpy()).max() < 1e-4
    assert edited.after["young"] == pytest.approx(wanted[0, 4].item(), abs=1e-6)
    assert edited.before["smiling"] == edited.after["smiling"]


def test_targets_follow_from_bits() -> None:
    c = torch.tensor([[0.3, 0.6, 0.9]])
    bits = torch.zeros(1, 41)
    bits[0, 20] = 1  # Male
    names = ("eyeglasses", "gender", "young")
    target = original_target(c, bits, {"eyeglasses": 0.2, "gender": -0.6}, names)
    assert target.tolist() == [pytest.approx([1.2, 0.6, 0.9])]
    with pytest.raises(ValueError, match="does not know 'beard'.*eyeglasses, gender, young"):
        original_target(c, bits, {"beard": 0.0}, names)


def test_without_the_classifier_this_is_said(editor: Editor, opened: Face) -> None:
    with pytest.raises(ValueError, match="released classifier.*README.md"):
        editor.edit(opened, {"young": 0.0}, mapping="original")
    with pytest.raises(ValueError, match="released classifier.*README.md"):
        editor.classify(opened)
    with pytest.raises(ValueError, match="mapping 'other'. Choose poles or original"):
        editor.edit(opened, {}, mapping="other")
