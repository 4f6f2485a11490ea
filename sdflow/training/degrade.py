"""What happens to photos before they reach us: small, blurred, noisy, recompressed, badly lit."""

from __future__ import annotations

import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from sdflow.images import to_image, to_tensor


def degrade(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Degrades about two thirds of the crops (B, 3, 256, 256) in [-1, 1], each in its own way."""
    return torch.cat([_degrade(image[None], rng) for image in images])


def _degrade(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    if rng.random() < 1 / 3:
        return image
    side = image.shape[-1]
    if rng.random() < 0.6:  # a small face, or a soft lens
        small = int(side / rng.uniform(1.2, 5))
        image = F.interpolate(image, (small, small), mode="bilinear", antialias=True)
    if rng.random() < 0.4:  # light and contrast
        image = image * rng.uniform(0.75, 1.2) + rng.uniform(-0.15, 0.15)
    if rng.random() < 0.3:  # sensor noise
        noise = rng.standard_normal(tuple(image.shape), dtype=np.float32)
        image = image + rng.uniform(0.01, 0.1) * torch.from_numpy(noise)
    image = image.clamp(-1, 1)
    if rng.random() < 0.5:
        image = _recompress(image, int(rng.integers(25, 90)))
    if image.shape[-1] != side:
        image = F.interpolate(image, (side, side), mode="bicubic").clamp(-1, 1)
    return image


def _recompress(image: torch.Tensor, quality: int) -> torch.Tensor:
    buffer = io.BytesIO()
    to_image(image).save(buffer, "JPEG", quality=quality)
    return to_tensor(Image.open(buffer))
