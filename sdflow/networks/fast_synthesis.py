"""The generator's inference path: the same numbers as ``MobileStyleGAN``, several times faster.

w (B, 512) or (B, 18, 512) → image (B, 3, 1024, 1024), or its exact 512 px box average. What it
gains by: channels_last throughout; style scales folded into the neighbouring weights, one image at
a time; sub-bands laid out as contiguous blocks; noise too faint to see dropped; the widest stage in
strips, so that no large temporary is allocated; bfloat16 where the processor has it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sdflow.networks.mobile_stylegan import Block, MobileStyleGAN, SeparableConv, as_wplus

FAINT_NOISE = 1e-3  # standard deviation below which a noise map is dropped: 78 dB without it
STRIP = 64  # input rows of the last block in one strip


def bands_first(channels: int) -> torch.Tensor:
    """Order of 4c Haar channels that puts the bands LL, LH, HL, HH one after the other."""
    c = channels // 4
    details = c + 3 * torch.arange(c) + torch.arange(3)[:, None]  # (3, c)
    return torch.cat((torch.arange(c), details.flatten()))


def butterfly(bands: torch.Tensor) -> torch.Tensor:
    """Inverse Haar without its factor 1/2: (1, 4c, H, W), bands contiguous → (1, c, 2H, 2W)."""
    ll, lh, hl, hh = bands.chunk(4, 1)
    _, c, height, width = ll.shape
    out = bands.new_empty((1, 2 * height, 2 * width, c)).permute(0, 3, 1, 2)  # channels_last
    low, high = ll + lh, hl + hh
    torch.add(low, high, out=out[:, :, ::2, ::2])
    torch.sub(low, high, out=out[:, :, ::2, 1::2])
    low, high = ll - lh, hl - hh
    torch.add(low, high, out=out[:, :, 1::2, ::2])
    torch.sub(low, high, out=out[:, :, 1::2, 1::2])
    return out


class FastConv:
    """One separable convolution with its kernels laid out for inference."""

    def __init__(self, conv: SeparableConv, dtype: torch.dtype, order: torch.Tensor) -> None:
        self.style = conv.style
        self.depthwise = conv.depthwise.detach()  # stays float32 until the style is folded in
        weight = conv.pointwise.detach()[order].to(dtype)
        self.pointwise = weight.contiguous(memory_format=torch.channels_last)
        self.bias = conv.bias.detach()[order].to(dtype)
        faint = float(conv.noise.std()) < FAINT_NOISE
        self.noise = None if faint else conv.noise.to(dtype)

    def __call__(self, x: torch.Tensor, depthwise: torch.Tensor, top: int) -> torch.Tensor:
        x = F.conv2d(x, depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, self.pointwise, self.bias)
        if self.noise is not None:
            x += self.noise[:, :, top : top + x.shape[2]]
        return F.leaky_relu_(x, 0.2)


class FastBlock:
    """One synthesis block; ``fold`` prepares it for one w, ``run`` computes a range of rows."""

    def __init__(self, block: Block, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.order_in = bands_first(block.up.out_features)
        c_out = block.conv2.pointwise.shape[0]
        self.up = block.up
        self.conv1 = FastConv(block.conv1, dtype, torch.arange(c_out))
        self.conv2 = FastConv(block.conv2, dtype, torch.arange(c_out))

    def permute_output(self, order: torch.Tensor) -> None:
        """Makes the block emit its channels in the order that the next inverse Haar reads."""
        weight = self.conv2.pointwise[order]
        self.conv2.pointwise = weight.contiguous(memory_format=torch.channels_last)
        self.conv2.bias = self.conv2.bias[order]

    def fold(self, w1: torch.Tensor, w2: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Scales for w (512,) vectors: of the four bands, and the two depthwise kernels."""
        style = self.conv1.style(w1).repeat(4) * 0.5  # conv1's style and Haar's 1/2, on each band
        scale = (self.up(w1)[self.order_in] * style).to(self.dtype)[:, None, None]
        kernel2 = self.conv2.depthwise * self.conv2.style(w2)[:, None, None, None]
        return scale, self.conv1.depthwise.to(self.dtype), kernel2.to(self.dtype)

    def run(self, x: torch.Tensor, folded: tuple[torch.Tensor, ...], top: int = 0) -> torch.Tensor:
        """x (1, c_in, H, W), the input's rows from ``top`` → (1, c_out, 2H, 2W)."""
        scale, kernel1, kernel2 = folded
        x = self.conv1(butterfly(x * scale), kernel1, 2 * top)
        return self.conv2(x, kernel2, 2 * top)


class FastSynthesis(nn.Module):
    """Inference copy of a ``MobileStyleGAN``, which stays the owner of the affine weights.

    Args:
        generator: the loaded network, in float32 and eval mode.
        dtype: of the convolutions; ``None`` takes bfloat16 where the CPU computes it natively.
    """

    def __init__(self, generator: MobileStyleGAN, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.generator = generator
        self.dtype = dtype or native_dtype(generator.w_mean.device)
        self.blocks = [FastBlock(block, self.dtype) for block in generator.blocks]
        for block, following in zip(self.blocks[:-1], self.blocks[1:], strict=True):
            block.permute_output(following.order_in.to(generator.w_mean.device))
        self.head_order = bands_first(12).to(generator.w_mean.device)
        self.stem_order = self.blocks[0].order_in.to(generator.w_mean.device)

    @torch.no_grad()
    def forward(self, w: torch.Tensor, size: int = 1024) -> torch.Tensor:
        """w (B, 512) or (B, 18, 512) → unclamped float32 image (B, 3, size, size); 1024 or 512."""
        if size not in (512, 1024):
            raise ValueError(f"size is {size}; the generator renders 512 or 1024.")
        return torch.cat([self._render(code, size) for code in as_wplus(w)])

    def _render(self, w: torch.Tensor, size: int) -> torch.Tensor:
        x = self.generator.stem(w[None, 0])[:, self.stem_order].to(self.dtype)
        x = x.contiguous(memory_format=torch.channels_last)  # (1, 512, 4, 4)
        folded = [b.fold(w[2 * i + 1], w[2 * i + 2]) for i, b in enumerate(self.blocks)]
        for block, scales in zip(self.blocks[:-1], folded[:-1], strict=True):
            x = block.run(x, scales)  # (1, c, R, R)
        weight, bias = self._folded_head(w[15], channels=12 if size == 1024 else 3)
        image = w.new_empty((1, 3, size, size))
        for top in range(0, x.shape[2], STRIP):
            # One row more on each inner side: the zero padding then spoils rows that are cut off.
            start, stop = max(top - 1, 0), min(top + STRIP + 1, x.shape[2])
            strip = self.blocks[-1].run(x[:, :, start:stop], folded[-1], start)
            strip = strip[:, :, 2 * (top - start) : 2 * (top - start + STRIP)]
            strip = F.conv2d(strip, weight, bias).float()  # (1, 12 or 3, 2 STRIP, 512)
            strip = butterfly(strip) if size == 1024 else strip
            scale = size // x.shape[2]
            image[:, :, top * scale : (top + STRIP) * scale] = strip
        return image.mul_(0.5)

    def _folded_head(self, w: torch.Tensor, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
        head, order = self.generator.head, self.head_order[:channels]
        weight = head.weight[order] * head.style(w)[None, :, None, None]
        return weight.to(self.dtype), head.bias[order].to(self.dtype)


def native_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU or a CPU that computes it in hardware, else float32."""
    if device.type == "cuda":
        return torch.bfloat16
    # Private names, so a torch without them means float32 rather than an error.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    known = (getattr(torch.cpu, name, None) for name in checks)
    return torch.bfloat16 if any(check() for check in known if check) else torch.float32
