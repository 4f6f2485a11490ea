"""Our encoder: aligned crop (B, 3, 256, 256) → W+ code (B, 18, 512), w0 + deltas as in e4e.

The trunk is dlib's face recognition ResNet, fine-tuned: it already knows what makes two faces
differ. Features of four stages meet in one vector; from it come w0, shared by all layers, and one
small offset a layer, zero for layer 0 (e4e, arXiv 2102.02766). 11 M parameters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sdflow.networks.identity import DlibTrunk

CROP = 256  # pixels the encoder looks at
# (channels of the trunk's stage, channels kept, side of the pooled grid), finest first
READOUTS = ((64, 16, 8), (128, 32, 7), (256, 96, 6), (256, 256, 1))
HIDDEN, RANK = 640, 48
LAYERS, WIDTH = 18, 512


class Readout(nn.Module):
    """One stage's features, thinned and pooled to a small grid, as a vector."""

    def __init__(self, channels: int, kept: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.thin = nn.Conv2d(channels, kept, 1)
        self.norm = nn.LayerNorm(kept * side**2)
        self.linear = nn.Linear(kept * side**2, HIDDEN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.adaptive_avg_pool2d(self.thin(x), self.side)  # (B, kept, side, side)
        return self.linear(self.norm(x.flatten(1)))  # (B, HIDDEN)


class Encoder(nn.Module):
    """Aligned crop → W+ code; the mean code is a buffer of the state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = DlibTrunk()
        self.readouts = nn.ModuleList(Readout(*sizes) for sizes in READOUTS)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU())
        self.base = nn.Linear(HIDDEN, WIDTH)
        self.delta = nn.Linear(HIDDEN, (LAYERS - 1) * RANK)
        self.spread = nn.Parameter(torch.zeros(LAYERS - 1, RANK, WIDTH))
        self.register_buffer("w_mean", torch.zeros(WIDTH))

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, 256, 256) in [-1, 1] → w (B, 18, 512).

        Raises:
            ValueError: the crop has another size.
        """
        if crop.shape[1:] != (3, CROP, CROP):
            raise ValueError(
                f"The crop has shape {tuple(crop.shape)}; give (B, 3, {CROP}, {CROP})."
            )
        stages = self.trunk(crop)[1:]
        x = sum(read(stage) for read, stage in zip(self.readouts, stages, strict=True))
        x = self.mix(x)  # (B, HIDDEN)
        factors = self.delta(x).view(-1, LAYERS - 1, RANK)
        deltas = torch.einsum("blr,lrw->blw", factors, self.spread)  # (B, 17, 512)
        base = self.w_mean + self.base(x)  # (B, 512)
        return base[:, None] + F.pad(deltas, (0, 0, 1, 0))
