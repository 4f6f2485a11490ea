"""StyleGAN2 against the original's numbers (float32) and a naive reference (float64)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from sdflow.networks.stylegan2 import StyleGAN2, Synthesis, blur, upsample
from tests.networks.filling import (
    check,
    close,
    contract,
    differences,
    drawn,
    entries,
    filled,
    golden,
    load,
)

NAME = "stylegan2"
CONTRACT = contract(NAME)
LATENT_AVG = {"latent_avg": ([512], "float32")}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return filled({**entries(NAME), **LATENT_AVG}, CONTRACT["rules"])


@pytest.fixture(scope="module")
def generator(state: dict[str, Tensor]) -> StyleGAN2:
    generator = load(StyleGAN2, {key: state[key] for key in entries(NAME)})
    generator.w_mean.copy_(state["latent_avg"])
    return generator


@pytest.fixture(scope="module")
def codes(generator: StyleGAN2) -> dict[str, Tensor]:
    """A W+ code (1, 18, 512), and the first mapped code (1, 512)."""
    inputs = drawn(CONTRACT["inputs"])
    return {"wplus": inputs["wplus"], "w": generator.mapping(inputs["z"])[:1]}


@pytest.fixture(scope="module")
def images(generator: StyleGAN2, codes: dict[str, Tensor]) -> dict[str, Tensor]:
    synthesis = Synthesis(generator)
    with torch.inference_mode():
        return {name: synthesis(code) for name, code in codes.items()}


def psnr(a: Tensor, b: Tensor) -> float:
    error = (a.float().clamp(-1, 1) - b.float().clamp(-1, 1)).square().mean()
    return float(10 * torch.log10(4 / error))


def smaller(size: int, state: dict[str, Tensor]) -> StyleGAN2:
    """The contract's first layers, of a smaller image."""
    with torch.device("meta"):
        keys = StyleGAN2(size).state_dict().keys()
    return load(lambda: StyleGAN2(size), {key: state[key].clone() for key in keys})


# ---- the original's numbers


def test_filled_numbers_are_the_contracts(state: dict[str, Tensor]) -> None:
    check(state, CONTRACT["fill_check"])
    check(drawn(CONTRACT["inputs"]), CONTRACT["input_check"])


def test_keys_shapes_and_dtypes(generator: StyleGAN2) -> None:
    assert differences(generator, entries(NAME)) == []
    assert len(entries(NAME)) == CONTRACT["entries"] == 171
    assert sum(p.numel() for p in generator.parameters()) == CONTRACT["parameters"]


def test_mapping_and_truncation(generator: StyleGAN2, state: dict[str, Tensor]) -> None:
    w = generator.mapping(drawn(CONTRACT["inputs"])["z"])
    close(w[:, ::8], golden(NAME)["mapping_w"], 1e-4, 1e-3)
    close(generator.truncate(w, 0), state["latent_avg"].expand(2, -1), 1e-6)
    close(generator.truncate(w, 1), w, 1e-5)


@pytest.mark.parametrize("name", ["wplus", "w"])
def test_image(images: dict[str, Tensor], name: str) -> None:
    """Unclamped, and as the original shows it: clamped and resized to 256 and 512."""
    image, expected = images[name], golden(NAME)
    step, middle = {"wplus": (4, slice(504, 520)), "w": (8, slice(508, 516))}[name]
    found = {
        "raw_channel_mean": image.mean((0, 2, 3)),
        "raw_channel_std": image.std((0, 2, 3), correction=0),
        "raw_channel_min": image.amin((0, 2, 3)),
        "raw_channel_max": image.amax((0, 2, 3)),
        "raw_pool64": F.avg_pool2d(image, 16)[0, :, ::step, ::step],
        "raw_crop_center64": image[0, :, middle, middle],
    }
    if name == "wplus":
        found["raw_crop_topleft32"] = image[0, :, :8, :8]
        found["raw_crop_bottomright32"] = image[0, :, -8:, -8:]
        found["fraction_clamped"] = (image.abs() > 1).float().mean()
    for side in (256, 512):
        shown = F.interpolate(image.clamp(-1, 1), size=side, mode="bilinear", align_corners=True)
        middle = slice(side // 2 - 4, side // 2 + 4)
        found[f"decoded{side}_pool64"] = F.avg_pool2d(shown, side // 64)[0, :, ::8, ::8]
        found[f"decoded{side}_crop_center64"] = shown[0, :, middle, middle]
        if side == 256:
            levels = ((shown[0, :, 116:140, 116:140] * 0.5 + 0.5) * 255).to(torch.uint8)
    for part, tensor in found.items():
        close(tensor, expected[f"{name}_{part}"], 1e-4, 1e-3)
    stored = expected[f"{name}_decoded256_uint8_crop_center64"]
    off = (levels.permute(1, 2, 0).int() - stored.int()).abs()
    assert off.max() <= 1 and (off > 0).sum() <= 0.001 * off.numel()


def test_half_size_is_the_box_average(state: dict[str, Tensor]) -> None:
    synthesis, w = Synthesis(smaller(32, state)), drawn(CONTRACT["inputs"])["wplus"]
    with torch.inference_mode():
        close(synthesis(w, 16), F.avg_pool2d(synthesis(w), 2), 1e-5)
        assert torch.equal(synthesis(w, 32), synthesis(w))


# ---- the mathematics, float64


def naive_resample(x: Tensor, kernel: Tensor, up: int, before: int, behind: int) -> Tensor:
    """Zeros inserted behind each value, padded, correlated with the flipped kernel."""
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, up * height, up * width)
    spread[:, :, ::up, ::up] = x
    spread = F.pad(spread, (before, behind, before, behind))
    rows, columns = spread.shape[2] - 3, spread.shape[3] - 3
    return sum(
        kernel[3 - i, 3 - j] * spread[:, :, i : i + rows, j : j + columns]
        for i in range(4) for j in range(4)
    )  # fmt: skip


def naive_conv(styled: torch.nn.Module, noise: Tensor, x: Tensor, w: Tensor) -> Tensor:
    """Every image's own weights, a sum over their taps; bias, leaky ReLU and gain at the end."""
    conv = styled.conv
    affine = conv.modulation
    style = w @ affine.weight.T / math.sqrt(512) + affine.bias  # (B, c_in)
    weight = conv.weight * style[:, None, :, None, None] / math.sqrt(conv.weight[0, 0].numel())
    weight = weight / (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    batch, _, height, width = x.shape
    taps = [(i, j, weight[..., i, j]) for i in range(3) for j in range(3)]
    if hasattr(conv, "blur"):  # each value is spread over 3x3 of the doubled grid
        y = x.new_zeros(batch, conv.weight.shape[1], 2 * height + 1, 2 * width + 1)
        for i, j, tap in taps:
            rows, columns = slice(i, i + 2 * height, 2), slice(j, j + 2 * width, 2)
            y[:, :, rows, columns] += torch.einsum("boc,bchw->bohw", tap, x)
        y = naive_resample(y, conv.blur.kernel, 1, 1, 1)
    else:
        padded = F.pad(x, (1, 1, 1, 1))
        y = sum(
            torch.einsum("boc,bchw->bohw", tap, padded[:, :, i : i + height, j : j + width])
            for i, j, tap in taps
        )
    y = y + styled.noise["weight"] * noise + styled.activate["bias"][:, None, None]
    return torch.where(y > 0, y, 0.2 * y) * math.sqrt(2)


def naive_image(generator: StyleGAN2, w: Tensor) -> Tensor:
    noises = list(generator.noises.buffers())

    def colours(to_rgb: torch.nn.Module, x: Tensor, w: Tensor) -> Tensor:
        affine, weight = to_rgb.conv.modulation, to_rgb.conv.weight[0, :, :, 0, 0]
        style = (w @ affine.weight.T / math.sqrt(512) + affine.bias) / math.sqrt(len(affine.bias))
        return torch.einsum("kc,bc,bchw->bkhw", weight, style, x) + to_rgb.bias

    x = generator.input["input"].repeat(len(w), 1, 1, 1)
    x = naive_conv(generator.conv1, noises[0], x, w[:, 0])
    image = colours(generator.to_rgb1, x, w[:, 1])
    for i, to_rgb in enumerate(generator.to_rgbs):
        for k in (1, 2):
            conv = generator.convs[2 * i + k - 1]
            x = naive_conv(conv, noises[2 * i + k], x, w[:, 2 * i + k])
        image = naive_resample(image, to_rgb.upsample.kernel, 2, 2, 1)
        image = image + colours(to_rgb, x, w[:, 2 * i + 3])
    return image


@pytest.fixture(scope="module")
def precise(state: dict[str, Tensor]) -> StyleGAN2:
    """8 px in float64, with filters that are not symmetric."""
    generator = smaller(8, state).double()
    random = torch.Generator().manual_seed(0)
    for name, buffer in generator.named_buffers():
        if name.endswith("kernel"):
            buffer += 0.1 * torch.rand(4, 4, generator=random, dtype=torch.float64)
    return generator


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 1, 4, 4)])
def test_upsampling_and_blur_are_the_naive_ones(shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=random, dtype=torch.float64)
    kernel = torch.rand(4, 4, generator=random, dtype=torch.float64)
    bias = torch.rand(shape[1], generator=random, dtype=torch.float64)
    close(upsample(x, kernel), naive_resample(x, kernel, 2, 2, 1), 1e-12)
    blurred = naive_resample(x, kernel, 1, 1, 1) + bias[:, None, None]
    close(blur(x, kernel, bias), blurred, 1e-12)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_two_codes_and_their_gradient_are_the_naive_ones(
    precise: StyleGAN2, memory_format: torch.memory_format
) -> None:
    random = torch.Generator().manual_seed(1)
    w = torch.randn(2, 18, 512, generator=random, dtype=torch.float64).requires_grad_()
    weight = torch.randn(2, 3, 8, 8, generator=random, dtype=torch.float64)

    def both(render: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        image = render(w)
        (gradient,) = torch.autograd.grad((image * weight).sum(), w)
        return image, gradient

    image, gradient = both(Synthesis(precise, torch.float64, memory_format))
    naive, naive_gradient = both(lambda w: naive_image(precise, w))
    close(image, naive, 1e-9)
    close(gradient, naive_gradient, 1e-9)
    with torch.no_grad():
        close(precise(w), naive, 1e-9)
    assert (gradient[:, :4].abs().amax(2) > 0).all() and not gradient[:, 4:].any()


# ---- manners


@pytest.mark.parametrize(("dtype", "least"), [(torch.bfloat16, 40), (torch.float16, 55)])
def test_half_precision(state: dict[str, Tensor], dtype: torch.dtype, least: float) -> None:
    generator, w = smaller(32, state), drawn(CONTRACT["inputs"])["wplus"]
    with torch.inference_mode():
        image = Synthesis(generator, dtype)(w)
        assert image.dtype == torch.float32
        assert psnr(image, generator(w)) >= least


def test_compiled_pictures_are_the_same_and_gradients_are_left_alone(
    state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, w = smaller(8, state), drawn(CONTRACT["inputs"])["wplus"]
    compiled: list[str] = []

    def counting(function: Callable, backend: str) -> Callable:
        compiled.append(backend)
        return torch._dynamo.optimize("eager")(function)  # what is traced is run as it is

    monkeypatch.setattr(torch, "compile", counting)
    plain = Synthesis(generator)
    assert not compiled
    quick = Synthesis(generator, compiler="inductor")
    with torch.no_grad():
        close(quick(w), plain(w), 1e-6)
    assert compiled == ["inductor"]
    monkeypatch.setattr(quick, "_quickly", None)  # not called where a gradient is wanted
    assert quick(w.requires_grad_()).requires_grad


def test_what_cannot_be_compiled_runs_as_it_is(
    state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generator, w = smaller(8, state), drawn(CONTRACT["inputs"])["wplus"]
    errors = [torch.OutOfMemoryError("out of memory"), TorchDynamoException("No g++\nanywhere")]

    def compile_nothing(function: Callable, backend: str) -> Callable:
        def fail(w: Tensor) -> Tensor:
            raise errors.pop(0)

        return fail

    monkeypatch.setattr(torch, "compile", compile_nothing)
    quick = Synthesis(generator, compiler="inductor")
    with torch.no_grad():
        with pytest.raises(torch.OutOfMemoryError):
            quick(w)
        assert torch.equal(quick(w), Synthesis(generator)(w))
        assert torch.equal(quick(w), Synthesis(generator)(w))  # and is not tried again
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "(No g++). Install a C++ compiler." in told


def test_what_cannot_be_rendered_is_refused(precise: StyleGAN2) -> None:
    synthesis = Synthesis(precise)
    for shape in ((512,), (1, 511), (1, 17, 512)):
        with pytest.raises(ValueError, match=r"give \(B, 512\) or \(B, 18, 512\)"):
            synthesis(torch.zeros(shape))
    with pytest.raises(ValueError, match="renders 4 or 8"):
        synthesis(torch.zeros(1, 512), 256)
    with pytest.raises(ValueError, match="takes no tuning"):
        synthesis(torch.zeros(1, 512), 8, {})
