"""The parsing network: shapes, size, and what the committed weights see in a generated face."""

from __future__ import annotations

import pytest
import torch

from sdflow.images import to_tensor
from sdflow.models import load_parsing
from sdflow.networks.parsing import CLASSES, ParsingNetwork
from sdflow.pipeline import Editor
from sdflow.training.bisenet import fold_batch_norms


def test_every_pixel_gets_a_score_of_every_class() -> None:
    assert len(CLASSES) == 8
    with torch.inference_mode():
        scores = ParsingNetwork()(torch.zeros(2, 3, 256, 256))
    assert scores.shape == (2, len(CLASSES), 256, 256) and scores.dtype == torch.float32


@pytest.mark.parametrize("shape", [(1, 3, 128, 128), (1, 1, 256, 256), (3, 256, 256)])
def test_other_crops_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"give \(B, 3, 256, 256\)"):
        ParsingNetwork()(torch.zeros(shape))


def test_it_is_small() -> None:
    assert sum(p.numel() for p in ParsingNetwork().parameters()) * 2 < 3_000_000  # float16


def test_a_gradient_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    network = ParsingNetwork(batch_norms=True)
    network(torch.rand(2, 3, 256, 256) * 2 - 1).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_stored_form_is_the_trained_one_with_norms_folded() -> None:
    torch.manual_seed(0)
    trained = ParsingNetwork(batch_norms=True).train()
    crop = torch.rand(2, 3, 256, 256) * 2 - 1
    with torch.no_grad():
        trained(crop)  # moves the running statistics
        expected = trained.eval()(crop)
        stored = ParsingNetwork()
        stored.load_state_dict(fold_batch_norms(trained).state_dict())
        torch.testing.assert_close(stored(crop), expected, atol=1e-4, rtol=1e-4)


def test_the_committed_weights_see_a_face_and_its_hair(editor: Editor) -> None:
    crop = to_tensor(editor.reconstruct(editor.random(1), 512), 256, "cpu")
    with torch.inference_mode():
        found = load_parsing()(crop)[0].argmax(0)  # (256, 256)
    face, hair = (found == CLASSES.index(name) for name in ("face", "hair"))
    assert 0.15 < face.float().mean() < 0.5 and 0.03 < hair.float().mean() < 0.6
    assert face[110:200, 96:160].float().mean() > 0.8  # eyes to chin, glasses aside
    rows = torch.arange(256.0)
    assert (hair.sum(1) * rows).sum() / hair.sum() < (face.sum(1) * rows).sum() / face.sum()
    assert (found == CLASSES.index("occluder")).float().mean() < 0.01
