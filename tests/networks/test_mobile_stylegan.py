"""Both paths of the generator against OpenVINO's numbers; previews, gradients, wrong shapes.

tests/goldens/mobile_stylegan.npz was computed by OpenVINO in float32 from the same files: images
as every second 16x16 mean and as a piece from the middle, values on the way as a few samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow.models import load_generator
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.networks.mobile_stylegan import MobileStyleGAN, inverse_haar
from sdflow.pipeline import Editor

GOLDEN = Path(__file__).parents[1] / "goldens" / "mobile_stylegan.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


@pytest.fixture(scope="module")
def generator(editor: Editor) -> MobileStyleGAN:
    return editor.models.generator if editor.models.device.type == "cpu" else load_generator("cpu")


@pytest.fixture(scope="module")
def codes(golden: dict[str, Tensor]) -> Tensor:
    """Two W codes, repeated for each layer, and one W+ code: (3, 18, 512)."""
    plain = golden["w"][:2, None].repeat(1, 18, 1)
    return torch.cat([plain, golden["wplus"][None]])


@pytest.fixture(scope="module")
def images(generator: MobileStyleGAN, codes: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([generator(code[None]) for code in codes])


def views(images: Tensor) -> tuple[Tensor, Tensor]:
    return F.avg_pool2d(images, 16)[:, :, ::2, ::2], images[:, :, 496:528, 496:528]


def expected_views(golden: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    pools = torch.cat([golden["img_pool64"], golden["wplus_pool64"]])
    return pools, torch.cat([golden["img_crop32"], golden["wplus_crop32"]])


def largest(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


def psnr(a: Tensor, b: Tensor) -> float:
    error = (a.clamp(-1, 1) - b.clamp(-1, 1)).square().mean()
    return float(10 * torch.log10(4 / error))


def test_mapping(generator: MobileStyleGAN, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        assert largest(generator.mapping(golden["z"]), golden["w"]) <= 2e-5
    assert torch.equal(generator.w_mean, golden["w_mean"])


def test_plain_path(images: Tensor, golden: dict[str, Tensor]) -> None:
    pool, crop = views(images)
    expected_pool, expected_crop = expected_views(golden)
    assert largest(pool, expected_pool) <= 5e-5
    assert largest(crop, expected_crop) <= 5e-5


def test_w_is_the_w_plus_of_equal_layers(
    generator: MobileStyleGAN, codes: Tensor, images: Tensor
) -> None:
    with torch.no_grad():
        assert largest(generator.preview(codes[:1, 0]), F.avg_pool2d(images[:1], 2)) <= 2e-6


def test_styles(generator: MobileStyleGAN, golden: dict[str, Tensor]) -> None:
    affines = {"conv1": generator.stem.style, "to_img": generator.head.style}
    for i, block in enumerate(generator.blocks):
        affines[f"layers.{i}.up"] = block.up
        affines[f"layers.{i}.conv1"] = block.conv1.style
        affines[f"layers.{i}.conv2"] = block.conv2.style
    assert len(affines) == 23
    with torch.no_grad():
        for name, affine in affines.items():
            assert largest(affine(golden["w"][0])[:8], golden[f"style_{name}"]) <= 2e-5, name


def test_values_on_the_way(
    generator: MobileStyleGAN, codes: Tensor, golden: dict[str, Tensor]
) -> None:
    def check(name: str, x: Tensor, channels: int) -> None:
        stats = torch.stack([x.mean(), x.std(), x.abs().max()])
        torch.testing.assert_close(stats, golden[f"{name}_stats"], rtol=1e-3, atol=1e-4)
        middle = x[0, :channels, x.shape[2] // 2, x.shape[3] // 2]
        torch.testing.assert_close(middle, golden[f"{name}_px"], rtol=1e-3, atol=1e-4)

    code = codes[:1]
    with torch.no_grad():
        x = generator.stem(code[:, 0])
        for i, block in enumerate(generator.blocks):
            x = block(x, code[:, 2 * i + 1], code[:, 2 * i + 2])
            check(f"probe_block{i}", x, 16)
        check("probe_head12", generator.head(x, code[:, 15]), 12)


def test_fast_path_in_float32(
    generator: MobileStyleGAN, codes: Tensor, images: Tensor, golden: dict[str, Tensor]
) -> None:
    fast = FastSynthesis(generator, torch.float32)
    rendered = fast(codes)
    pool, crop = views(rendered)
    expected_pool, expected_crop = expected_views(golden)
    assert largest(pool, expected_pool) <= 5e-4  # the faint noise maps are left out
    assert largest(crop, expected_crop) <= 3e-3
    assert psnr(rendered, images) >= 70
    preview = fast(codes[2:], 512)
    assert largest(preview, F.avg_pool2d(rendered[2:], 2)) <= 1e-5


def test_fast_path_in_bfloat16(generator: MobileStyleGAN, codes: Tensor, images: Tensor) -> None:
    fast = FastSynthesis(generator, torch.bfloat16)
    rendered = fast(codes[1:])
    assert rendered.dtype == torch.float32
    for picture, exact in zip(rendered, images[1:], strict=True):
        assert psnr(picture, exact) >= 42


def test_preview_is_the_box_average(
    generator: MobileStyleGAN, codes: Tensor, images: Tensor
) -> None:
    with torch.no_grad():
        preview = generator.preview(codes[2:])
    assert preview.shape == (1, 3, 512, 512)
    assert largest(preview, F.avg_pool2d(images[2:], 2)) <= 2e-6


def test_gradient_against_a_central_difference(generator: MobileStyleGAN, codes: Tensor) -> None:
    """In float64, up to 128 px: the blocks behind are of the same making."""
    precise = MobileStyleGAN().double()
    precise.load_state_dict(generator.state_dict())
    precise.requires_grad_(False)
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(256, 128, 128, generator=random, dtype=torch.float64)
    direction = torch.randn(1, 18, 512, generator=random, dtype=torch.float64)

    def loss(w: Tensor) -> Tensor:
        return (precise.features(w, blocks=5) * weight).mean()

    w = codes[2:].double().requires_grad_(True)
    loss(w).backward()
    step = 1e-7 * direction
    with torch.no_grad():
        difference = (loss(w + step) - loss(w - step)).item() / 2e-7
    assert (w.grad * direction).sum().item() == pytest.approx(difference, rel=1e-4)


def test_all_layers_but_the_last_two_get_a_gradient(
    generator: MobileStyleGAN, codes: Tensor
) -> None:
    w = codes[2:].clone().requires_grad_(True)
    generator.preview(w).square().mean().backward()
    assert (w.grad[0, :16].abs().amax(1) > 0).all()
    assert w.grad[0, 16:].abs().max() == 0


def test_the_fast_path_has_the_gradient_of_the_plain_one(
    generator: MobileStyleGAN, codes: Tensor
) -> None:
    target = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def gradient(image: Tensor, w: Tensor) -> Tensor:
        (F.avg_pool2d(image, 8) - target).square().mean().backward()
        return w.grad.flatten()

    w, w_fast = (codes[2:].clone().requires_grad_(True) for _ in range(2))
    plain = gradient(generator.preview(w), w)
    fast = gradient(FastSynthesis(generator, torch.float32)(w_fast, 512), w_fast)
    assert F.cosine_similarity(plain, fast, dim=0) > 0.999
    assert fast.norm().item() == pytest.approx(plain.norm().item(), rel=0.02)
    assert w_fast.grad[0, 16:].abs().max() == 0


def test_inverse_haar_against_its_definition() -> None:
    bands = torch.randn(2, 8, 3, 5, dtype=torch.float64)  # two output channels
    out = inverse_haar(bands)
    for k in range(2):
        ll, (lh, hl, hh) = bands[:, k], (bands[:, 2 + 3 * k + j] for j in range(3))
        for a in (0, 1):
            for b in (0, 1):
                expected = (ll + (-1) ** a * lh + (-1) ** b * hl + (-1) ** (a + b) * hh) / 2
                assert largest(out[:, k, a::2, b::2], expected) < 1e-12


@pytest.mark.parametrize("shape", [(512,), (1, 511), (1, 17, 512), (1, 1, 18, 512)])
def test_other_shapes_are_refused(generator: MobileStyleGAN, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"give \(B, 512\) or \(B, 18, 512\)"):
        generator(torch.zeros(shape))


def test_other_sizes_are_refused(editor: Editor) -> None:
    with pytest.raises(ValueError, match="renders 512 or 1024"):
        editor.models.synthesis(torch.zeros(1, 512), 256)
