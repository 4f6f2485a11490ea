"""The teachers' measures on made-up class maps and meshes; no weights are needed."""

from __future__ import annotations

import math

import pytest
import torch

from sdflow.training import bisenet, teachers


def grey_faces(n: int) -> torch.Tensor:
    return torch.zeros(n, 3, 512, 512)


def test_folded_batch_norms_change_nothing() -> None:
    torch.manual_seed(0)
    network = bisenet.BiSeNet().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        before = network(x)
        after = bisenet.fold_batch_norms(network)(x)
    assert before.shape == (1, bisenet.CLASSES, 8, 8)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_areas_of_a_drawn_face() -> None:
    maps = torch.ones(2, 256, 256, dtype=torch.long)  # skin everywhere
    maps[1, :40] = bisenet.HAT
    maps[1, 120:130, 60:196] = bisenet.GLASSES
    maps[1, 180:190, 100:150] = bisenet.MOUTH
    maps[1, 190:200, 100:150] = bisenet.LOWER_LIP
    maps[1, 70:100, 80:176] = bisenet.HAIR
    maps[1, 200:, :50] = bisenet.HAIR
    found = teachers.parse_areas(maps, grey_faces(2))
    assert all(found[name][0] == 0 for name in ("glasses", "hat", "hair_length", "bangs"))
    assert found["hat"][1].item() == pytest.approx(40 / 256)
    assert found["glasses"][1].item() == pytest.approx(1360 / 256**2)
    assert found["mouth_open"][1].item() == pytest.approx(0.5)
    assert found["hair_length"][1].item() == pytest.approx(56 * 50 / 256**2)
    assert found["bangs"][1] > 0.8
    assert math.isnan(found["hair_light"][0])
    assert found["hair_light"][1].item() == pytest.approx(53.4, abs=0.3)  # L of mid grey


def test_hair_lightness_ends() -> None:
    mask = torch.ones(1, 64, 64, dtype=torch.bool)
    assert teachers.hair_lightness(grey_faces(1) - 1, mask).item() == pytest.approx(0, abs=0.1)
    assert teachers.hair_lightness(grey_faces(1) + 1, mask).item() == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("degrees", [-30.0, 0.0, 20.0])
def test_yaw_of_a_turned_mesh(degrees: float) -> None:
    """x right, y down, z away from the camera, as facemesh has them."""
    mesh = torch.zeros(1, 468, 3)
    mesh[0, 10], mesh[0, 152] = torch.tensor([0.0, -1, 0]), torch.tensor([0.0, 1, 0])
    angle = math.radians(degrees)
    for point, x in ((234, -1.0), (454, 1.0)):  # facing right: the right cheek moves away
        mesh[0, point] = torch.tensor([x * math.cos(angle), 0, x * math.sin(angle)])
    yaw, _ = teachers.pose(mesh)
    assert yaw.item() == pytest.approx(degrees, abs=1e-3)


def test_probabilities_are_half_at_the_thresholds() -> None:
    middles = teachers.THRESHOLDS | {"yaw": 0.0, "pitch": 0.0}
    middles |= {"eyes_open": teachers.EYES_MIDDLE}
    labels = {name: torch.tensor([middle]) for name, middle in middles.items()}
    found = teachers.probabilities(labels)
    assert found.pop("bald") == pytest.approx(0.25)  # half without hair, half without a hat
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        dict.fromkeys(found, 0.5), abs=1e-4
    )
    nobody = teachers.probabilities(labels | {"hair_light": torch.tensor([torch.nan])})
    assert nobody["dark_hair"].isnan() and not nobody["hat"].isnan()


def test_crop_takes_the_named_part() -> None:
    images = torch.zeros(1, 3, 512, 512)
    images[:, :, 128:256, 256:384] = 1
    assert (teachers.crop(images, (0.5, 0.25, 0.75, 0.5), 64) == 1).all()
