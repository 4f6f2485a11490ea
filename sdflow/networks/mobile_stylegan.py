"""MobileStyleGAN, the light FFHQ generator: z (B, 512) → w (B, 512) → image (B, 3, 1024, 1024).

The student network of MobileStyleGAN (arXiv 2104.04767) behind StyleGAN2's own mapping network, as
its authors exported it: demodulation and noise strength are already inside the weights. It takes
StyleGAN2's W+ codes (B, 18, 512); layers 16 and 17 belong to the 1024 px stage that it lacks.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

STYLE_LAYERS = 18  # vectors in a StyleGAN2-1024 W+ code
STAGES = ((512, 512), (512, 512), (512, 512), (512, 512), (512, 256), (256, 128), (128, 64))


class StyleAffine(nn.Linear):
    """w → one factor per channel, the exporter's constant gain folded in at loading."""


def inverse_haar(bands: torch.Tensor) -> torch.Tensor:
    """One inverse Haar step: (B, 4c, H, W) → (B, c, 2H, 2W).

    Channels 0..c−1 are LL; channel c + 3k + j is detail j (LH, HL, HH) of output channel k.
    """
    batch, channels, height, width = bands.shape
    c = channels // 4
    low = bands[:, :c]
    detail = bands[:, c:].reshape(batch, c, 3, height, width)
    lh, hl, hh = detail.unbind(2)
    top = torch.stack((low + lh + hl + hh, low + lh - hl - hh), -1)  # (B, c, H, W, 2) even rows
    bottom = torch.stack((low - lh + hl - hh, low - lh - hl + hh), -1)
    rows = torch.stack((top, bottom), 3)  # (B, c, H, 2, W, 2)
    return 0.5 * rows.reshape(batch, c, 2 * height, 2 * width)


class SeparableConv(nn.Module):
    """Style, depthwise 3x3, 1x1, fixed noise, bias, leaky ReLU."""

    def __init__(self, c_in: int, c_out: int, resolution: int) -> None:
        super().__init__()
        self.style = StyleAffine(512, c_in)
        self.depthwise = nn.Parameter(torch.empty(c_in, 1, 3, 3))
        self.pointwise = nn.Parameter(torch.empty(c_out, c_in, 1, 1))
        self.bias = nn.Parameter(torch.empty(c_out))
        self.register_buffer("noise", torch.empty(1, 1, resolution, resolution))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        x = x * self.style(w)[:, :, None, None]
        x = F.conv2d(x, self.depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, self.pointwise) + self.noise + self.bias[:, None, None]
        return F.leaky_relu(x, 0.2)


class Block(nn.Module):
    """(B, c_in, R/2, R/2) → (B, c_out, R, R): styled inverse Haar, two separable convolutions."""

    def __init__(self, c_in: int, c_out: int, resolution: int) -> None:
        super().__init__()
        self.up = StyleAffine(512, c_in)
        self.conv1 = SeparableConv(c_in // 4, c_out, resolution)
        self.conv2 = SeparableConv(c_out, c_out, resolution)

    def forward(self, x: torch.Tensor, w1: torch.Tensor, w2: torch.Tensor) -> torch.Tensor:
        x = inverse_haar(x * self.up(w1)[:, :, None, None])  # (B, c_in/4, R, R)
        return self.conv2(self.conv1(x, w1), w2)


class Stem(nn.Module):
    """The learned 4x4 constant and its dense 3x3 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.empty(1, 512, 4, 4))
        self.style = StyleAffine(512, 512)
        self.weight = nn.Parameter(torch.empty(512, 512, 3, 3))
        self.bias = nn.Parameter(torch.empty(512))
        self.register_buffer("noise", torch.empty(1, 1, 4, 4))

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        x = self.input * self.style(w)[:, :, None, None]  # (B, 512, 4, 4)
        x = F.conv2d(x, self.weight, padding=1) + self.noise + self.bias[:, None, None]
        return F.leaky_relu(x, 0.2)


class Head(nn.Module):
    """(B, 64, 512, 512) → (B, 12, 512, 512): bands LL of R, G, B, then three details of each."""

    def __init__(self) -> None:
        super().__init__()
        self.style = StyleAffine(512, 64)
        self.weight = nn.Parameter(torch.empty(12, 64, 1, 1))
        self.bias = nn.Parameter(torch.empty(12))

    def forward(self, x: torch.Tensor, w: torch.Tensor, channels: int = 12) -> torch.Tensor:
        x = x * self.style(w)[:, :, None, None]
        return F.conv2d(x, self.weight[:channels], self.bias[:channels])


class MobileStyleGAN(nn.Module):
    """Mapping and synthesis in plain float32 PyTorch, differentiable."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping_layers = nn.ModuleList(nn.Linear(512, 512) for _ in range(8))
        self.stem = Stem()
        self.blocks = nn.ModuleList(
            Block(c_in, c_out, 8 << i) for i, (c_in, c_out) in enumerate(STAGES)
        )
        self.head = Head()
        self.register_buffer("w_mean", torch.zeros(512))

    def mapping(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, 512), standard normal → w (B, 512)."""
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.mapping_layers:
            x = F.leaky_relu(layer(x), 0.2) * math.sqrt(2)
        return x

    def truncate(self, w: torch.Tensor, psi: float) -> torch.Tensor:
        """Moves w towards the mean code: psi 1 keeps it, psi 0 is the mean face."""
        return self.w_mean + psi * (w - self.w_mean)

    def features(self, w: torch.Tensor, blocks: int = len(STAGES)) -> torch.Tensor:
        """w (B, 512) or (B, 18, 512) → features of the last of the first ``blocks`` blocks."""
        w = as_wplus(w)  # (B, 18, 512)
        x = self.stem(w[:, 0])
        for i, block in enumerate(self.blocks[:blocks]):
            x = block(x, w[:, 2 * i + 1], w[:, 2 * i + 2])
        return x

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """w (B, 512) or (B, 18, 512) → image (B, 3, 1024, 1024), nominally in [-1, 1]."""
        return inverse_haar(self.head(self.features(w), as_wplus(w)[:, 15]))

    def preview(self, w: torch.Tensor) -> torch.Tensor:
        """The exact 2x2 box average of ``forward``, (B, 3, 512, 512), from the LL bands."""
        return 0.5 * self.head(self.features(w), as_wplus(w)[:, 15], channels=3)


def as_wplus(w: torch.Tensor) -> torch.Tensor:
    """(B, 512) → (B, 18, 512) by repetition; a W+ code is returned as it is."""
    if w.ndim == 2 and w.shape[1] == 512:
        return w[:, None].expand(-1, STYLE_LAYERS, -1)
    if w.ndim == 3 and w.shape[1:] == (STYLE_LAYERS, 512):
        return w
    raise ValueError(f"w has shape {tuple(w.shape)}; give (B, 512) or (B, {STYLE_LAYERS}, 512).")


def state_from_ir(
    mapping: dict[str, torch.Tensor], synthesis: dict[str, torch.Tensor], w_mean: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Renames the constants of the two exported networks to ``MobileStyleGAN``'s state dict.

    Gains of the affines (1 / sqrt(fan_in) of the convolution behind each) stand in the graph as
    scalars, not in the weights; they are folded here. Noise maps have no names, only an order.
    """
    state = {"w_mean": w_mean.float()}
    layers = [v for v in mapping.values() if v.shape == (512, 512)]
    biases = [v.flatten() for v in mapping.values() if v.numel() == 512]
    for i, (weight, bias) in enumerate(zip(layers, biases, strict=True)):
        state[f"mapping_layers.{i}.weight"], state[f"mapping_layers.{i}.bias"] = weight, bias
    noise = iter(v for v in synthesis.values() if v.ndim == 4 and v.shape[:2] == (1, 1)
                 and v.shape[2] == v.shape[3] >= 4)  # fmt: skip

    def affine(ours: str, theirs: str, fan_in: int) -> None:
        gain = 1 / math.sqrt(fan_in)
        state[f"{ours}.weight"] = synthesis[f"{theirs}.modulation.weight"] * gain
        state[f"{ours}.bias"] = synthesis[f"{theirs}.modulation.bias"].flatten() * gain

    state["stem.input"] = synthesis["m.input.input"]
    affine("stem.style", "m.conv1.conv", 9 * 512)
    state["stem.weight"] = synthesis["m.conv1.conv.weight"].reshape(512, 512, 3, 3)
    state["stem.bias"] = synthesis["m.conv1.bias"].flatten()
    state["stem.noise"] = next(noise)
    for i, (c_in, c_out) in enumerate(STAGES):
        affine(f"blocks.{i}.up", f"m.layers.{i}.up", 1)
        for conv, channels in (("conv1", c_in // 4), ("conv2", c_out)):
            ours, theirs = f"blocks.{i}.{conv}", f"m.layers.{i}.{conv}"
            affine(f"{ours}.style", f"{theirs}.conv", 9 * channels)
            kernel = synthesis[f"{theirs}.conv.weight_dw"]
            state[f"{ours}.depthwise"] = kernel.reshape(channels, 1, 3, 3)
            state[f"{ours}.pointwise"] = synthesis[f"{theirs}.conv.weight_permute"]
            state[f"{ours}.bias"] = synthesis[f"{theirs}.bias"].flatten()
            state[f"{ours}.noise"] = next(noise)
    affine("head.style", "m.layers.6.to_img.conv", 64)
    state["head.weight"] = synthesis["m.layers.6.to_img.conv.weight"]
    state["head.bias"] = synthesis["m.layers.6.to_img.bias"].flatten()
    return state
