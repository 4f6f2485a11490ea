"""Step 2: aligned crop (B, 3, 256, 256) → w (B, 18, 512): the encoder, then a few steps of Adam.

The encoder's code is refined through the differentiable generator: the rendered face must look
like the crop (L1 at three scales), be described alike by the identity network, and its code must
stay near the encoder's, where edits work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from sdflow.models import ModelSet

STEPS = 10  # of refinement by default: about 2.5 s on two cores


def invert(
    models: ModelSet,
    crop: torch.Tensor,
    steps: int = STEPS,
    on_step: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Finds the code of an aligned face. The same input gives the same code.

    Args:
        models: a loaded model set.
        crop: aligned face (B, 3, 256, 256) in [-1, 1].
        steps: of refinement; 0 is the encoder alone.
        on_step: told (steps done, steps in all) after each.

    Returns:
        w (B, 18, 512).
    """
    with torch.inference_mode():
        w = models.encoder(crop)
    return refine(models, crop, w.clone(), steps, on_step) if steps else w.clone()


def refine(
    models: ModelSet,
    crop: torch.Tensor,
    w: torch.Tensor,
    steps: int,
    on_step: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Moves w (B, 18, 512) so that its rendering comes nearer to crop (B, 3, 256, 256)."""
    start, w = w, w.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([w], lr=0.03, betas=(0.9, 0.99))
    with torch.no_grad():
        person = models.identity(crop)  # (B, 128)
        targets = pyramid(crop)
    for step in range(steps):
        image = F.avg_pool2d(models.synthesis(w, 512), 2)  # (B, 3, 256, 256)
        likeness = sum(
            (a - b).abs().mean() for a, b in zip(pyramid(image), targets, strict=True)
        )
        distance = (models.identity(image) - person).square().sum(1).mean()
        loss = likeness + 2.0 * distance + 0.1 * (w - start).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if on_step:
            on_step(step + 1, steps)
    return w.detach()


def pyramid(image: torch.Tensor) -> list[torch.Tensor]:
    """The image at 256, 128 and 32 px."""
    return [image, F.avg_pool2d(image, 2), F.avg_pool2d(image, 8)]
