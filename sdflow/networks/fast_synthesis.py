"""The generator's inference path: the same numbers as ``MobileStyleGAN``, several times faster.

w (B, 512) or (B, 18, 512) → image (B, 3, 1024, 1024), or its exact 512 px box average. What it
gains by: channels_last throughout; style scales folded into the 1x1 kernels, one image at a
time; sub-bands laid out as contiguous blocks; noise too faint to see dropped; the widest stage in
strips, so that no large temporary is allocated; bfloat16 where the processor has it.

A `Tuning` changes the generator for one face: offsets of low rank for the 1x1 kernels, full ones
for depthwise kernels, biases and the head, all in the generator's own order of channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import FunctionCtx

from sdflow.networks.mobile_stylegan import Block, MobileStyleGAN, SeparableConv, as_wplus

FAINT_NOISE = 1e-3  # standard deviation below which a noise map is dropped: 78 dB without it
STRIP = 64  # input rows of the last block in one strip
RANK = 8  # of a tuned offset of a 1x1 kernel

Tuning = Mapping[str, torch.Tensor]  # the keys and shapes of `FastSynthesis.no_tuning`
Folded = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # depthwise kernel, 1x1 kernel, bias


def bands_first(channels: int) -> torch.Tensor:
    """Order of 4c Haar channels that puts the bands LL, LH, HL, HH one after the other."""
    c = channels // 4
    details = c + 3 * torch.arange(c) + torch.arange(3)[:, None]  # (3, c)
    return torch.cat((torch.arange(c), details.flatten()))


class InverseHaar(torch.autograd.Function):
    """Inverse Haar without its factor 1/2: (1, 4c, H, W), bands contiguous → (1, c, 2H, 2W).

    The transform is symmetric, so its gradient is the same four sums, read the other way.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, bands: torch.Tensor) -> torch.Tensor:
        _, channels, height, width = bands.shape
        out = _channels_last(bands, channels // 4, 2 * height, 2 * width)
        _butterfly(bands.chunk(4, 1), _corners(out))
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, grad: torch.Tensor) -> torch.Tensor:
        _, c, height, width = grad.shape
        out = _channels_last(grad, 4 * c, height // 2, width // 2)
        _butterfly(_corners(grad), out.chunk(4, 1))
        return out


def _channels_last(like: torch.Tensor, channels: int, height: int, width: int) -> torch.Tensor:
    return like.new_empty((1, height, width, channels)).permute(0, 3, 1, 2)


def _corners(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The pixels of even rows, then of odd rows; in each, even columns before odd ones."""
    return x[:, :, ::2, ::2], x[:, :, ::2, 1::2], x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]


def _butterfly(four: tuple[torch.Tensor, ...], out: tuple[torch.Tensor, ...]) -> None:
    """Writes (a+b+c+d, a+b−c−d, a−b+c−d, a−b−c+d) of (a, b, c, d) to out."""
    a, b, c, d = four
    low, high = a + b, c + d
    torch.add(low, high, out=out[0])
    torch.sub(low, high, out=out[1])
    low, high = a - b, c - d
    torch.add(low, high, out=out[2])
    torch.sub(low, high, out=out[3])


class FastConv:
    """One separable convolution with its kernels laid out for speed."""

    def __init__(self, conv: SeparableConv, dtype: torch.dtype, order: torch.Tensor) -> None:
        self.style, self.dtype, self.order = conv.style, dtype, order
        self.depthwise = conv.depthwise.detach().to(dtype)
        self.pointwise = conv.pointwise.detach()[order]  # float32 until a style is folded in
        self.bias = conv.bias.detach()[order].to(dtype)
        faint = float(conv.noise.std()) < FAINT_NOISE
        self.noise = None if faint else conv.noise.to(dtype)

    def no_tuning(self, name: str) -> dict[str, torch.Tensor]:
        """Offsets that change nothing yet, whose gradients are not all zero."""
        out, into = self.pointwise.shape[:2]
        draw = torch.Generator().manual_seed(0)
        right = torch.randn(RANK, into, generator=draw) / into**0.5
        device = self.pointwise.device
        return {
            f"{name}.depthwise": torch.zeros(self.depthwise.shape, device=device),
            f"{name}.left": torch.zeros(out, RANK, device=device),
            f"{name}.right": right.to(device),
            f"{name}.bias": torch.zeros(out, device=device),
        }

    def fold(self, w: torch.Tensor, name: str, tuning: Tuning | None) -> Folded:
        """Kernels for one w (512,): a factor per channel passes through a depthwise kernel."""
        depthwise, pointwise, bias = self.depthwise, self.pointwise, self.bias
        if tuning is not None:
            offset = (tuning[f"{name}.left"] @ tuning[f"{name}.right"])[self.order, :, None, None]
            pointwise = pointwise + offset
            depthwise = depthwise + tuning[f"{name}.depthwise"].to(self.dtype)
            bias = bias + tuning[f"{name}.bias"][self.order].to(self.dtype)
        return depthwise, (pointwise * self.style(w)[:, None, None]).to(self.dtype), bias

    def __call__(self, x: torch.Tensor, folded: Folded, top: int) -> torch.Tensor:
        depthwise, pointwise, bias = folded
        x = F.conv2d(x, depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, pointwise, bias)
        if self.noise is not None:
            x += self.noise[:, :, top : top + x.shape[2]]
        return F.leaky_relu_(x, 0.2)


class FastBlock:
    """One synthesis block; ``fold`` prepares it for one w, ``run`` computes a range of rows."""

    def __init__(
        self, block: Block, dtype: torch.dtype, order_out: torch.Tensor, name: str
    ) -> None:
        self.dtype, self.name = dtype, name
        self.order_in = bands_first(block.up.out_features).to(order_out.device)
        self.up = block.up
        self.conv1 = FastConv(block.conv1, dtype, torch.arange(len(order_out)))
        # The block emits its channels in the order that the next inverse Haar reads.
        self.conv2 = FastConv(block.conv2, dtype, order_out)

    def no_tuning(self) -> dict[str, torch.Tensor]:
        """See `FastSynthesis.no_tuning`."""
        first, second = f"{self.name}.conv1", f"{self.name}.conv2"
        return self.conv1.no_tuning(first) | self.conv2.no_tuning(second)

    def fold(
        self, w1: torch.Tensor, w2: torch.Tensor, tuning: Tuning | None
    ) -> tuple[torch.Tensor, Folded, Folded]:
        """For w (512,) vectors: the bands' scales with Haar's 1/2, and both convolutions."""
        scale = 0.5 * self.up(w1)[self.order_in].to(self.dtype)[:, None, None]
        first = self.conv1.fold(w1, f"{self.name}.conv1", tuning)
        return scale, first, self.conv2.fold(w2, f"{self.name}.conv2", tuning)

    def run(
        self, x: torch.Tensor, folded: tuple[torch.Tensor, Folded, Folded], top: int = 0
    ) -> torch.Tensor:
        """x (1, c_in, H, W), the input's rows from ``top`` → (1, c_out, 2H, 2W)."""
        scale, first, second = folded
        x = self.conv1(InverseHaar.apply(x * scale), first, 2 * top)
        return self.conv2(x, second, 2 * top)


class FastSynthesis(nn.Module):
    """Fast copy of a ``MobileStyleGAN``, which stays the owner of the affine weights.

    It is differentiable with respect to w; under ``torch.no_grad`` it also works in strips.

    Args:
        generator: the loaded network, in float32 and eval mode.
        dtype: of the convolutions; ``None`` takes bfloat16 where the CPU computes it natively.
    """

    def __init__(self, generator: MobileStyleGAN, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        device = generator.w_mean.device
        self.generator = generator
        self.dtype = dtype or native_dtype(device)
        inputs = [bands_first(block.up.out_features).to(device) for block in generator.blocks]
        outputs = [*inputs[1:], torch.arange(generator.head.weight.shape[1], device=device)]
        self.blocks = [
            FastBlock(block, self.dtype, order, f"blocks.{i}")
            for i, (block, order) in enumerate(zip(generator.blocks, outputs, strict=True))
        ]
        self.stem_order, self.head_order = inputs[0], bands_first(12).to(device)

    def forward(
        self, w: torch.Tensor, size: int = 1024, tuning: Tuning | None = None
    ) -> torch.Tensor:
        """w (B, 512) or (B, 18, 512) → unclamped float32 image (B, 3, size, size); 1024 or 512."""
        if size not in (512, 1024):
            raise ValueError(f"size is {size}; the generator renders 512 or 1024.")
        return torch.cat([self._render(code, size, tuning) for code in as_wplus(w)])

    def no_tuning(self) -> dict[str, torch.Tensor]:
        """The tuning that changes nothing, from which pivotal tuning starts; float32."""
        tuning: dict[str, torch.Tensor] = {}
        for block in self.blocks:
            tuning |= block.no_tuning()
        head = self.generator.head
        tuning["head.weight"] = torch.zeros_like(head.weight)
        return tuning | {"head.bias": torch.zeros_like(head.bias)}

    def features(
        self, w: torch.Tensor, blocks: int, tuning: Tuning | None = None
    ) -> torch.Tensor:
        """w (18, 512) → features (1, c, R, R) of the last of the first ``blocks`` blocks."""
        x = self.generator.stem(w[None, 0])[:, self.stem_order].to(self.dtype)
        x = x.contiguous(memory_format=torch.channels_last)  # (1, 512, 4, 4)
        for i, block in enumerate(self.blocks[:blocks]):
            x = block.run(x, block.fold(w[2 * i + 1], w[2 * i + 2], tuning))  # (1, c, R, R)
        return x

    def _render(self, w: torch.Tensor, size: int, tuning: Tuning | None) -> torch.Tensor:
        last = len(self.blocks) - 1
        x = self.features(w, last, tuning)  # (1, 128, 256, 256)
        folded = self.blocks[last].fold(w[2 * last + 1], w[2 * last + 2], tuning)
        head = self._fold_head(w[15], 12 if size == 1024 else 3, tuning)
        if torch.is_grad_enabled():
            return 0.5 * self._finish(self.blocks[last].run(x, folded), head)
        image = w.new_empty((1, 3, size, size))
        scale = size // x.shape[2]
        for top in range(0, x.shape[2], STRIP):
            # One row more on each inner side: the zero padding then spoils rows that are cut off.
            start, stop = max(top - 1, 0), min(top + STRIP + 1, x.shape[2])
            strip = self.blocks[last].run(x[:, :, start:stop], folded, start)
            strip = strip[:, :, 2 * (top - start) : 2 * (top - start + STRIP)]
            image[:, :, top * scale : (top + STRIP) * scale] = self._finish(strip, head)
        return image.mul_(0.5)

    def _fold_head(
        self, w: torch.Tensor, channels: int, tuning: Tuning | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        head = self.generator.head
        weight, bias = head.weight, head.bias
        if tuning is not None:
            weight, bias = weight + tuning["head.weight"], bias + tuning["head.bias"]
        order = self.head_order[:channels]
        weight = weight[order] * head.style(w)[None, :, None, None]
        return weight.to(self.dtype), bias[order].to(self.dtype)

    @staticmethod
    def _finish(x: torch.Tensor, head: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        bands = F.conv2d(x, *head).float()  # (1, 12 or 3, H, 512)
        return InverseHaar.apply(bands) if bands.shape[1] == 12 else bands


def native_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU or a CPU that computes it in hardware, else float32."""
    if device.type == "cuda":
        return torch.bfloat16
    # Private names, so a torch without them means float32 rather than an error.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    known = (getattr(torch.cpu, name, None) for name in checks)
    return torch.bfloat16 if any(check() for check in known if check) else torch.float32
