"""Recipes: what makes a picture again, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdflow import __version__
from sdflow.faces import Face
from sdflow.pipeline import Editor
from sdflow.recipes import (
    LARGEST_FILE,
    Recipe,
    RecipeError,
    check_models,
    is_recipe,
    load_recipe,
    make_recipe,
    recipe_to_json,
)

STRENGTHS = {"smiling": 0.8, "young": -0.4, "yaw": 0}


@pytest.fixture(scope="module")
def recipe(editor: Editor, opened: Face) -> Recipe:
    return make_recipe(editor.models, opened, STRENGTHS, 512, detail=True)


def test_a_recipe_makes_the_same_picture(editor: Editor, opened: Face, recipe: Recipe) -> None:
    again = load_recipe(recipe_to_json(recipe).encode())
    assert check_models(again, editor.models) == ()
    assert again.strengths == {"smiling": 0.8, "young": -0.4} and again.version == __version__
    pictures = [
        editor.edit(face, strengths, size, detail).image
        for face, strengths, size, detail in (
            (opened, STRENGTHS, 512, True),
            (editor.open(again.face), again.strengths, again.size, again.detail),
        )
    ]
    assert np.array_equal(*map(np.asarray, pictures))


def test_other_weights_are_refused_and_another_precision_is_told(
    editor: Editor, recipe: Recipe
) -> None:
    with pytest.raises(RecipeError, match="other weights of flow. Install"):
        check_models(replace(recipe, models=recipe.models | {"flow": "0" * 16}), editor.models)
    mix = {"set": "mobile + e4e + released3"}
    with pytest.raises(RecipeError, match="--generator mobile --encoder e4e --semantics .*3, or"):
        check_models(replace(recipe, models=recipe.models | mix), editor.models)
    with pytest.raises(RecipeError, match="by --models stylegan2, or"):
        check_models(replace(recipe, models=recipe.models | {"set": "stylegan2"}), editor.models)
    with pytest.raises(RecipeError, match="other weights of set"):
        check_models(replace(recipe, models=recipe.models | {"set": "a + b"}), editor.models)
    (sentence,) = check_models(replace(recipe, precision="float16"), editor.models)
    assert "made in float16" in sentence


def test_recipes_are_told_from_other_files(tmp_path: Path, recipe: Recipe) -> None:
    text = recipe_to_json(recipe)
    (tmp_path / "named.json").write_text(text)
    (tmp_path / "unnamed").write_text("\n " + text)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    assert is_recipe(tmp_path / "named.json") and is_recipe(tmp_path / "unnamed")
    assert is_recipe(text.encode()) and not is_recipe(b"\xff\xd8\xff")
    assert not is_recipe(tmp_path / "photo.jpg") and not is_recipe(tmp_path / "missing")
    assert load_recipe(tmp_path / "named.json").size == 512


def changed(recipe: Recipe, **fields: object) -> bytes:
    return json.dumps(json.loads(recipe_to_json(recipe)) | fields).encode()


def test_bad_recipes_are_one_sentence(tmp_path: Path, recipe: Recipe) -> None:
    damaged = [
        {"face": "AAAA"},
        {"face": "no base64!"},
        {"face": None},
        {"size": 2000},
        {"detail": "yes"},
        {"models": []},
        {"models": {"set": 1}},
        {"version": "9" * 200},
        {"strengths": {"smiling": 2}},
        {"strengths": {"hairiness": 1}},
        {"strengths": [1]},
    ]
    for fields in damaged:
        with pytest.raises(RecipeError, match="damaged. Open the photo again"):
            load_recipe(changed(recipe, **fields))
    others = {
        b"{": "This is no recipe",
        b"[" * 100_000: "This is no recipe",
        b"{}": "holds no recipe",
        b"[1]": "holds no recipe",
        b" " * (LARGEST_FILE + 1): "is no recipe",
    }
    for data, sentence in others.items():
        with pytest.raises(RecipeError, match=sentence):
            load_recipe(data)
    with pytest.raises(RecipeError, match="There is no recipe"):
        load_recipe(tmp_path / "missing.json")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path)
