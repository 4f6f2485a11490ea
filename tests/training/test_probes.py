"""Linear probes on drawn features, and the ones under ``weights/``."""

from __future__ import annotations

import math

import pytest
import torch

from sdflow import weights
from sdflow.training import probes


def drawn(n: int = 400, share: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, 8) that tell, with noise, which rare faces are positive; two are unknown."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 8, generator=generator)
    noisy = features[:, 0] + 0.3 * torch.randn(n, generator=generator)
    labels = (noisy > noisy.quantile(1 - share)).float()
    labels[:2] = torch.nan
    return features, labels


def test_auc_counts_the_pairs_in_order() -> None:
    scores = torch.tensor([0.1, 0.4, 0.35, 0.8])
    assert probes.auc(scores, torch.tensor([False, False, True, True])) == pytest.approx(0.75)
    assert probes.auc(-scores, torch.tensor([False, False, True, True])) == pytest.approx(0.25)


def test_a_probe_finds_the_direction_and_weighs_classes_alike() -> None:
    features, labels = drawn()
    probe = probes.fit_probe(features, labels)
    assert probe[:-1].abs().argmax() == 0 and probe[0] > 0
    called = (probes.logits(probe, features)[2:] > 0).float().mean()
    assert called > 1.2 * labels[2:].mean()  # rare positives are called too often
    assert probes.cross_validated(features, labels) > 0.9


def test_a_stronger_ridge_shrinks() -> None:
    features, labels = drawn()
    weak, strong = (probes.fit_probe(features, labels, ridge)[:-1].norm() for ridge in (1e-4, 0.1))
    assert strong < weak / 2


def test_a_judge_calls_as_many_positive_as_the_labels() -> None:
    features, labels = drawn()
    judge, left_out = probes.fit_judge(features, labels)
    assert left_out.isnan().tolist() == labels.isnan().tolist()
    share = float(labels[2:].mean())
    assert float((left_out[2:] >= 0).float().mean()) == pytest.approx(share, abs=0.01)
    others, truth = drawn(share=share)
    assert probes.rate(probes.logits(judge, others), truth)["balanced"] > 0.8


def test_figures_leave_out_what_is_unknown() -> None:
    labels = torch.tensor([1.0, 1.0, 0.0, 0.0, torch.nan])
    figures = probes.rate(torch.tensor([2.0, -1.0, -2.0, -3.0, 9.0]), labels)
    expected = {"auc": 1.0, "accuracy": 0.75, "balanced": 0.75, "positive": 2, "faces": 4}
    assert figures == expected


def test_the_probes_of_the_repository_are_whole() -> None:
    stored = weights.load("probes")
    judges = {f"{name}_judge" for name in probes.FROM_BANK + probes.FROM_HAND}
    assert set(stored) == judges | {"beard_teacher"}
    assert all(probe.shape == (1025,) and probe.isfinite().all() for probe in stored.values())
    assert "auc" in weights.metadata("probes")["figures"]


def test_a_probe_reads_the_direction_alone() -> None:
    features = torch.randn(3, 1024, generator=torch.Generator().manual_seed(0))
    logit = probes.apply_probe("hat_judge", features)
    assert torch.allclose(logit, probes.apply_probe("hat_judge", 5 * features), atol=1e-5)
    along = weights.load("probes")["hat_judge"][None, :-1]
    slope = probes.apply_probe("hat_judge", along) - probes.apply_probe("hat_judge", -along)
    assert float(slope) == pytest.approx(2 * float(along.norm()), rel=1e-4)
    assert not math.isnan(float(slope))
