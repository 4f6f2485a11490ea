"""Pivotal tuning: offsets of the generator, their size, and that they lead towards the photo."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from sdflow import tuning
from sdflow.faces import LARGEST_TUNING, Face
from sdflow.images import to_tensor
from sdflow.invert import Target
from sdflow.pipeline import Editor

TWO = 2  # steps of tuning


@pytest.fixture(scope="module")
def w(opened: Face) -> Tensor:
    return torch.from_numpy(opened.w)[None]


@pytest.fixture(scope="module")
def sharp(opened: Face) -> Tensor:
    return to_tensor(opened.picture, 512)


@pytest.fixture(scope="module")
def tuned(editor: Editor, sharp: Tensor, w: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():  # as callers have it
        return tuning.tune(editor.models, sharp, w, TWO)


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("size", [512, 1024])
def test_no_tuning_changes_nothing(editor: Editor, w: Tensor, size: int) -> None:
    synthesis = editor.models.synthesis
    with torch.no_grad():
        assert torch.equal(synthesis(w, size, synthesis.no_tuning()), synthesis(w, size))


def test_it_is_small_and_always_the_same(editor: Editor) -> None:
    nothing = editor.models.synthesis.no_tuning()
    assert sum(2 * offset.numel() for offset in nothing.values()) < LARGEST_TUNING
    assert all(bool(offset.isfinite().all()) for offset in nothing.values())
    again = editor.models.synthesis.no_tuning()
    assert again.keys() == nothing.keys()
    assert all(torch.equal(again[name], nothing[name]) for name in nothing)


@pytest.mark.parametrize("size", [512, 1024])
def test_every_offset_changes_the_picture(editor: Editor, w: Tensor, size: int) -> None:
    """A gradient reaches each, but the factors of a product of which one is still 0: these once
    the other has moved. At 512 px the head's finest bands are not drawn."""
    offsets = {name: offset.requires_grad_()
               for name, offset in editor.models.synthesis.no_tuning().items()}  # fmt: skip
    image = editor.models.synthesis(w, size, offsets)
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    (image * weights).sum().backward()
    for name, offset in offsets.items():
        assert offset.grad.isfinite().all(), name
        assert bool(offset.grad.any()) is (not name.endswith(".right")), name


def test_the_factors_that_rested_move_too(editor: Editor, w: Tensor) -> None:
    offsets = editor.models.synthesis.no_tuning()
    for name, offset in offsets.items():
        if name.endswith(".left"):
            offset += 1e-3
        offset.requires_grad_()
    editor.models.synthesis(w, 512, offsets).square().mean().backward()
    rights = {name: o.grad for name, o in offsets.items() if name.endswith(".right")}
    assert len(rights) >= 10 and all(bool(grad.any()) for grad in rights.values())


def test_offsets_are_in_the_generators_own_order(editor: Editor, w: Tensor) -> None:
    """The plain generator with the offsets added to its weights draws the same."""
    models = editor.models
    draw = torch.Generator().manual_seed(1)
    offsets = {name: offset + 0.01 * torch.randn(offset.shape, generator=draw)
               for name, offset in models.synthesis.no_tuning().items()}  # fmt: skip
    plain = copy.deepcopy(models.generator)
    with torch.no_grad():
        for i, block in enumerate(plain.blocks):
            for which in ("conv1", "conv2"):
                name, conv = f"blocks.{i}.{which}", getattr(block, which)
                conv.depthwise += offsets[f"{name}.depthwise"]
                product = offsets[f"{name}.left"] @ offsets[f"{name}.right"]
                conv.pointwise += product.view_as(conv.pointwise)
                conv.bias += offsets[f"{name}.bias"].view_as(conv.bias)
        plain.head.weight += offsets["head.weight"]
        plain.head.bias += offsets["head.bias"]
        expected, untuned = plain.preview(w), models.synthesis(w, 512)
        drawn = models.synthesis(w, 512, offsets)
    # The fast path may compute in bfloat16; another order would differ as much as no tuning.
    assert (drawn - untuned).abs().mean() > 6 * (drawn - expected).abs().mean()


def test_tuning_comes_nearer_to_the_photo_and_leaves_the_generator(
    editor: Editor, sharp: Tensor, w: Tensor, tuned: dict[str, Tensor]
) -> None:
    models = editor.models
    assert tuned.keys() == models.synthesis.no_tuning().keys()
    assert all(o.dtype == torch.float16 and not o.requires_grad for o in tuned.values())
    target = Target(models, sharp)
    with torch.no_grad():
        before = models.synthesis(w, 512)
        after = models.synthesis(w, 512, {name: o.float() for name, o in tuned.items()})
    assert target.gradient(after)[0] < target.gradient(before)[0]
    assert all(p.grad is None for p in models.generator.parameters())


def test_two_runs_give_the_same_tuning(
    editor: Editor, sharp: Tensor, w: Tensor, tuned: dict[str, Tensor], two_threads: None
) -> None:
    runs = [tuning.tune(editor.models, sharp, w, TWO) for _ in range(2)]
    for name in tuned:
        assert torch.equal(runs[0][name], runs[1][name]), name


def test_stopped_at_once_it_keeps_what_it_has(editor: Editor, sharp: Tensor, w: Tensor) -> None:
    told = []
    stopped = tuning.tune(editor.models, sharp, w, 9, lambda step: told.append(step) or True)
    assert [(step.done, step.steps) for step in told] == [(1, 9)]
    assert tuning.fits(editor.models, tuning.to_arrays(stopped))


def test_arrays_and_back(editor: Editor, tuned: dict[str, Tensor]) -> None:
    arrays = tuning.to_arrays(tuned)
    assert all(array.dtype == np.float16 for array in arrays.values())
    back = tuning.to_tensors(arrays, torch.device("cpu"))
    assert back.keys() == tuned.keys()
    for name in tuned:
        assert back[name].dtype == torch.float32 and torch.equal(back[name], tuned[name].float())
    assert tuning.to_tensors(None, torch.device("cpu")) is None


def test_what_does_not_fit_is_told(editor: Editor, tuned: dict[str, Tensor]) -> None:
    arrays = tuning.to_arrays(tuned)
    assert tuning.fits(editor.models, arrays)
    assert not tuning.fits(editor.models, arrays | {"more": np.zeros(1, np.float16)})
    assert not tuning.fits(editor.models, {n: a for n, a in arrays.items() if n != "head.bias"})
    assert not tuning.fits(editor.models, arrays | {"head.bias": np.zeros(1, np.float16)})
    assert not tuning.fits(editor.models, {})
