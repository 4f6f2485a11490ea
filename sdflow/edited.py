"""What an edit gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from sdflow.telling import Seconds


@dataclass(frozen=True, eq=False)
class Edited:
    """One edit of a face.

    Attributes:
        image: the edited face, RGB.
        w: its latent code, (18, 512) float32.
        before, after: attribute → value of the face, and value asked for.
        seconds: in all; seconds_per_step: ``edit`` (the flow) and ``synthesis`` apart.
        notes: sentences on how it was made, see `sdflow.gpu`.
    """

    image: Image.Image
    w: np.ndarray
    before: dict[str, float]
    after: dict[str, float]
    seconds: float
    seconds_per_step: Seconds
    notes: tuple[str, ...] = ()
