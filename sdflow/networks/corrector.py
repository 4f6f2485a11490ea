"""Feed-forward correction of a code: photo and rendering of w (B, 18, 512) → better w.

A second look, as in ReStyle (arXiv 2104.02699): what the identity network sees in the photo and
not in the rendering says where the code has to go. The first matrix starts as the regression of
codes on descriptors; what the stages' features and two thumbnails add to it is learnt.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

# (channels of the identity network's stage, channels kept, side of the pooled grid), finest first
READOUTS = ((64, 8, 8), (128, 16, 7), (256, 32, 6))
DESCRIPTOR, THUMBNAIL = 128, 16
HIDDEN, RANK = 384, 24
LAYERS, WIDTH = 18, 512

Seen = tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]  # crop, descriptor, stages' features


class Corrector(nn.Module):
    """What is seen in a photo and in the rendering of its code → an offset of the code."""

    def __init__(self) -> None:
        super().__init__()
        self.identity = nn.Linear(DESCRIPTOR, WIDTH, bias=False)
        self.thin = nn.ModuleList(nn.Conv2d(channels, kept, 1) for channels, kept, _ in READOUTS)
        sizes = [kept * side**2 for _, kept, side in READOUTS]
        sizes += [2 * DESCRIPTOR, 6 * THUMBNAIL**2]
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in sizes)
        self.linears = nn.ModuleList(nn.Linear(size, HIDDEN) for size in sizes)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU())
        self.base = nn.Linear(HIDDEN, WIDTH)
        self.delta = nn.Linear(HIDDEN, LAYERS * RANK)
        self.spread = nn.Parameter(torch.zeros(LAYERS, RANK, WIDTH))

    def forward(self, photo: Seen, rendered: Seen) -> torch.Tensor:
        """Offset (B, 18, 512) to add to the code that was rendered.

        Args:
            photo: crop (B, 3, 256, 256) in [-1, 1], and what the identity network's
                `forward_with_features` says of it.
            rendered: the same of the picture that the generator makes of the code.
        """
        (crop, person, features), (picture, described, details) = photo, rendered
        missing = person - described  # (B, 128)
        seen = [
            F.adaptive_avg_pool2d(thin(a - b), side).flatten(1)
            for thin, a, b, (_, _, side) in zip(self.thin, features[1:], details[1:], READOUTS,
                                                strict=False)
        ]  # fmt: skip
        small = [F.adaptive_avg_pool2d(image, THUMBNAIL) for image in (crop - picture, picture)]
        seen += [torch.cat([missing, described], 1), torch.cat(small, 1).flatten(1)]
        x = sum(linear(norm(part)) for linear, norm, part in
                zip(self.linears, self.norms, seen, strict=True))  # fmt: skip
        x = self.mix(x)  # (B, HIDDEN)
        factors = self.delta(x).view(-1, LAYERS, RANK)
        deltas = torch.einsum("blr,lrw->blw", factors, self.spread)  # (B, 18, 512)
        return (self.identity(missing) + self.base(x))[:, None] + deltas
