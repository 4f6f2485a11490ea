"""Training of the corrector at the smallest size: its start, steps, resuming, covered crops."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sdflow.networks.corrector import Seen
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.pipeline import Editor
from sdflow.training import bank
from sdflow.training import corrector as training
from sdflow.training.corrector import covered, describe, regression, train_corrector

FACES = 8


@pytest.fixture(scope="module")
def folder(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of one shard of generated faces, which are the 'photos' too."""
    folder = tmp_path_factory.mktemp("bank")
    generator = editor.models.generator
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(bank, "SHARD", FACES)
        sample = partial(bank.sample_codes, generator)
        bank.render_shards(folder, FastSynthesis(generator), sample, FACES)
    shard = bank.load_file(bank.shard_path(folder, "generated", 0))
    bank.write_whole({"image": shard["image"]}, bank.shard_path(folder, "real", 0), {})
    return folder


def test_it_starts_from_the_regression(editor: Editor, folder: Path, tmp_path: Path) -> None:
    """Untrained, its first correction of the mean face already leads to the person."""
    models = editor.models
    start = train_corrector(folder, tmp_path / "run", steps=0, precision="no")
    shard = bank.load_file(bank.shard_path(folder, "generated", 0))
    photos = shard["image"].float() / 127.5 - 1

    def look(picture: torch.Tensor) -> Seen:
        return picture, *models.identity.forward_with_features(picture)

    with torch.no_grad():
        people = look(photos)
        w = models.generator.w_mean.expand(FACES, 18, 512)
        before = look(F.avg_pool2d(models.synthesis(w[:1], 512), 2).expand(FACES, 3, 256, 256))
        w = w + start(people, before)
        after = look(F.avg_pool2d(models.synthesis(w, 512), 2))
    near, far = ((people[1] - view[1]).norm(dim=1) for view in (after, before))
    assert near.mean() < 0.9 * far.mean() and (near < far).float().mean() > 0.7


def test_it_trains_and_resumes_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    sizes = {"steps": 2, "batch": 2, "precision": "no"}
    whole = train_corrector(folder, tmp_path / "run", **sizes)
    untrained = train_corrector(folder, tmp_path / "none", **(sizes | {"steps": 0}))
    again = train_corrector(folder, tmp_path / "run", **sizes)
    for key, value in whole.state_dict().items():
        assert bool(value.isfinite().all()), key
        assert torch.equal(value, again.state_dict()[key]), key
    moved = [key for key, value in untrained.state_dict().items()
             if not torch.equal(value, whole.state_dict()[key])]  # fmt: skip
    assert len(moved) == len(untrained.state_dict())
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert len(log) == 1  # the resumed run had nothing to do
    told = json.loads(log[0])
    assert told["step"] == 2
    assert {"pixels", "identity", "before", "latent", "spread"} <= told.keys()
    assert all(np.isfinite(value) for value in told.values())


def test_the_regression_finds_a_linear_map() -> None:
    draw = torch.Generator().manual_seed(0)
    people = torch.randn(2000, 128, generator=draw) * 0.1 + 0.3
    matrix = torch.randn(512, 128, generator=draw)
    w = people @ matrix.T + 5 + 0.1 * torch.randn(2000, 512, generator=draw)
    found = regression(people, w)
    assert found.shape == (512, 128)
    scale = (found * matrix).sum() / matrix.square().sum()
    assert 1 / (1 + 2 * training.RIDGE) < scale < 1  # shrunk
    cosine = F.cosine_similarity(found.flatten(), matrix.flatten(), dim=0)
    assert cosine > 0.95
    assert torch.equal(regression(people, torch.full_like(w, 3.0)), torch.zeros(512, 128))


def test_descriptors_of_many_are_those_of_each(editor: Editor, folder: Path) -> None:
    images = bank.load_file(bank.shard_path(folder, "real", 0))["image"]
    many = describe(editor.models.identity, images.repeat(5, 1, 1, 1))
    assert many.shape == (5 * FACES, 128)
    with torch.no_grad():
        alone = editor.models.identity(images[3:4].float() / 127.5 - 1)
    torch.testing.assert_close(many[3:4], alone, rtol=0, atol=1e-4)


def test_some_crops_are_covered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = bank.load_file(bank.shard_path(folder, "real", 0))["image"]
    crops = images[:4].float() / 127.5 - 1
    monkeypatch.setattr(training, "COVERED", 0.0)
    bare = covered(crops, np.random.default_rng(0))
    torch.testing.assert_close(bare, crops, rtol=0, atol=1e-5)
    monkeypatch.setattr(training, "COVERED", 1.0)
    hidden = covered(crops, np.random.default_rng(0))
    assert hidden.shape == crops.shape and hidden.dtype == crops.dtype
    assert hidden.abs().max() <= 1 + 1e-5
    changed = ((hidden - crops).abs().amax(1) > 0.05).float().mean((1, 2))
    assert (changed > 0.005).sum() >= 3 and changed.max() < 0.8
    again = covered(crops, np.random.default_rng(0))
    assert torch.equal(again, hidden)
