"""How sure an inversion is, and plain words to the user where something speaks against it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sdflow.align import Alignment
from sdflow.invert import OVAL, look, shrink
from sdflow.models import ModelSet

# Confidence is the probability, by a logistic regression, that an independent network (faceres)
# takes photo and inversion for the same person: constant, and factors of the identity network's
# distance and of the mean absolute difference in the oval. Fitted by `python -m sdflow evaluate`
# to the inversions of 200 people, most of them feed-forward.
CALIBRATION = (7.17, -11.11, -0.23)
POOR = 0.7  # confidence below which the user is told
SMALL_FACE = 60  # pixels from temple to temple
TEMPLES = 0.5  # share of the crop's side that lies between them
HIDDEN, OUTSIDE, SUNGLASSES = 0.15, 0.04, 0.08  # shares of the oval
DARK, TINTED = -0.72, 0.4  # mean tone of the oval, of -1..1; how much darker than skin lenses are


def confidence(models: ModelSet, crop: Tensor, image: Tensor) -> float:
    """How surely an inversion shows the person of a photo, in 0..1.

    Args:
        models: with the identity network.
        crop: aligned face (1, 3, 256, 256) in [-1, 1].
        image: its inversion (1, 3, 512, 512).
    """
    distance, difference = evidence(models, crop, image)
    constant, of_distance, of_difference = CALIBRATION
    return 1 / (1 + math.exp(-(constant + of_distance * distance + of_difference * difference)))


@torch.no_grad()
def evidence(models: ModelSet, crop: Tensor, image: Tensor) -> tuple[float, float]:
    """Distance of the descriptors, and mean absolute difference within the oval."""
    picture = shrink(image, 256).clamp(-1, 1)
    distance = (look(models, crop)[1] - look(models, picture)[1]).norm()
    difference = (crop - picture).abs().mean(1, keepdim=True)[oval(256)].mean()
    return float(distance), float(difference)


def oval(size: int) -> Tensor:
    """The oval of a face in an FFHQ crop, (1, 1, size, size) bool."""
    middle = (torch.arange(size) + 0.5) / size
    x, y = (middle - OVAL[0]) / OVAL[2], (middle - OVAL[1]) / OVAL[3]
    return (x[None] ** 2 + y[:, None] ** 2 < 1)[None, None]


@torch.no_grad()
def warnings(
    models: ModelSet, crop: Tensor, alignment: Alignment, sure: float
) -> tuple[str, ...]:
    """Sentences about what makes a photo difficult; none for a good one.

    Args:
        models: with the parsing network.
        crop: aligned face (1, 3, 256, 256) in [-1, 1].
        alignment: its place in the photo.
        sure: the confidence.
    """
    found = []
    width = TEMPLES * float(np.hypot(*(alignment.quad[3] - alignment.quad[0])))
    if width < SMALL_FACE:
        found.append(f"The face is only about {width:.0f} pixels wide, so its detail is guessed: "
                     "use a larger photo if there is one.")  # fmt: skip
    inside = oval(64)
    if share_outside(alignment, inside[0, 0].numpy()) > OUTSIDE:
        found.append("Part of the face lies outside the photo and is made up: use a photo that "
                     "shows all of it.")  # fmt: skip
    classes = models.parser(crop).softmax(1)  # (1, K, 256, 256)
    hidden, glasses = (classes[:, models.classes.index(name)][:, None]
                       for name in ("occluder", "glasses"))  # fmt: skip
    here = oval(256).to(crop.device)
    if float(hidden[here].mean()) > HIDDEN:
        found.append("Something covers part of the face; what is below it is made up: use a photo "
                     "that shows the whole face.")  # fmt: skip
    grey = crop.mean(1, keepdim=True)
    lenses, skin = (glasses > 0.5) & here, (classes[:, 1:2] > 0.5) & here
    if float(lenses[here].float().mean()) > SUNGLASSES and lenses.any() and (
        float(grey[lenses].mean()) < float(grey[skin].mean()) - TINTED
    ):
        found.append("Sunglasses hide the eyes, so edits of the eyes are guesses: use a photo "
                     "without them.")  # fmt: skip
    if float(grey[here].mean()) < DARK:
        found.append("The photo is dark, so much of the face is guessed: brighten it, or use "
                     "another.")  # fmt: skip
    if sure < POOR:
        found.append("The inversion resembles the person only roughly: refine the likeness, or "
                     "use a sharp photo that faces the camera.")  # fmt: skip
    return tuple(found)


def share_outside(alignment: Alignment, inside: np.ndarray) -> float:
    """Share of some of the crop's pixels, (H, H) bool, that lies beyond the photo's edges."""
    rows, columns = np.nonzero(inside)
    scale = alignment.size / len(inside)
    places = np.stack([columns + 0.5, rows + 0.5, np.full(len(rows), 1 / scale)]) * scale
    x, y = alignment.inverse @ places
    width, height = alignment.photo_size
    return float(((x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)).mean())
