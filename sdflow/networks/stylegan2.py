"""StyleGAN2, the full-size generator: z (B, 512) → w (B, 512) → image (B, 3, 1024, 1024).

Configuration F of "Analyzing and Improving the Image Quality of StyleGAN", arXiv 1912.04958, with
the key layout of its PyTorch port's checkpoints, in native operations. `StyleGAN2` owns the
parameters; `Synthesis` holds what they give once for all codes, and renders.
"""

from __future__ import annotations

import math
import sys

import torch
import torch.nn.functional as F
from torch import nn

from sdflow.networks.mobile_stylegan import as_wplus

CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
MAPPING_RATE = 0.01  # learning rate of the mapping network, a factor of its stored parameters
GAIN = math.sqrt(2)  # behind each leaky ReLU
EPSILON = 1e-8


class EqualLinear(nn.Module):
    """A linear layer whose stored parameters are scaled when it runs."""

    def __init__(self, outputs: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, 512))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.rate, self.scale = rate, rate / math.sqrt(512)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x * self.scale, self.weight, self.bias * self.rate)


class Resampling(nn.Module):
    """The filter of a doubling, as stored: the binomial 4x4 kernel of sum 4."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", torch.outer(taps, taps) / 16)


class ModulatedConv(nn.Module):
    """Parameters of a convolution whose input channels w scales."""

    def __init__(self, c_in: int, c_out: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, c_out, c_in, size, size))
        self.modulation = EqualLinear(c_in)

    def style(self, w: torch.Tensor) -> torch.Tensor:
        """w (B, 512) → float32 factors of the input channels (B, c_in), the weights' scale too."""
        return self.modulation(w) / math.sqrt(self.weight[0, 0].numel())


class StyledConv(nn.Module):
    """Parameters of a modulated 3x3 convolution, its noise and its activation."""

    def __init__(self, c_in: int, c_out: int, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(c_in, c_out, 3)
        if up:
            self.conv.blur = Resampling()
        self.noise = nn.ParameterDict({"weight": torch.empty(1)})
        self.activate = nn.ParameterDict({"bias": torch.empty(c_out)})


class ToRGB(nn.Module):
    """Parameters of one resolution's share of the image."""

    def __init__(self, c_in: int, up: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(1, 3, 1, 1))
        if up:
            self.upsample = Resampling()
        self.conv = ModulatedConv(c_in, 3, 1)


class StyleGAN2(nn.Module):
    """The parameters, the mapping, and one exact rendering path.

    The state dict is the checkpoint's ``g_ema``. The mean code is stored beside it
    (``latent_avg``): it is no part of the state dict, its loader sets it.

    Args:
        size: of the image; a power of two, 1024 in the released checkpoint.
    """

    def __init__(self, size: int = 1024) -> None:
        super().__init__()
        self.size = size
        sides = [side for side in CHANNELS if side <= size]
        self.style = nn.Sequential(
            nn.Identity(), *(EqualLinear(512, MAPPING_RATE) for _ in range(8))
        )
        self.input = nn.ParameterDict({"input": torch.empty(1, 512, 4, 4)})
        self.conv1 = StyledConv(512, 512, up=False)
        self.to_rgb1 = ToRGB(512, up=False)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        self.noises.register_buffer("noise_0", torch.empty(1, 1, 4, 4))
        for i, side in enumerate(sides[1:]):
            channels = CHANNELS[side]
            self.convs.append(StyledConv(CHANNELS[side // 2], channels, up=True))
            self.convs.append(StyledConv(channels, channels, up=False))
            self.to_rgbs.append(ToRGB(channels, up=True))
            for k in (1, 2):
                self.noises.register_buffer(f"noise_{2 * i + k}", torch.empty(1, 1, side, side))
        self.register_buffer("w_mean", torch.zeros(512), persistent=False)

    def mapping(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, 512), standard normal → w (B, 512)."""
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + EPSILON)
        for layer in self.style:
            x = GAIN * F.leaky_relu(layer(x), 0.2) if isinstance(layer, EqualLinear) else x
        return x

    def truncate(self, w: torch.Tensor, psi: float) -> torch.Tensor:
        """Moves w towards the mean code: psi 1 keeps it, psi 0 is the mean face."""
        return self.w_mean + psi * (w - self.w_mean)

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """w (B, 512) or (B, 18, 512) → image (B, 3, size, size), nominally in [-1, 1]."""
        return Synthesis(self, self.input["input"].dtype)(w)


def upsample(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) → (B, C, 2H, 2W): zeros inserted behind each value, then filtered.

    It is correlated with the flipped 4x4 kernel, padded by 2 before and 1 behind.
    """
    channels = image.shape[1]
    return F.conv_transpose2d(
        image, kernel.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels
    )


def blur(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) → (B, C, H − 1, W − 1): padded by 1, correlated with the flipped 4x4 kernel."""
    channels = x.shape[1]
    taps = kernel.flip(0, 1).expand(channels, 1, 4, 4)
    return F.conv2d(x, taps, bias, padding=1, groups=channels)


class PreparedConv:
    """A styled convolution with all that it needs for every w, computed once."""

    def __init__(
        self,
        styled: StyledConv,
        noise: torch.Tensor,
        dtype: torch.dtype,
        memory_format: torch.memory_format,
    ) -> None:
        self.dtype, self.style = dtype, styled.conv.style
        kernel = styled.conv.weight[0]  # (c_out, c_in, 3, 3)
        self.energy = kernel.square().sum((2, 3))  # (c_out, c_in)
        self.kernel = kernel.to(dtype).contiguous(memory_format=memory_format)
        self.blur = styled.conv.blur.kernel.to(dtype) if hasattr(styled.conv, "blur") else None
        # The gain behind the leaky ReLU is taken through it: it is linear on either side.
        self.noise = (GAIN * styled.noise["weight"] * noise).to(dtype)
        self.bias = (GAIN * styled.activate["bias"]).to(dtype)

    def __call__(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """x (1, c_in, H, W) under w (512,) → (1, c_out, H, W), or twice the size with a blur."""
        style = self.style(w)  # (c_in,)
        demodulation = GAIN * torch.rsqrt(self.energy @ style.square() + EPSILON)  # (c_out,)
        factors = torch.outer(demodulation, style).to(self.dtype)
        # A kernel for each code: cheaper than scaling its input and output, backwards too.
        kernel = self.kernel * factors[:, :, None, None]
        if self.blur is not None:
            x = F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2)  # (1, c_out, 2H+1, 2W+1)
            x = blur(x, self.blur, self.bias)
        else:
            x = F.conv2d(x, kernel, self.bias, padding=1)
        return F.leaky_relu_(x.add_(self.noise), 0.2)


class Synthesis:
    """(w, size) → image, one code after the other; differentiable with respect to w.

    A picture of half the generator's size is the 2x2 box average of the whole one. The sum of the
    lower resolutions' shares would save a third of the time, but it is another picture: 22 dB from
    the average with the tests' parameters.

    Args:
        generator: the filled network; styles and the image are computed in its dtype.
        dtype: of the convolutions.
        memory_format: of their kernels and features.
        compiler: backend of ``torch.compile``, such as ``inductor``, for pictures that no gradient
            goes through; by default nothing is compiled.
    """

    def __init__(
        self,
        generator: StyleGAN2,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.channels_last,
        compiler: str | None = None,
    ) -> None:
        self.generator, self.dtype = generator, dtype
        start = generator.input["input"].to(dtype)
        self.start = start.contiguous(memory_format=memory_format)  # (1, 512, 4, 4)
        convs, noises = [generator.conv1, *generator.convs], generator.noises.buffers()
        self.convs = [
            PreparedConv(conv, noise, dtype, memory_format)
            for conv, noise in zip(convs, noises, strict=True)
        ]
        self._quickly = torch.compile(self._render, backend=compiler) if compiler else None

    def __call__(
        self, w: torch.Tensor, size: int | None = None, tuning: None = None
    ) -> torch.Tensor:
        """w (B, 512) or (B, 18, 512) → unclamped image (B, 3, size, size).

        Args:
            w: codes; a generator smaller than 1024 takes the first layers of W+.
            size: the generator's, which is the default, or half of it.
            tuning: the light generator alone can be changed for one face.

        Raises:
            ValueError: another size, another shape of w, or a tuning.
        """
        full = self.generator.size
        if size not in (None, full, full // 2):
            raise ValueError(f"size is {size}; the generator renders {full // 2} or {full}.")
        if tuning is not None:
            raise ValueError("StyleGAN2 takes no tuning. Choose the generator that it is for.")
        render = self._render if torch.is_grad_enabled() else self._compiled
        image = torch.cat([render(code) for code in as_wplus(w)])
        return F.avg_pool2d(image, 2) if size == full // 2 else image

    def _compiled(self, w: torch.Tensor) -> torch.Tensor:
        if self._quickly is None:
            return self._render(w)
        try:
            return self._quickly(w)
        except RuntimeError as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise  # such as a device without memory
            reason = str(error).strip().partition("\n")[0]
            print(
                f"StyleGAN2 could not be compiled, and runs as it is ({reason}). Install a C++ "
                "compiler.", file=sys.stderr, flush=True,
            )  # fmt: skip
            self._quickly = None
            return self._render(w)

    def _render(self, w: torch.Tensor) -> torch.Tensor:
        x = self.convs[0](self.start, w[0])  # (1, 512, 4, 4)
        image = self._to_image(self.generator.to_rgb1, x, w[1])
        for i, to_rgb in enumerate(self.generator.to_rgbs):
            x = self.convs[2 * i + 1](x, w[2 * i + 1])
            x = self.convs[2 * i + 2](x, w[2 * i + 2])  # (1, c, R, R)
            image = upsample(image, to_rgb.upsample.kernel)  # (1, 3, R, R)
            image = image + self._to_image(to_rgb, x, w[2 * i + 3])
        return image

    def _to_image(self, to_rgb: ToRGB, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        kernel = to_rgb.conv.weight[0, :, :, 0, 0] * to_rgb.conv.style(w)  # (3, c)
        image = F.conv2d(x, kernel.to(self.dtype)[:, :, None, None])
        return image.to(kernel.dtype) + to_rgb.bias
