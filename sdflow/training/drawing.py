"""Shapes and textures that occluders are drawn with, on the 256 px grid of a crop.

A shape is a signed distance in pixels, (256, 256), negative inside: its edge comes out smooth, and
its depth shades it like something round. A texture is (256, 256, 3) in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from sdflow.networks.parsing import CLASSES, SIDE

FACE = CLASSES.index("face")
Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float32)


@dataclass(frozen=True)
class Layer:
    """Something to paint: coverage (256, 256) in 0..1 and colour (256, 256, 3) in 0..1."""

    coverage: np.ndarray
    colour: np.ndarray


@dataclass(frozen=True)
class Scene:
    """What an occluder is drawn for.

    Attributes:
        crop: the picture, (256, 256, 3) float32 in 0..1.
        classes: its classes, (256, 256) uint8.
        donor: another picture, for skin and texture.
        donor_classes: its classes.
        rng: of all draws.
    """

    crop: np.ndarray
    classes: np.ndarray
    donor: np.ndarray
    donor_classes: np.ndarray
    rng: np.random.Generator

    def target(self) -> np.ndarray:
        """A point (x, y) on the head, more often in its lower half."""
        rows, columns = np.nonzero(self.classes)
        if not len(rows):
            return self.rng.uniform(80, 200, 2)
        k = max(self.rng.integers(0, len(rows), 2).tolist())  # rows are in order
        return np.array([columns[k], rows[k]], np.float32)

    def outward(self) -> np.ndarray:
        """Unit vector (x, y) to where something comes from, mostly below or a side."""
        below = self.rng.random() < 0.9
        angle = np.pi / 2 + self.rng.normal(0, 0.9) if below else self.rng.uniform(0, 2 * np.pi)
        return np.array([np.cos(angle), np.sin(angle)], np.float32)


def capsule(start: np.ndarray, end: np.ndarray, radius: float, taper: float = 1.0) -> np.ndarray:
    """Signed distance to a thick line; its radius at the end is ``taper`` times as large."""
    along = (end - start).astype(np.float32)
    x, y = X - np.float32(start[0]), Y - np.float32(start[1])
    t = ((x * along[0] + y * along[1]) / max(float(along @ along), 1e-6)).clip(0, 1)
    distance = np.hypot(x - t * along[0], y - t * along[1])
    return distance - np.float32(radius) * (1 + np.float32(taper - 1) * t)


def box(centre: np.ndarray, half: np.ndarray, angle: float, rounding: float) -> np.ndarray:
    """Signed distance to a turned rectangle with round corners."""
    x, y = turned(centre, angle)
    dx, dy = np.abs(x) - half[0] + rounding, np.abs(y) - half[1] + rounding
    outside = np.hypot(dx.clip(0), dy.clip(0))
    return outside + np.maximum(dx, dy).clip(max=0) - rounding


def ellipse(centre: np.ndarray, half: np.ndarray, angle: float) -> np.ndarray:
    """About the signed distance to a turned ellipse."""
    x, y = turned(centre, angle)
    return (np.hypot(x / half[0], y / half[1]) - 1) * min(half)


def turned(centre: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of all pixels in a frame at ``centre`` whose x axis has the angle."""
    x, y = X - np.float32(centre[0]), Y - np.float32(centre[1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def flat(distance: np.ndarray, colour: np.ndarray) -> Layer:
    """A shape without depth."""
    return Layer((0.5 - distance).clip(0, 1).astype(np.float32), colour)


def rounded(
    distance: np.ndarray, depth: float, colour: np.ndarray, rng: np.random.Generator
) -> Layer:
    """A shape that curves away over ``depth`` pixels inside its edge, and so darkens there."""
    inside = (-distance / depth).clip(0, 1)
    dark = rng.uniform(0.45, 0.95)
    shade = dark + (1 - dark) * np.sqrt(1 - (1 - inside) ** 2)
    return flat(distance, (colour * shade[..., None]).astype(np.float32))


def texture(scene: Scene) -> np.ndarray:
    """Cloth, things, walls: part of the donor's background enlarged, stripes, or one colour."""
    kind = scene.rng.random()
    if kind < 0.55:
        return patch(scene)
    return stripes(scene.rng) if kind < 0.7 else plain(scene.rng)


def plain(rng: np.random.Generator, grey: float | None = None) -> np.ndarray:
    """One colour, or that grey, with a slope of light and grain."""
    colour = rng.uniform(0, 1, 3) if grey is None else np.full(3, grey) + rng.normal(0, 0.03, 3)
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)
    light = 1 + slope * ((X - 128) * np.cos(angle) + (Y - 128) * np.sin(angle)) / 128
    grain = rng.normal(0, rng.uniform(0, 0.05), (SIDE, SIDE, 1))
    return (colour * light[..., None] + grain).clip(0, 1).astype(np.float32)


def stripes(rng: np.random.Generator) -> np.ndarray:
    """Stripes of two colours."""
    angle, step = rng.uniform(0, np.pi), rng.uniform(4, 30)
    wave = np.sin((X * np.cos(angle) + Y * np.sin(angle)) / step * 2 * np.pi) > rng.normal(0, 0.5)
    return np.where(wave[..., None], plain(rng), plain(rng))


def checks(rng: np.random.Generator) -> np.ndarray:
    """Checks of two colours; kept for scores."""
    step = rng.uniform(5, 16)
    odd = (X // step + Y // step) % 2 > 0
    return np.where(odd[..., None], plain(rng), plain(rng))


def patch(scene: Scene) -> np.ndarray:
    """Part of the donor's background, enlarged to the whole grid and perhaps recoloured."""
    rng, best = scene.rng, (-1.0, 0, 0, 64)
    for _ in range(6):
        side = int(rng.integers(24, 100))
        left, top = rng.integers(0, SIDE - side, 2).tolist()
        empty = (scene.donor_classes[top : top + side, left : left + side] == 0).mean()
        best = max(best, (float(empty), left, top, side))
    _, left, top, side = best
    part = Image.fromarray((scene.donor[top : top + side, left : left + side] * 255).astype("u1"))
    part = part.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    found = np.asarray(part, np.float32) / 255
    if rng.random() < 0.5:
        found = found * rng.uniform(0.6, 1.4, 3) + rng.uniform(-0.15, 0.15)
    return found.clip(0, 1).astype(np.float32)


def skin(scene: Scene) -> np.ndarray:
    """The skin of the person or, a third of the time, of the donor: colour, blotches, grain."""
    rng = scene.rng
    crop, classes = scene.crop, scene.classes
    if rng.random() < 1 / 3:
        crop, classes = scene.donor, scene.donor_classes
    found = crop[classes == FACE]
    colour = np.median(found, 0) if len(found) > 50 else rng.uniform(0.2, 0.8) * np.ones(3)
    colour = colour * rng.uniform(0.75, 1.2) + rng.normal(0, 0.02, 3)
    blotches = rng.normal(0, 1, (9, 9)).astype(np.float32)
    blotches = Image.fromarray(blotches).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    light = 1 + rng.uniform(0.02, 0.15) * np.asarray(blotches)[..., None]
    grain = rng.normal(0, rng.uniform(0, 0.03), (SIDE, SIDE, 1))
    return (colour * light + grain).clip(0, 1).astype(np.float32)


def softened(coverage: np.ndarray, radius: int) -> np.ndarray:
    """A coverage blurred over so many pixels."""
    if not radius:
        return coverage
    image = Image.fromarray((coverage * 255).astype("u1")).filter(ImageFilter.BoxBlur(radius))
    return np.asarray(image, np.float32) / 255
