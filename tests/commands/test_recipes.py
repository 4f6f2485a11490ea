"""Recipes: the same picture again, another edit on top, and a face wherever one is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdflow import marking, recipes
from sdflow.faces import load_face
from sdflow.recipes import load_recipe


@pytest.fixture(scope="module")
def recipe_file(editor: object, face_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smiling with detail, 512 px."""
    path = tmp_path_factory.mktemp("recipes") / "recipe.json"
    recipe = recipes.make_recipe(
        editor.models, editor.open(face_file), {"smiling": 0.8}, size=512, detail=True
    )
    path.write_text(recipes.recipe_to_json(recipe))
    return path


def test_the_same_picture_again(run: Callable, face_file: Path, tmp_path: Path) -> None:
    first, again, recipe = (tmp_path / name for name in ("1.png", "2.png", "r.json"))
    strengths = ("-s", "smiling=0.5,young=-0.5", "--size", 512)
    report = run("edit", face_file, *strengths, "-o", first, "--save-recipe", recipe)
    assert report["recipe_file"] == str(recipe)
    assert report["recipe_bytes"] == recipe.stat().st_size
    repeated = run("edit", recipe, "-o", again)
    assert repeated["strengths"] == {"smiling": 0.5, "young": -0.5} and repeated["size"] == 512
    assert first.read_bytes() == again.read_bytes()
    run("edit", face_file, "--size", 512, "-o", again)
    assert first.read_bytes() != again.read_bytes()


def test_random_faces_have_recipes(run: Callable, tmp_path: Path) -> None:
    first, again, recipe = (tmp_path / name for name in ("1.png", "2.png", "r.json"))
    seed = ("--seed", 4, "--size", 512, "-s", "eyeglasses=1")
    run("random", *seed, "-o", first, "--save-recipe", recipe)
    run("edit", recipe, "-o", again)
    assert first.read_bytes() == again.read_bytes()
    assert marking.GENERATED.encode() in first.read_bytes()


def test_what_is_given_comes_before_the_recipe(
    run: Callable, recipe_file: Path, tmp_path: Path
) -> None:
    output, recipe = tmp_path / "o.png", tmp_path / "r.json"
    settings = ("-s", "smiling=-1", "-s", "young=1", "--no-detail", "--size", 1024)
    report = run("edit", recipe_file, *settings, "-o", output, "--save-recipe", recipe)
    assert report["strengths"] == {"smiling": -1, "young": 1} and not report["detail"]
    assert Image.open(output).size == (1024, 1024)
    saved = load_recipe(recipe)
    assert (saved.strengths, saved.size, saved.detail) == (report["strengths"], 1024, False)


def test_a_recipe_and_its_photo(
    run: Callable, recipe_file: Path, photo_file: Path, tmp_path: Path
) -> None:
    report = run("edit", recipe_file, "--paste", photo_file, "-o", tmp_path / "o.jpg")
    assert report["strengths"] == {"smiling": 0.8} and report["touched"] > 0.05
    assert report["output_size"] == [1600, 1200] and report["size"] == 1024
    assert marking.EDITED.encode() in (tmp_path / "o.jpg").read_bytes()


def test_a_recipe_is_a_face(run: Callable, recipe_file: Path, tmp_path: Path) -> None:
    face = tmp_path / "f.safetensors"
    run("invert", recipe_file, "-o", face)
    np.testing.assert_array_equal(load_face(face).w, load_recipe(recipe_file).face.w)
    assert run("read", recipe_file, face)["faces"][0]["confidence"] is not None


def test_recipes_that_cannot_be_followed(
    fails: Callable, recipe_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"a": 1}')
    assert "holds no recipe" in fails("edit", other)
    assert "There is no recipe" in fails("sweep", tmp_path / "none.json")
    assert "A recipe holds one face" in fails("edit", recipe_file, "--face", 1)
    assert "A recipe holds no photo" in fails("edit", recipe_file, "--paste")
    assert "End the name in one of: .json" in fails("edit", recipe_file, "--save-recipe", "r.txt")


def test_a_recipe_of_other_weights(
    recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sdflow.__main__ import main

    fields = json.loads(recipe_file.read_text())
    fields["models"]["flow"] = "0" * 16
    other = tmp_path / "other.json"
    other.write_text(json.dumps(fields))
    assert main(["edit", str(other), "-o", str(tmp_path / "o.png")]) == 2
    assert "other weights of flow" in capsys.readouterr().err
    assert not (tmp_path / "o.png").exists()
