"""The semantic estimator: aligned crop (B, 3, H, H) → semantics c (B, A) in 0..1.

The paper takes a ResNet-34; ours keeps the first ten blocks of dlib's face ResNet and
starts from its trained weights: 1.7 M parameters, small enough for two cores.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sdflow.networks.identity import DlibTrunk

SIDE = 160  # pixels the estimator looks at, whatever the crop's size
KEPT_BLOCKS = 10  # of the trunk; 128 channels


class Estimator(nn.Module):
    """Aligned crop → one value a semantic attribute, through a sigmoid.

    Args:
        attributes: A, how many.
    """

    def __init__(self, attributes: int) -> None:
        super().__init__()
        self.trunk = DlibTrunk(KEPT_BLOCKS)
        self.head = nn.Sequential(
            nn.Conv2d(128, 160, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(160 * 4 * 4, 128),
            nn.ReLU(), nn.Linear(128, attributes),
        )  # fmt: skip

    def logits(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, H, H) in [-1, 1], 160 px or larger → (B, A) before the sigmoid."""
        if crop.shape[-1] != SIDE:
            crop = F.interpolate(crop, (SIDE, SIDE), mode="bilinear", antialias=True)
        return self.head(self.trunk(crop)[-1])  # (B, 128, 9, 9) → (B, A)

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, H, H) in [-1, 1] → c (B, A)."""
        return torch.sigmoid(self.logits(crop))
