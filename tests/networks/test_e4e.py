"""The full-size encoder against the original's numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow.networks.e4e import E4E, Head, ResidualBlock
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

NAME = "e4e"
CONTRACT = contract(NAME)


def mean_code(*shape: int) -> Tensor:
    return filled({"latent_avg": (shape, "float32")}, CONTRACT["rules"])["latent_avg"]


@pytest.fixture(scope="module")
def encoder() -> E4E:
    state = filled(entries(NAME), CONTRACT["rules"])
    check({**state, "latent_avg": mean_code(18, 512)}, CONTRACT["fill_check"])
    return load(E4E, state)


@pytest.fixture(scope="module")
def crops() -> Tensor:
    inputs = drawn(CONTRACT["inputs"])
    check(inputs, CONTRACT["input_check"])
    return inputs["image"]


@pytest.fixture(scope="module")
def codes(encoder: E4E, crops: Tensor) -> Tensor:
    with torch.inference_mode():
        return encoder(crops)


def test_keys_shapes_and_dtypes(encoder: E4E) -> None:
    assert differences(encoder, entries(NAME)) == []
    assert len(entries(NAME)) == CONTRACT["entries"] == 621
    assert sum(p.numel() for p in encoder.parameters()) == CONTRACT["parameters"]


def test_codes(codes: Tensor) -> None:
    assert codes.shape == (2, 18, 512)
    close(codes[:, :, ::16], golden(NAME)["codes"], 1e-4, 1e-3)


def test_mean_code_is_added(encoder: E4E, crops: Tensor, codes: Tensor) -> None:
    """The encoder's own checkpoint brings (18, 512) of them, the generator's (512,)."""
    expected = golden(NAME)
    encoder.w_mean.copy_(mean_code(512))
    with_generators = (codes[:1] + encoder.w_mean)[:, :, ::64]
    close(with_generators, expected["wplus_with_generator_latent_avg"], 1e-4, 1e-3)
    encoder.w_mean.copy_(mean_code(18, 512))
    with torch.inference_mode():
        found = encoder(crops[:1])
    encoder.w_mean.zero_()
    close(found[:, :, ::64], expected["wplus_with_encoder_latent_avg"], 1e-4, 1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_channels_last(dtype: torch.dtype) -> None:
    """Of its parts, small: they hold all that the whole is made of."""
    torch.manual_seed(0)
    parts = torch.nn.Sequential(ResidualBlock(64, 128, 2), ResidualBlock(128, 128, 1),
                                torch.nn.Conv2d(128, 512, 1), Head(16)).eval()  # fmt: skip
    x = torch.randn(1, 64, 32, 32)
    with torch.inference_mode():
        exact = parts(x)
        x = x.to(dtype, memory_format=torch.channels_last)
        half = parts.to(dtype, memory_format=torch.channels_last)(x)
    assert F.cosine_similarity(half.float(), exact).item() > 0.999


def test_other_sizes_are_refused(encoder: E4E) -> None:
    with pytest.raises(ValueError, match=r"give \(B, 3, 256, 256\)"):
        encoder(torch.zeros(1, 3, 128, 128))
