"""Things in front of faces, painted over labelled crops: hands, microphones, phones, masks, …

No teacher knows them. The rule of the labels: a painted pixel is ``occluder`` where a person's
head or neck was, whatever its class, and stays ``background`` where the background was.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sdflow.networks.parsing import CLASSES, SIDE
from sdflow.training.drawing import (
    FACE,
    Layer,
    Scene,
    X,
    Y,
    box,
    capsule,
    checks,
    ellipse,
    flat,
    patch,
    plain,
    rounded,
    skin,
    softened,
    texture,
    turned,
)

OCCLUDER = CLASSES.index("occluder")
HIDDEN = 0.65  # an occluder that hides more of a face than this is left out

Family = Callable[[Scene], list[Layer]]


def hand(scene: Scene) -> list[Layer]:
    """A palm, four fingers and a thumb, mostly at the end of a forearm."""
    rng, palm = scene.rng, float(scene.rng.uniform(17, 40))  # half a palm's width
    outward, colour = scene.outward(), skin(scene)
    across = np.array([-outward[1], outward[0]]) * rng.choice([-1.0, 1.0])  # away from the thumb
    centre = scene.target() + outward * palm * rng.uniform(0.3, 2.2)
    pieces = []

    def towards(turn: float) -> np.ndarray:
        return np.sin(turn) * across - np.cos(turn) * outward

    if rng.random() < 0.8:
        sleeve = colour if rng.random() < 0.5 else texture(scene)
        wrist = centre + outward * palm * 0.9
        arm = capsule(wrist, wrist + outward * 200, palm * 0.72, rng.uniform(1.1, 1.6))
        pieces.append((arm, palm, sleeve))
    angle = np.arctan2(outward[1], outward[0])
    pieces.append((ellipse(centre, np.array([palm * 1.15, palm]), angle), palm * 0.9, colour))
    spread, bend = rng.uniform(0, 0.28), rng.normal(0, 0.35)
    length = palm * (rng.uniform(0.4, 0.7) if rng.random() < 0.25 else rng.uniform(1.3, 2.1))
    for k, share in enumerate((0.95, 1.05, 1.0, 0.8)):
        side, one = (k - 1.5) / 1.5, length * share * rng.uniform(0.75, 1.05)
        base = centre - outward * palm * 0.75 + across * palm * 0.72 * side
        joint = base + towards(side * spread) * one * 0.55
        end = joint + towards(side * spread + bend) * one * 0.5
        radius = palm * rng.uniform(0.21, 0.27)
        finger = np.minimum(capsule(base, joint, radius), capsule(joint, end, radius, 0.8))
        pieces.append((finger, radius, colour))
    base = centre - across * palm * 0.7 + outward * palm * 0.2
    end = base + towards(-rng.uniform(0.3, 1.2)) * palm * rng.uniform(0.8, 1.3)
    pieces.append((capsule(base, end, palm * 0.28, 0.8), palm * 0.3, colour))
    return [rounded(*piece, rng) for piece in pieces]


def microphone(scene: Scene) -> list[Layer]:
    """A ball or a cylinder on a stick."""
    rng, radius, outward = scene.rng, float(scene.rng.uniform(9, 26)), scene.outward()
    head = scene.target() + outward * radius * rng.uniform(-0.5, 1.5)
    stick = capsule(head, head + outward * 250, radius * rng.uniform(0.25, 0.75))
    long = head + outward * radius * (rng.uniform(0.5, 2.5) if rng.random() < 0.5 else 0.01)
    foam = plain(rng, rng.uniform(0.02, 0.35) if rng.random() < 0.7 else None)
    grain = rng.normal(0, rng.uniform(0.02, 0.12), (SIDE, SIDE, 1)).astype(np.float32)
    handle = plain(rng, rng.uniform(0.02, 0.6))
    return [
        rounded(stick, radius * 0.5, handle, rng),
        rounded(capsule(head, long, radius), radius, (foam + grain).clip(0, 1), rng),
    ]


def board(scene: Scene) -> list[Layer]:
    """A phone, a book, a sign: a rectangle, perhaps with a frame of another colour."""
    rng, centre = scene.rng, scene.target() + scene.rng.normal(0, 12, 2)
    outer = box(centre, rng.uniform(12, 60, 2), rng.normal(0, 0.6), rng.uniform(0.5, 10))
    layers = [flat(outer, texture(scene))]
    if rng.random() < 0.4:
        layers.append(flat(outer + rng.uniform(2, 6), texture(scene)))
    return layers


def blob(scene: Scene) -> list[Layer]:
    """An outline of a few waves around a circle."""
    rng, centre = scene.rng, scene.target() + scene.rng.normal(0, 15, 2)
    theta, size = np.arctan2(Y - centre[1], X - centre[0]), rng.uniform(12, 55)
    outline = np.ones_like(X)
    for k in range(1, 7):
        outline += rng.normal(0, 0.3 / k) * np.cos(k * theta + rng.uniform(0, 2 * np.pi))
    distance = np.hypot(X - centre[0], Y - centre[1]) - size * outline.clip(0.15)
    return [rounded(distance, size * 0.6, texture(scene), rng)]


def polygon(scene: Scene) -> list[Layer]:
    """A convex shape of four to eight sides."""
    rng, centre = scene.rng, scene.target() + scene.rng.normal(0, 15, 2)
    first = rng.uniform(0, np.pi / 2)
    turns = [first + k * np.pi / 2 for k in range(4)]  # these close it
    turns += rng.uniform(0, 2 * np.pi, rng.integers(0, 5)).tolist()
    sides = [turned(centre, turn)[0] - rng.uniform(12, 50) for turn in turns]
    return [flat(np.max(sides, 0), texture(scene))]


def strap(scene: Scene) -> list[Layer]:
    """A pole, a cable, a strap: a line across the picture, or into it."""
    rng, outward, point = scene.rng, scene.outward(), scene.target()
    start = point - outward * (300 if rng.random() < 0.5 else rng.uniform(0, 30))
    radius = float(rng.uniform(2, 14))
    return [rounded(capsule(start, point + outward * 300, radius), radius, texture(scene), rng)]


def mask(scene: Scene) -> list[Layer]:
    """A medical or cloth mask, cut to the outline of the face."""
    rng = scene.rng
    upper = rng.uniform(122, 150) + rng.uniform(0.05, 0.3) * np.abs(X - 128) - Y
    low = rng.uniform(205, 232)
    lower = ellipse(np.array([128, low - 80]), np.array([rng.uniform(48, 70), 80.0]), 0.0)
    outside = np.where(scene.classes == FACE, -20.0, 20.0)
    colour = plain(rng) if rng.random() < 0.7 else texture(scene)
    folds = 1 + rng.uniform(0, 0.1) * np.sin(Y * rng.uniform(0.2, 0.6) + rng.uniform(0, 6))
    cut = np.max([upper, lower, outside], 0)
    return [rounded(cut, 20.0, (colour * folds[..., None]).clip(0, 1), rng)]


def cup(scene: Scene) -> list[Layer]:
    """A cup with a handle; kept for scores."""
    rng, wide = scene.rng, float(scene.rng.uniform(14, 34))
    high = wide * rng.uniform(0.9, 1.6)
    x, y = turned(scene.target(), rng.normal(0, 0.3))
    body = np.maximum(np.abs(x) + rng.uniform(0, 0.3) * y - wide, np.abs(y) - high)
    ring = np.abs(np.hypot(x - wide, (y + 0.1 * high) * 0.8) - wide * 0.5) - wide * 0.13
    colour = plain(rng) if rng.random() < 0.5 else checks(rng)
    return [rounded(ring, wide * 0.13, colour, rng), rounded(body, wide, colour, rng)]


def leaves(scene: Scene) -> list[Layer]:
    """A fan of leaves; kept for scores."""
    rng, outward = scene.rng, scene.outward()
    root = scene.target() + outward * rng.uniform(10, 40)
    back = np.arctan2(-outward[1], -outward[0])
    layers = []
    for turn in back + rng.normal(0, 0.7, rng.integers(3, 8)):
        half = rng.uniform(12, 30)
        middle = root + np.array([np.cos(turn), np.sin(turn)]) * half
        leaf = ellipse(middle, np.array([half, half * rng.uniform(0.15, 0.4)]), turn)
        layers.append(rounded(leaf, 6.0, patch(scene), rng))
    return layers


FAMILIES: tuple[Family, ...] = (
    hand, hand, hand, microphone, microphone, board, blob, polygon, strap, mask,
)  # fmt: skip
UNSEEN: tuple[Family, ...] = (cup, leaves)  # never trained on


def occlude(
    scene: Scene, families: tuple[Family, ...] = FAMILIES
) -> tuple[np.ndarray, np.ndarray]:
    """Paints one occluder over a crop.

    Args:
        scene: the crop and where its textures come from.
        families: shapes to choose from.

    Returns:
        The crop (256, 256, 3) and its classes (256, 256), ``occluder`` where the painted pixels
        hide the person; both unchanged where too little of the face would be left.
    """
    rng = scene.rng
    layers = families[rng.integers(len(families))](scene)
    blur = int(rng.integers(1, 3)) if rng.random() < 0.3 else 0  # out of focus
    covers = [softened(layer.coverage, blur)[..., None] for layer in layers]  # (256, 256, 1)
    whole = 1 - np.prod([1 - cover for cover in covers], 0)
    classes = scene.classes.copy()
    classes[(whole[..., 0] > 0.5) & (classes > 0)] = OCCLUDER
    face = scene.classes == FACE
    if (classes[face] == OCCLUDER).sum() > HIDDEN * face.sum():
        return scene.crop, scene.classes
    crop = scene.crop
    if rng.random() < 0.5:  # it throws a shadow
        shifted = np.roll(whole[..., 0], tuple(rng.integers(-8, 9, 2).tolist()), (0, 1))
        crop = crop * (1 - rng.uniform(0.1, 0.5) * softened(shifted, int(rng.integers(3, 12))))[
            ..., None
        ]
    light = rng.uniform(0.75, 1.2)
    for layer, cover in zip(layers, covers, strict=True):
        crop = crop * (1 - cover) + (layer.colour * light).clip(0, 1) * cover
    return crop.astype(np.float32), classes
