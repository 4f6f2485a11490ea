"""Step 2b, on request: the generator itself is changed for one face (pivotal tuning).

Around a refined code, the pivot, small offsets of the generator's kernels take what no code can
express: this person's moles, hair, light, background (PTI, arXiv 2106.05744). The offsets are of
low rank, see `sdflow.networks.fast_synthesis`, 0.2 MB in a face file; edits are then rendered with
them too, and as the offsets are small, the code keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from sdflow.invert import OnStep, Target, optimise
from sdflow.models import ModelSet
from sdflow.networks.fast_synthesis import Tuning

STEPS = 60
RATE = 0.004


@torch.enable_grad()  # a caller may have switched it off
def tune(
    models: ModelSet,
    photo: torch.Tensor,
    w: torch.Tensor,
    steps: int = STEPS,
    on_step: OnStep | None = None,
) -> dict[str, torch.Tensor]:
    """Changes the generator so that it renders the photo from the pivot.

    Args:
        models: a loaded model set; it stays as it is.
        photo: aligned crop (1, 3, 512, 512) in [-1, 1].
        w: the pivot (1, 18, 512), refined.
        steps: of Adam.
        on_step: told after each; may stop, the best tuning so far is kept.

    Returns:
        The tuning, float16.

    Raises:
        ValueError: the set's generator cannot be changed.
    """
    check(models)
    names = models.synthesis.no_tuning()
    offsets = {name: offset.requires_grad_() for name, offset in names.items()}
    optimiser = torch.optim.Adam([{"params": [*offsets.values()], "peak": RATE}],
                                 betas=(0.9, 0.95))  # fmt: skip
    pivot = w.detach()
    best = optimise(
        lambda: (models.synthesis(pivot, 512, offsets), None),
        Target(models, photo), optimiser, [*offsets.values()], steps, on_step,
    )  # fmt: skip
    return {name: offset.half() for name, offset in zip(offsets, best, strict=True)}


def check(models: ModelSet) -> None:
    """Tells before any work whether a set can be tuned.

    Raises:
        ValueError: it cannot.
    """
    if not models.can_tune:
        raise ValueError(
            "Only the light generator can be tuned for a face. Choose the generator `mobile`, or "
            "leave the tuning out."
        )


def to_arrays(tuning: Tuning) -> dict[str, np.ndarray]:
    """A tuning as a face keeps it."""
    return {name: offset.cpu().numpy() for name, offset in tuning.items()}


def to_tensors(
    arrays: Mapping[str, np.ndarray] | None, device: torch.device
) -> dict[str, torch.Tensor] | None:
    """A tuning as the generator takes it, in float32; None for a face without any."""
    if arrays is None:
        return None
    return {name: torch.from_numpy(array).to(device).float() for name, array in arrays.items()}


def fits(models: ModelSet, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a tuning has the names and shapes that this generator's has."""
    if not models.can_tune:
        return False
    wanted = models.synthesis.no_tuning()
    return arrays.keys() == wanted.keys() and all(
        arrays[name].shape == tuple(wanted[name].shape) for name in wanted
    )
