"""The corrector: shapes, gradients, size, and what the committed weights do with a code."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow import weights
from sdflow.invert import look
from sdflow.networks.corrector import Corrector, Seen
from sdflow.networks.identity import IdentityNetwork
from sdflow.pipeline import Editor


def views(network: IdentityNetwork, count: int = 2) -> tuple[Seen, Seen]:
    draw = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, count, 3, 256, 256, generator=draw) * 2 - 1
    with torch.no_grad():
        return tuple((picture, *network.forward_with_features(picture)) for picture in pictures)


@pytest.fixture(scope="module")
def seen(editor: Editor) -> tuple[Seen, Seen]:
    return views(editor.models.identity)


def test_each_face_gets_an_offset_of_its_own(seen: tuple[Seen, Seen]) -> None:
    torch.manual_seed(0)
    corrector = Corrector()
    torch.nn.init.normal_(corrector.spread, std=0.1)
    with torch.no_grad():
        offsets = corrector(*seen)
        alone = corrector(*(one(view, 1) for view in seen))
    assert offsets.shape == (2, 18, 512) and offsets.dtype == torch.float32
    assert (offsets[0] - offsets[1]).abs().max() > 1e-3
    torch.testing.assert_close(alone[0], offsets[1], rtol=0, atol=1e-4)


def one(view: Seen, row: int) -> Seen:
    crop, person, features = view
    return crop[row, None], person[row, None], [stage[row, None] for stage in features]


def test_layers_are_alike_until_their_factors_are_learnt(seen: tuple[Seen, Seen]) -> None:
    torch.manual_seed(0)
    corrector = Corrector()
    with torch.no_grad():
        offsets = corrector(*seen)
        assert (offsets == offsets[:, :1]).all()
        corrector.spread.normal_()
        assert (corrector(*seen) != offsets).any(2).all()


def test_a_gradient_reaches_every_parameter(seen: tuple[Seen, Seen]) -> None:
    torch.manual_seed(0)
    corrector = Corrector()
    torch.nn.init.normal_(corrector.spread)  # else nothing tells the factors where to go
    corrector(*seen).square().mean().backward()
    for name, parameter in corrector.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_rendering_passes_gradients_on(editor: Editor) -> None:
    """A second look is trained through the first."""
    picture = torch.zeros(1, 3, 256, 256, requires_grad=True)
    photo = look(editor.models, torch.rand(1, 3, 256, 256))
    editor.models.corrector(photo, look(editor.models, picture)).square().mean().backward()
    assert picture.grad.abs().sum() > 0


def test_it_is_small() -> None:
    assert sum(p.numel() for p in Corrector().parameters()) * 2 < 6_000_000  # float16
    stored = sum(tensor.nbytes for tensor in weights.load("corrector").values())
    assert stored < 6_000_000


@torch.no_grad()
def distances(editor: Editor, wanted: Tensor, w: Tensor) -> Tensor:
    pictures = [F.avg_pool2d(editor.models.synthesis(code, 512), 2) for code in (wanted, w)]
    first, second = (editor.models.identity(picture) for picture in pictures)
    return (first - second).norm(dim=1)


def test_the_committed_weights_correct_a_code(editor: Editor) -> None:
    """Rendered from the mean face, two people: their descriptors come nearer at each look."""
    models = editor.models
    people = torch.stack([torch.from_numpy(editor.random(s, 0.6).w) for s in (11, 12)])
    with torch.no_grad():
        photos = look(models, F.avg_pool2d(models.synthesis(people, 512), 2))
        w = models.generator.w_mean.expand(2, 18, 512)
        found = [distances(editor, people, w)]
        for _ in range(2):
            rendered = look(models, F.avg_pool2d(models.synthesis(w, 512), 2))
            w = w + models.corrector(photos, rendered)
            found.append(distances(editor, people, w))
    assert (found[1] < found[0]).all() and found[2].mean() < found[0].mean()
