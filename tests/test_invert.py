"""Inversion: the encoder alone, and refinement through the generator."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow.align import crop_face, find_faces
from sdflow.images import to_tensor
from sdflow.invert import STEPS, invert
from sdflow.pipeline import Editor


@pytest.fixture(scope="module")
def crop(editor: Editor, photo: object) -> Tensor:
    picture, _ = crop_face(photo, find_faces(photo)[0].landmarks)
    return to_tensor(picture, device=editor.models.device)


@pytest.fixture(scope="module")
def refined(editor: Editor, crop: Tensor) -> tuple[Tensor, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return invert(editor.models, crop, 5, lambda *at: told.append(at)), told


def test_no_steps_are_the_encoder_alone(editor: Editor, crop: Tensor) -> None:
    w = invert(editor.models, crop, steps=0)
    assert w.shape == (1, 18, 512) and not w.is_inference() and not w.requires_grad
    with torch.no_grad():
        assert torch.equal(w, editor.models.encoder(crop))


def test_steps_bring_the_rendering_nearer(
    editor: Editor, crop: Tensor, refined: tuple[Tensor, list[tuple[int, int]]]
) -> None:
    def error(w: Tensor) -> float:
        models = editor.models
        with torch.no_grad():
            image = F.avg_pool2d(models.generator.preview(w), 2)
            person = (models.identity(image) - models.identity(crop)).square().sum()
            return (person + (image - crop).abs().mean()).item()

    w, _ = refined
    assert w.shape == (1, 18, 512) and not w.requires_grad
    assert torch.isfinite(w).all()
    assert error(w) < error(invert(editor.models, crop, steps=0))


def test_each_step_is_told(refined: tuple[Tensor, list[tuple[int, int]]]) -> None:
    assert refined[1] == [(k, 5) for k in range(1, 6)]
    assert STEPS >= 0


def test_layers_that_the_generator_ignores_move_with_all_the_others(
    editor: Editor, crop: Tensor, refined: tuple[Tensor, list[tuple[int, int]]]
) -> None:
    start = invert(editor.models, crop, steps=0)
    moved = refined[0] - start  # layers 16 and 17 get the offset that all layers share, no own one
    assert moved[:, 16].norm() > 0
    torch.testing.assert_close(moved[:, 16], moved[:, 17], rtol=0, atol=1e-6)
    assert (moved[:, 3] - moved[:, 16]).norm() > 0


def test_axes_measure_the_spread_of_w(editor: Editor) -> None:
    generator, axes = editor.models.generator, editor.models.axes
    z = torch.randn(4000, 512, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        offsets = (generator.mapping(z) - generator.w_mean) @ axes.T / axes.norm(dim=1)
    deviations = offsets.std(0) / axes.norm(dim=1)
    assert (deviations[-20:] - 1).abs().max() < 0.1  # the last axes are the longest


def test_the_same_crop_gives_nearly_the_same_code(
    editor: Editor, crop: Tensor, refined: tuple[Tensor, list[tuple[int, int]]]
) -> None:
    again = invert(editor.models, crop, 5)
    moved = refined[0] - invert(editor.models, crop, steps=0)
    assert (again - refined[0]).norm() < 0.5 * moved.norm()


def test_the_networks_keep_no_gradients(
    editor: Editor, refined: tuple[Tensor, list[tuple[int, int]]]
) -> None:
    del refined
    for network in (editor.models.generator, editor.models.identity, editor.models.encoder):
        assert all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_a_crop_of_another_size_is_refused(editor: Editor) -> None:
    with pytest.raises(ValueError, match=r"give \(B, 3, 256, 256\)"):
        invert(editor.models, torch.zeros(1, 3, 128, 128), steps=0)
