"""The released estimators and the classifier against the original's numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdflow.networks.resnet import AttributeClassifier, ReleasedEstimator, ResNet34, predictions
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

SIZES = {"classifier": (1354, 1e-4), "estimator_a3": (218, 1e-5), "estimator_a5": (218, 1e-5)}


def build(name: str) -> nn.Module:
    return AttributeClassifier() if name == "classifier" else ReleasedEstimator(int(name[-1]))


@pytest.fixture(scope="module", params=SIZES)
def network(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    name = request.param
    state = filled(entries(name), contract(name)["rules"])
    check(state, contract(name)["fill_check"])
    return name, load(lambda: build(name), state)


@pytest.fixture(scope="module")
def crops() -> Tensor:
    """All three contracts begin with the same two pictures."""
    inputs = drawn(contract("classifier")["inputs"])
    for name in SIZES:
        check(inputs, contract(name)["input_check"])
    return inputs["image"]


def test_keys_shapes_and_dtypes(network: tuple[str, nn.Module]) -> None:
    name, module = network
    assert differences(module, entries(name)) == []
    assert len(entries(name)) == contract(name)["entries"] == SIZES[name][0]
    assert sum(p.numel() for p in module.parameters()) == contract(name)["parameters"]


@torch.inference_mode()
def test_outputs(network: tuple[str, nn.Module], crops: Tensor) -> None:
    name, module = network
    expected, atol = golden(name), SIZES[name][1]
    if name != "classifier":
        logits = module.logits(crops)
        close(logits, expected["logits"], atol, 1e-4)
        close(module(crops), expected["label_dist"], atol, 1e-4)
        return
    features = module.extractor(crops)
    close(features[:, ::8], expected["features"], atol, 1e-4)
    logits = module(crops)
    close(logits, expected["logits"], atol, 1e-4)
    close(predictions(logits), expected["preds"], 0)
    close(predictions(logits)[:, 40], expected["age_preds_only"], 0)
    close(module.attribute_logits(crops), logits[:, :40], atol)
    close(module.age_logits(crops), logits[:, 40:], atol)
    larger = F.interpolate(crops[:1], size=512, mode="bilinear", align_corners=True)
    logits = module(larger)
    close(logits, expected["logits_512"], atol, 1e-4)
    close(predictions(logits), expected["preds_512"], 0)


def test_age_is_ordinal() -> None:
    logits = torch.tensor([[-1.0] * 40 + [3, 2, 1, -1, -2, -3], [0.0] * 40 + [-1] * 6])
    assert predictions(logits)[:, 40].tolist() == [3, 0]
    assert not predictions(logits)[:, :40].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.inference_mode()
def test_half_precision_and_channels_last(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network, image = ResNet34(8).eval(), torch.rand(2, 3, 64, 64) * 2 - 1
    exact = network(image)
    half = network.to(dtype, memory_format=torch.channels_last)(image)
    assert half.dtype == dtype
    assert F.cosine_similarity(half.float(), exact).min() > 0.999
