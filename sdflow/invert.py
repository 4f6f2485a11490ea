"""Step 2: aligned crop (B, 3, 256, 256) → w (B, 18, 512): the encoder, then a few steps of Adam.

The encoder's code is refined through the differentiable generator. The rendered face must be
described by the identity network as the photo is, look like it at three scales, mostly inside the
oval of the face, and stay near the encoder's code, where faces are natural and edits work. Steps
are taken along the principal axes of W, each in units of its standard deviation: codes then move
the way generated faces differ, and do not drift into haze.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from sdflow.models import ModelSet

STEPS = 10  # of refinement by default
RATE, DECAY = 0.05, 0.7  # standard deviations a step, and the share lost by the last
PIXELS, IDENTITY, FEATURES, STAY = 0.5, 2.0, 0.1, 0.5  # weights of the terms
OVAL = (0.5, 0.54, 0.31, 0.39)  # of the face in an FFHQ crop: middle x, y, half axes
OUTSIDE = 0.15  # what a pixel outside the oval weighs


def invert(
    models: ModelSet,
    crop: torch.Tensor,
    steps: int = STEPS,
    on_step: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Finds the code of an aligned face.

    The encoder's code is the same in every run. Refinement amplifies the last bits in which the
    gradients of the identity network differ between runs: its codes agree only closely.

    Args:
        models: a loaded model set.
        crop: aligned face (B, 3, 256, 256) in [-1, 1].
        steps: of refinement; 0 is the encoder alone.
        on_step: told (steps done, steps in all) after each.

    Returns:
        w (B, 18, 512).
    """
    with torch.no_grad():
        w = models.encoder(crop)
    return refine(models, crop, w, steps, on_step) if steps else w


@torch.enable_grad()  # a caller may have switched it off
def refine(
    models: ModelSet,
    crop: torch.Tensor,
    start: torch.Tensor,
    steps: int,
    on_step: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Moves start (B, 18, 512) so that its rendering comes nearer to crop (B, 3, 256, 256)."""
    shared = torch.zeros_like(start[:, :1], requires_grad=True)  # (B, 1, 512), of all layers
    own = torch.zeros_like(start, requires_grad=True)  # (B, 18, 512), of each layer
    optimiser = torch.optim.Adam([{"params": [shared], "peak": 2 * RATE},
                                  {"params": [own], "peak": RATE}], betas=(0.9, 0.95))  # fmt: skip
    weights = pyramid(face_weights(crop.shape[-1]).to(crop))
    with torch.no_grad():
        person, features = models.identity.forward_with_features(crop)
        targets = pyramid(crop)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * (1 - DECAY * step / steps)
        moved = shared + own
        image = F.avg_pool2d(models.synthesis(start + moved @ models.axes, 512), 2)
        pixels = sum(
            ((a - b).abs() * weight).mean()
            for a, b, weight in zip(pyramid(image), targets, weights, strict=True)
        )
        now, details = models.identity.forward_with_features(image)
        loss = (
            PIXELS * pixels
            + IDENTITY * (now - person).square().sum(1).mean()
            + FEATURES * feature_distance(details, features)
            + STAY * moved.square().mean()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if on_step:
            on_step(step + 1, steps)
    with torch.no_grad():
        return start + (shared + own) @ models.axes


def pyramid(image: torch.Tensor) -> list[torch.Tensor]:
    """The image at its size, at a half and at an eighth of it."""
    return [image, F.avg_pool2d(image, 2), F.avg_pool2d(image, 8)]


def feature_distance(first: list[torch.Tensor], second: list[torch.Tensor]) -> torch.Tensor:
    """Squared distance of two lists of the identity network's features, unit vectors a pixel."""
    pairs = zip(first[:4], second[:4], strict=True)  # the fifth stage is the descriptor's
    return sum((F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean()
               for a, b in pairs)  # fmt: skip


def face_weights(size: int) -> torch.Tensor:
    """Weight of each pixel of a crop, (1, 1, size, size): 1 in the face's oval, less outside."""
    x, y = (torch.linspace(0, 1, size) - middle for middle in OVAL[:2])
    inside = ((x / OVAL[2])[None] ** 2 + (y / OVAL[3])[:, None] ** 2 < 1).float()
    edge = size // 12
    soft = F.avg_pool2d(F.pad(inside[None, None], [edge] * 4), 2 * edge + 1, 1)
    return OUTSIDE + (1 - OUTSIDE) * soft
