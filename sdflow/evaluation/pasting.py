"""Does anybody see where the face was pasted? Seams, coverage, and composites with a known truth.

Seam: how fast the picture changes across the mask's border, against the photo's own change there;
1 cannot be seen. Coverage: share of face and hair, before and after, that the mask takes in, as
the teacher (BiSeNet) parses them. Composite: a generated face stands in a scene at a known place;
its edit pasted there is compared with the scene in which the edited face stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sdflow.align import Alignment, crop_square
from sdflow.compose import gone_classes, with_detail
from sdflow.faces import Face
from sdflow.images import open_photo, to_tensor
from sdflow.networks.parsing import CLASSES
from sdflow.originals import open_original
from sdflow.paste import Pasted, person_mask
from sdflow.pipeline import Edited, Editor
from sdflow.training.parsing_labels import class_maps, load_bisenet, main_person
from sdflow.training.progress import Progress

EDITS: tuple[Mapping[str, float], ...] = (
    {"smiling": 0.8}, {"young": -0.7}, {"gender": 0.7}, {"eyeglasses": 0.8}, {"yaw": 0.6},
)  # fmt: skip
SCENE, SIDE, TURN, PLACE = (1400, 1200), 760, 7.0, (330, 210)  # pixels; degrees
COVERED = tuple(CLASSES.index(name) for name in ("face", "hair"))


def measure(editor: Editor, photos: Sequence[Path], faces: int) -> dict[str, object]:
    """Seams and coverage on photos, composites on generated faces; means over all edits.

    Args:
        editor: with the real weights.
        photos: whole photos; one in which no face is found is an error.
        faces: how many generated ones.
    """
    teacher = load_bisenet()
    seams: dict[str, list[float]] = {"masked": [], "plain": []}
    coverage: list[float] = []
    progress = Progress("pasted photos", len(photos) + faces)
    for path in photos:
        original = open_original(path)
        face = editor.open(path)
        for strengths in EDITS:
            edited = editor.edit(face, strengths)
            pasted = editor.paste(original, (face, edited))
            plain = editor.paste(original, (face, edited), plain=True)
            seams["masked"].append(seam(original.image, pasted))
            seams["plain"].append(seam(original.image, plain))
            coverage.append(covered(editor, teacher, open_photo(path), face, edited))
        progress.advance()
    truths = []
    for seed in range(faces):
        truths += composites(editor, seed)
        progress.advance()
    return {
        "photos": len(photos), "edits": [dict(edit) for edit in EDITS],
        "seam": {name: _spread(values) for name, values in seams.items()},
        "coverage": _spread(coverage) | {"of 95 %": round(float(np.mean(
            np.array(coverage) >= 0.95)), 3)} if coverage else {},
        "composites": {name: _spread([truth[name] for truth in truths]) for name in truths[0]}
        if truths else {},
    }  # fmt: skip


def seam(photo: Image.Image, pasted: Pasted) -> float:
    """Change across the border of the mask over the photo's own change along the same border.

    Both are mean absolute differences of grey levels from one pixel to the next, in the direction
    in which the mask falls, where it lies between 5 and 95 %.
    """
    mask = np.asarray(pasted.mask, np.float32) / 255
    across = np.stack(np.gradient(mask))  # (2, H, W)
    border = (mask > 0.05) & (mask < 0.95)
    across = across[:, border] / (np.hypot(*across[:, border]) + 1e-6)

    def change(image: Image.Image) -> float:
        rise = np.stack(np.gradient(np.asarray(image.convert("L"), np.float32)))[:, border]
        return float(np.abs((rise * across).sum(0)).mean())

    return change(pasted.image) / max(change(photo), 1e-6)


@torch.no_grad()
def covered(
    editor: Editor, teacher: torch.nn.Module, photo: Image.Image, face: Face, edited: Edited
) -> float:
    """Share of the teacher's face and hair, in photo and edit, where the mask is over a half."""
    crop, _ = crop_square(photo, face.alignment.quad, 512)
    gone = gone_classes(edited.before, edited.after)
    inversion = editor.reconstruct(face)
    _, before, after = with_detail(editor.models, crop, inversion, edited.image, gone)
    mask = person_mask(before.classes, after.classes, editor.models.classes)[0, 0] > 0.5
    both = torch.cat([to_tensor(crop), to_tensor(edited.image, 512)])
    maps = main_person(class_maps(teacher, both))  # (2, 256, 256)
    person = torch.isin(maps, torch.tensor(COVERED, dtype=maps.dtype)).any(0)
    return float(mask[person].float().mean())


def composites(editor: Editor, seed: int) -> list[dict[str, float]]:
    """Mean differences, in levels, between pasted edits of a face and scenes with the edited face:
    ``face`` where the mask is whole, ``rim`` where it is feathered; ``untouched`` is how far the
    unedited scene is from the truth, what there is to gain; ``opened`` is ``face`` for the face as
    it was found and inverted rather than with its true place and code."""
    true = editor.random(seed)
    scene = draw_scene(editor.reconstruct(true))
    opened = editor.open(scene)
    placed = replace(true, alignment=known_alignment(), crop=opened.crop)
    found = []
    for strengths in EDITS:
        edited = editor.edit(placed, strengths)
        truth = np.asarray(draw_scene(edited.image), np.float32)
        pasted = editor.paste(scene, (placed, edited))
        inverted = editor.paste(scene, (opened, editor.edit(opened, strengths)))
        mask = np.asarray(pasted.mask)
        whole, rim = mask > 250, (mask > 0) & (mask <= 250)

        def apart(image: Image.Image, where: np.ndarray, truth: np.ndarray = truth) -> float:
            return float(np.abs(np.asarray(image, np.float32) - truth)[where].mean())

        found.append({
            "face": apart(pasted.image, whole), "rim": apart(pasted.image, rim),
            "untouched": apart(scene, whole), "opened": apart(inverted.image, whole),
        })  # fmt: skip
    return found


def draw_scene(face: Image.Image) -> Image.Image:
    """A picture of an aligned face, turned and set into a wall with a slope of light."""
    x, y = np.meshgrid(np.linspace(0, 1, SCENE[0]), np.linspace(0, 1, SCENE[1]))
    wall = np.stack([120 + 60 * x, 130 + 40 * y, 150 - 30 * x], -1)
    scene = Image.fromarray(wall.astype(np.uint8))
    small = face.resize((SIDE, SIDE), Image.Resampling.LANCZOS).convert("RGBA")
    turned = small.rotate(TURN, Image.Resampling.BICUBIC, expand=True)
    scene.paste(turned, PLACE, turned)
    return scene


def known_alignment() -> Alignment:
    """Where `draw_scene` puts the crop."""
    turn = np.deg2rad(TURN)
    ways = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])  # of x, of y
    expanded = Image.new("L", (SIDE, SIDE)).rotate(TURN, expand=True).size
    middle = np.array(PLACE) + np.array(expanded) / 2 - 0.5  # a pixel's whole numbers: its centre
    corners = SIDE / 2 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    return Alignment(middle + corners @ ways, SIDE, SCENE)


def _spread(values: Sequence[float]) -> dict[str, float]:
    figures = {"mean": np.mean(values), "p05": np.quantile(values, 0.05),
               "median": np.median(values), "p95": np.quantile(values, 0.95)}  # fmt: skip
    return {name: round(float(value), 3) for name, value in figures.items()}
