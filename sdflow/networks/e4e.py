"""e4e, the full-size encoder: aligned crop (B, 3, 256, 256) → W+ code (B, 18, 512).

"Designing an Encoder for StyleGAN Image Manipulation", arXiv 2102.02766, with the key layout of
its released checkpoint. An IR-SE-50 trunk (residual blocks with squeeze-and-excitation, arXiv
1801.07698 and 1709.01507) gives maps of three sizes; 18 small heads read them: the first makes w0,
shared by all layers, each other one the offset of one layer.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

CROP = 256  # pixels the encoder looks at
LAYERS, WIDTH = 18, 512
STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))  # channels and blocks; each first one halves
TAPS = (6, 20, 23)  # blocks after which the trunk is read: 64, 32 and 16 px
HEAD_SIDES = (16,) * 3 + (32,) * 4 + (64,) * 11  # of the map that each head reads
REDUCTION = 16  # of the channels inside squeeze-and-excitation


class SqueezeExcitation(nn.Module):
    """Scales each channel by a factor that depends on all channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        factors = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True))))  # (B, C, 1, 1)
        return x * torch.sigmoid(factors)


class ResidualBlock(nn.Module):
    """(B, c_in, H, H) → (B, c_out, H/stride, H/stride)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut_layer = None if c_in == c_out else nn.Sequential(
            nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)
        )  # fmt: skip
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(c_in), nn.Conv2d(c_in, c_out, 3, 1, 1, bias=False), nn.PReLU(c_out),
            nn.Conv2d(c_out, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out),
            SqueezeExcitation(c_out),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.shortcut_layer is None:
            shortcut = x[:, :, :: self.stride, :: self.stride]
        else:
            shortcut = self.shortcut_layer(x)
        return self.res_layer(x) + shortcut


class EqualLinear(nn.Linear):
    """Its stored weight is 1/sqrt(inputs) too large (equalised learning rate)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x / math.sqrt(self.in_features), self.weight, self.bias)


class Head(nn.Module):
    """Strided convolutions down to one pixel, then a linear layer: (B, 512, S, S) → (B, 512)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        halvings = int(math.log2(side))
        self.convs = nn.Sequential(*(
            layer for _ in range(halvings)
            for layer in (nn.Conv2d(WIDTH, WIDTH, 3, 2, 1), nn.LeakyReLU(0.01))
        ))  # fmt: skip
        self.linear = EqualLinear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.convs(x).flatten(1))


class E4E(nn.Module):
    """Aligned crop → W+ code. The mean code is no part of the state dict: its loader sets it."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        )
        blocks, c_in = [], 64
        for channels, count in STAGES:
            for i in range(count):
                blocks.append(ResidualBlock(c_in, channels, 1 if i else 2))
                c_in = channels
        self.body = nn.ModuleList(blocks)
        self.styles = nn.ModuleList(Head(side) for side in HEAD_SIDES)
        self.latlayer1 = nn.Conv2d(256, WIDTH, 1)
        self.latlayer2 = nn.Conv2d(128, WIDTH, 1)
        self.register_buffer("w_mean", torch.zeros(LAYERS, WIDTH), persistent=False)

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, 256, 256) in [-1, 1] → float32 w (B, 18, 512).

        Raises:
            ValueError: the crop has another size.
        """
        if crop.shape[1:] != (3, CROP, CROP):
            raise ValueError(
                f"The crop has shape {tuple(crop.shape)}; give (B, 3, {CROP}, {CROP})."
            )
        x = self.input_layer(crop.to(self.latlayer1.weight.dtype))  # (B, 64, 256, 256)
        taps = []
        for i, block in enumerate(self.body):
            x = block(x)
            if i in TAPS:
                taps.append(x)
        fine, middle, coarse = taps  # 128, 256 and 512 channels of 64, 32 and 16 px
        middle = _add_coarser(self.latlayer1(middle), coarse)
        maps = {16: coarse, 32: middle, 64: _add_coarser(self.latlayer2(fine), middle)}
        base, *offsets = (
            head(maps[side]).float() for head, side in zip(self.styles, HEAD_SIDES, strict=True)
        )
        codes = torch.stack((base, *(base + offset for offset in offsets)), 1)
        return codes + self.w_mean.float()  # (B, 18, 512)


def _add_coarser(x: torch.Tensor, coarser: torch.Tensor) -> torch.Tensor:
    size = x.shape[2:]
    return x + F.interpolate(coarser, size, mode="bilinear", align_corners=True)
