"""Recipes: a small JSON file that makes the same picture again, on any machine.

It holds the face (as a face file, in base64), the strengths, and what the picture was made with:
models by the digests of their weights, precision, version.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdflow import __version__
from sdflow.edit import MAPPINGS, ORIGINAL, POLES, parse_strengths
from sdflow.faces import LARGEST_FILE as LARGEST_FACE
from sdflow.faces import Face, FaceFileError, face_to_bytes, load_face
from sdflow.manifest import find_entry
from sdflow.released import NEEDED
from sdflow.selection import options_of
from sdflow.small_files import first_bytes, has_suffix, read_small

if TYPE_CHECKING:
    from sdflow.models import ModelSet

FORMAT = "sdflow-recipe"
SIZES = (512, 1024)
LARGEST_FILE = LARGEST_FACE * 4 // 3 + 20_000  # bytes
MAKE_ANEW = "Open the photo again and save a new recipe."


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message is a sentence that ends in what to do."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """How one picture was made.

    Attributes:
        face: with all that edits need.
        strengths: attribute → −1..1, or its scale, see `mapping`.
        size: of the picture, 1024 or 512 pixels.
        detail: whether detail of the photo was carried over.
        models: name of the set, and network → digest of its weights.
        precision: of the synthesis, such as bfloat16.
        version: of SDFlow.
        mapping: from strengths to semantics, see `Editor.edit`.
    """

    face: Face
    strengths: dict[str, float]
    size: int
    detail: bool
    models: dict[str, str]
    precision: str
    version: str
    mapping: str = POLES


def make_recipe(
    models: ModelSet,
    face: Face,
    strengths: Mapping[str, float],
    size: int = 1024,
    detail: bool = False,
    mapping: str = POLES,
) -> Recipe:
    """The recipe of `Editor.edit`, given the same, with these models."""
    # a scale of 0 is an edit too
    moved = {name: float(s) for name, s in strengths.items() if s or mapping == ORIGINAL}
    made_with = digests(models, mapping), precision_of(models), __version__
    return Recipe(face, moved, size, detail, *made_with, mapping)


def recipe_to_json(recipe: Recipe) -> str:
    """A recipe as the text of its file."""
    fields = {
        "format": FORMAT,
        "version": recipe.version,
        "models": recipe.models,
        "precision": recipe.precision,
        "size": recipe.size,
        "detail": recipe.detail,
        "mapping": recipe.mapping,
        "strengths": recipe.strengths,
        "face": base64.b64encode(face_to_bytes(recipe.face)).decode(),
    }
    return json.dumps(fields, indent=2) + "\n"


def is_recipe(source: object) -> bool:
    """Whether a path or bytes are JSON rather than a photo or a face file."""
    return has_suffix(source, ".json") or first_bytes(source).lstrip()[:1] == b"{"


def load_recipe(source: str | Path | bytes) -> Recipe:
    """Read a recipe, trusting nothing in it.

    Args:
        source: its path or its bytes.

    Raises:
        RecipeError: no such file, another kind of file, or a damaged one.
    """
    data = read_small(source, LARGEST_FILE, "recipe", RecipeError)
    if len(data) > LARGEST_FILE:
        raise RecipeError(f"A file over {LARGEST_FILE:,} bytes is no recipe. {MAKE_ANEW}")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"This is no recipe, or a damaged one. {MAKE_ANEW}") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise RecipeError("This JSON file holds no recipe. Choose one that SDFlow saved.")
    try:
        return _to_recipe(fields)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FaceFileError):
            raise RecipeError(f"The face in this recipe is damaged. {MAKE_ANEW}") from error
        raise RecipeError(f"This recipe is damaged. {MAKE_ANEW}") from error


def check_models(recipe: Recipe, models: ModelSet) -> tuple[str, ...]:
    """Compares what a recipe was made with to what is loaded.

    Returns:
        Sentences on what makes the picture differ slightly.

    Raises:
        RecipeError: it was made with other networks, which would make another picture, or needs
            the released classifier, which is not loaded.
    """
    if recipe.mapping == ORIGINAL and models.classifier is None:
        raise RecipeError(NEEDED)
    now = digests(models, recipe.mapping)
    made_by = str(recipe.models.get("set", ""))
    if made_by != models.name and (options := options_of(made_by)):
        raise RecipeError(
            f"This recipe was made with other models, {made_by}. On the command line choose them "
            f"by {options}, or open the photo again."
        )
    other = [name for name in {**recipe.models, **now} if recipe.models.get(name) != now.get(name)]
    if other:
        raise RecipeError(
            f"This recipe was made by SDFlow {recipe.version} with other weights of "
            f"{', '.join(sorted(other))}. Install that version, or open the photo again."
        )
    precision = precision_of(models)
    if recipe.precision == precision:
        return ()
    return (
        f"The picture was made in {recipe.precision}, this machine computes in {precision}: "
        "single pixels may differ.",
    )


def digests(models: ModelSet, mapping: str = POLES) -> dict[str, str]:
    """Name of the set, and network → 16 hex digits of what its files are, or ``unpinned``: of
    those that an edit depends on."""
    found, selection = {"set": models.name}, models.selection
    read = f"estimator_a{selection.released}" if selection.released else "estimator"
    for name in (*selection.files, *(("classifier", read) if mapping == ORIGINAL else ())):
        together = "".join(file.sha256 for file in find_entry(name).files)
        digest = hashlib.sha256(together.encode()).hexdigest()[:16]
        found[name] = digest if together else "unpinned"
    return found


def precision_of(models: ModelSet) -> str:
    """Of the convolutions of the synthesis."""
    return str(models.synthesis.dtype).removeprefix("torch.")


def _to_recipe(fields: dict[str, Any]) -> Recipe:
    """Builds a recipe from a file's content; what is off raises a ValueError or its like."""
    models, size, detail = fields["models"], fields["size"], fields["detail"]
    if not isinstance(models, dict):
        raise TypeError("its models are no mapping")
    texts = [*models, *models.values(), fields["precision"], fields["version"]]
    if not all(isinstance(text, str) and len(text) < 100 for text in texts):
        raise ValueError("its names are no names")
    if size not in SIZES or not isinstance(detail, bool):
        raise ValueError("its picture has another size")
    face = load_face(base64.b64decode(fields["face"], validate=True))
    mapping = fields.get("mapping", POLES)
    if mapping not in MAPPINGS:
        raise ValueError("its strengths mean something else")
    strengths = parse_strengths(fields["strengths"], face.attributes, mapping)
    made_with = models, fields["precision"], fields["version"]
    return Recipe(face, strengths, size, detail, *made_with, mapping)
