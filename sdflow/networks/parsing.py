"""Face parsing: aligned crop (B, 3, 256, 256) → scores of eight classes for every pixel.

A small residual U-Net of our own: four resolutions from 128 to 16 px, the picture's global mean at
the bottom, sums as skip connections. Space-to-depth lets the first layer see every pixel at 128 px
and depth-to-space puts the borders of the classes back on the 256 px grid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = ("background", "face", "hair", "ears", "neck", "glasses", "hat", "occluder")
SIDE = 256  # pixels of the crop
WIDTHS = (24, 48, 96, 144)  # channels at 128, 64, 32 and 16 px
BLOCKS = (0, 1, 2, 2)  # residual blocks there, on the way down


class Convolution(nn.Module):
    """A convolution and, while it is trained, its batch norm.

    Args:
        inputs: channels in.
        outputs: channels out.
        size: of the kernel.
        stride: in pixels.
        batch_norm: whether a norm follows; once it is folded away, the convolution has a bias.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, stride: int = 1, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=not batch_norm)
        self.norm = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.first = Convolution(channels, channels, batch_norm=batch_norm)
        self.second = Convolution(channels, channels, batch_norm=batch_norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class ParsingNetwork(nn.Module):
    """Aligned crop → class scores, in the order of `CLASSES`.

    Args:
        batch_norms: the form that is trained; the default is the stored one, norms folded.
    """

    def __init__(self, batch_norms: bool = False) -> None:
        super().__init__()
        pairs = list(zip(WIDTHS, WIDTHS[1:], strict=False))
        self.stem = Convolution(12, WIDTHS[0], batch_norm=batch_norms)
        self.down = nn.ModuleList(
            Convolution(fine, coarse, 3, 2, batch_norms) for fine, coarse in pairs
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Residual(width, batch_norms) for _ in range(count)))
            for width, count in zip(WIDTHS, BLOCKS, strict=True)
        )
        self.everywhere = nn.Conv2d(WIDTHS[-1], WIDTHS[-1], 1)
        self.up = nn.ModuleList(
            Convolution(coarse, fine, 1, 1, batch_norms) for fine, coarse in pairs
        )
        self.fuse = nn.ModuleList(
            Convolution(fine, fine, batch_norm=batch_norms) for fine, _ in pairs
        )
        self.head = nn.Conv2d(WIDTHS[0], 4 * len(CLASSES), 3, 1, 1)

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, 256, 256) in [-1, 1] → scores (B, 8, 256, 256), before a softmax.

        Raises:
            ValueError: the crop has another size.
        """
        if crop.dim() != 4 or crop.shape[1:] != (3, SIDE, SIDE):
            raise ValueError(
                f"The crop has shape {tuple(crop.shape)}; give (B, 3, {SIDE}, {SIDE})."
            )
        x = F.relu(self.stem(F.pixel_unshuffle(crop, 2)))  # (B, 24, 128, 128)
        skips = [self.blocks[0](x)]
        for down, blocks in zip(self.down, self.blocks[1:], strict=True):
            skips.append(blocks(F.relu(down(skips[-1]))))
        x = skips.pop()  # (B, 144, 16, 16)
        x = x + self.everywhere(x.mean((2, 3), keepdim=True))
        for up, fuse in zip(reversed(self.up), reversed(self.fuse), strict=True):
            x = F.interpolate(up(x), scale_factor=2.0, mode="bilinear", align_corners=False)
            x = F.relu(fuse(F.relu(x + skips.pop())))
        return F.pixel_shuffle(self.head(x), 2)  # (B, 8, 256, 256)
