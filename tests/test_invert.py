"""Inversion: encoder and corrections, refinement through the generator, the same in every run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow.align import crop_face, find_faces
from sdflow.images import to_tensor
from sdflow.invert import (
    STEPS,
    Step,
    Target,
    encode,
    face_weights,
    invert,
    look,
    one_thread,
    optimise,
    refine,
)
from sdflow.pipeline import Editor

IN_A_NEW_PROCESS = """
import sys
import numpy as np, torch
from sdflow.invert import invert
from sdflow.models import load_models
torch.set_num_threads(int(sys.argv[3]))
models = load_models(device="cpu")
torch.set_num_threads(2)
crop = torch.from_numpy(np.load(sys.argv[1]))
np.save(sys.argv[2], invert(models, crop, 2).numpy())
"""


@pytest.fixture(scope="module")
def crop(editor: Editor, photo: object) -> Tensor:
    picture, _ = crop_face(photo, find_faces(photo)[0].landmarks)
    return to_tensor(picture, device=editor.models.device)


@pytest.fixture(scope="module")
def start(editor: Editor, crop: Tensor) -> Tensor:
    return invert(editor.models, crop, steps=0)


@pytest.fixture(scope="module")
def refined(editor: Editor, crop: Tensor) -> tuple[Tensor, list[Step]]:
    told: list[Step] = []
    return invert(editor.models, crop, 5, told.append), told


@pytest.fixture
def two_threads() -> Iterator[int]:
    """Two threads; gives the number that there were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield threads
    torch.set_num_threads(threads)


def loss_of(editor: Editor, crop: Tensor, w: Tensor) -> float:
    with torch.no_grad():
        image = editor.models.synthesis(w, 512)
    return Target(editor.models, crop).gradient(image)[0]


# ---- feed-forward


def test_no_looks_are_the_encoder_alone(editor: Editor, crop: Tensor) -> None:
    with torch.no_grad():
        assert torch.equal(encode(editor.models, crop, looks=0), editor.models.encoder(crop))


def test_feed_forward_is_the_corrected_code(editor: Editor, crop: Tensor, start: Tensor) -> None:
    models = editor.models
    assert start.shape == (1, 18, 512)
    assert not start.is_inference() and not start.requires_grad
    assert torch.equal(start, encode(models, crop))
    with torch.no_grad():
        first = models.encoder(crop)
        rendered = F.avg_pool2d(models.synthesis(first, 512), 2)
        expected = first + models.corrector(look(models, crop), look(models, rendered))
    assert torch.equal(encode(models, crop, looks=1), expected)
    assert not torch.equal(start, first)


def test_corrections_bring_the_person_nearer(editor: Editor, crop: Tensor, start: Tensor) -> None:
    models = editor.models

    @torch.no_grad()
    def distance(w: Tensor) -> float:
        image = F.avg_pool2d(models.synthesis(w, 512), 2)
        return float((models.identity(image) - models.identity(crop)).norm())

    assert distance(start) < distance(encode(models, crop, looks=0))


# ---- refinement


def test_steps_bring_the_rendering_nearer(
    editor: Editor, crop: Tensor, start: Tensor, refined: tuple[Tensor, list[Step]]
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
    assert error(w) < error(start)


def test_each_step_is_told(
    editor: Editor, crop: Tensor, refined: tuple[Tensor, list[Step]]
) -> None:
    w, told = refined
    assert [(step.done, step.steps) for step in told] == [(k, 5) for k in range(1, 6)]
    assert STEPS >= 0
    for step in told:
        assert isinstance(step, Step) and 0 < step.distance < 1
        assert step.image.shape == (1, 3, 512, 512) and not step.image.requires_grad
    with torch.no_grad():  # the last one shows what is returned
        image = editor.models.synthesis(w, 512)
        person = editor.models.identity(F.avg_pool2d(image, 2)) - editor.models.identity(crop)
    assert (image - told[-1].image).abs().mean() < 0.01
    assert float(person.norm()) == pytest.approx(told[-1].distance, abs=0.01)


def test_stopping_keeps_the_best_so_far(editor: Editor, crop: Tensor, start: Tensor) -> None:
    told: list[int] = []

    def stop_after_two(step: Step) -> bool:
        told.append(step.done)
        return step.done == 2

    w = invert(editor.models, crop, 40, stop_after_two)
    assert told == [1, 2]
    assert loss_of(editor, crop, w) <= loss_of(editor, crop, start)
    assert not torch.equal(w, start)


def test_refinement_goes_on_from_where_it_stands(
    editor: Editor, crop: Tensor, refined: tuple[Tensor, list[Step]]
) -> None:
    with torch.no_grad():  # a caller may have switched gradients off
        further = refine(editor.models, crop, refined[0], 1)
    assert (further - refined[0]).norm() < (refined[0] - encode(editor.models, crop)).norm()
    assert loss_of(editor, crop, further) <= loss_of(editor, crop, refined[0])


def test_layers_that_the_generator_ignores_move_with_all_the_others(
    start: Tensor, refined: tuple[Tensor, list[Step]]
) -> None:
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


def test_every_run_gives_the_same_code(
    editor: Editor, crop: Tensor, two_threads: int, tmp_path: Path
) -> None:
    """Bit for bit, with several threads, and in another process."""
    first, second = (invert(editor.models, crop, 2) for _ in range(2))
    assert torch.equal(first, second)
    np.save(tmp_path / "crop.npy", crop.numpy())
    paths = str(tmp_path / "crop.npy"), str(tmp_path / "w.npy"), str(two_threads)
    subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS, *paths], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), first.numpy())


def test_the_networks_keep_no_gradients(
    editor: Editor, refined: tuple[Tensor, list[Step]]
) -> None:
    del refined
    models = editor.models
    for network in (models.generator, models.identity, models.encoder, models.corrector):
        assert all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_a_crop_of_another_size_is_refused(editor: Editor) -> None:
    with pytest.raises(ValueError, match=r"give \(B, 3, 256, 256\)"):
        invert(editor.models, torch.zeros(1, 3, 128, 128), steps=0)


# ---- the optimisation itself


class MadeUpTarget:
    """Says losses from a list, whatever is shown, and pulls every pixel down."""

    def __init__(self, losses: list[float]) -> None:
        self.losses = iter(losses)

    def gradient(self, image: Tensor) -> tuple[float, float, Tensor]:
        loss = next(self.losses)
        return loss, loss / 10, torch.ones_like(image)


def run(
    losses: list[float], stop: int | None = None, penalties: list[float] | None = None
) -> tuple[float, list[Step], list[float]]:
    """The value kept, what was told, and the values that were rendered."""
    value = torch.zeros(1, requires_grad=True)
    rendered: list[float] = []
    told: list[Step] = []

    def render() -> tuple[Tensor, Tensor | None]:
        rendered.append(float(value.detach()))
        penalty = None if penalties is None else penalties[len(rendered) - 1] + 0 * value.sum()
        return value.expand(1, 3, 2, 2) * 1.0, penalty

    def on_step(step: Step) -> bool:
        told.append(step)
        return step.done == stop

    optimiser = torch.optim.Adam([{"params": [value], "peak": 0.1}])
    (kept,) = optimise(render, MadeUpTarget(losses), optimiser, [value], len(losses) - 1, on_step)
    return float(kept), told, rendered


def test_the_best_is_kept_though_later_steps_are_worse() -> None:
    kept, told, rendered = run([5.0, 3.0, 4.0, 6.0])
    assert len(set(rendered)) == 4 and rendered == sorted(rendered, reverse=True)
    assert kept == rendered[1]
    assert [(step.done, step.steps) for step in told] == [(1, 3), (2, 3), (3, 3)]
    for step in told:  # each shows the best so far
        assert step.distance == pytest.approx(0.3)
        assert float(step.image[0, 0, 0, 0]) == pytest.approx(rendered[1])


def test_the_start_is_kept_if_nothing_is_better() -> None:
    kept, _, rendered = run([1.0, 3.0, 4.0])
    assert kept == rendered[0] == 0


def test_the_last_step_counts_too() -> None:
    kept, _, rendered = run([3.0, 2.0, 1.0])
    assert kept == rendered[2]


def test_the_penalty_counts() -> None:
    kept, _, rendered = run([3.0, 1.0, 2.0], penalties=[0.0, 4.0, 0.0])
    assert kept == rendered[2]


def test_a_stop_ends_it_at_once() -> None:
    kept, told, rendered = run([5.0, 6.0, 4.0, 1.0, 0.0], stop=2)
    assert [step.done for step in told] == [1, 2]
    assert len(rendered) == 3 and kept == rendered[2]


def test_one_thread_gives_the_threads_back(two_threads: int) -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == 2


def test_the_face_weighs_more_than_its_surroundings() -> None:
    weights = face_weights(256)[0, 0]
    assert weights.shape == (256, 256)
    assert weights[138, 128] == pytest.approx(1) and weights[0, 0] < weights[138, 128]
    assert weights.max() <= 1 + 1e-6 and weights.min() > 0
