"""The four losses and the change of one attribute."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from sdflow.training import losses

GOLDENS = Path(__file__).parents[1] / "goldens"
TRAINING = json.loads((GOLDENS / "cnf_flow.json").read_text(encoding="utf-8"))["training"]


def test_nll_is_the_mean_of_the_log_density() -> None:
    torch.manual_seed(0)
    z, delta = torch.randn(3, 18, 512).double(), torch.randn(3, 18, 1).double()
    log_prob = torch.distributions.Normal(0, 1).log_prob(z).sum((1, 2)) - delta.sum((1, 2))
    torch.testing.assert_close(losses.nll(z, delta), -log_prob.mean() / (18 * 512))
    torch.testing.assert_close(  # one token: (B, 512)
        losses.nll(z[:, 0], delta[:, 0]), losses.nll(z[:, :1], delta[:, :1])
    )
    zero = losses.nll(torch.zeros(2, 512), torch.zeros(2, 1))
    assert math.isclose(zero.item(), 0.5 * math.log(2 * math.pi), rel_tol=1e-6)


def test_squared_losses() -> None:
    c = torch.tensor([[0.5, 0.25]], requires_grad=True)
    labels = torch.tensor([[1, 0]])  # whole numbers, as teachers give them
    assert losses.kd(c, labels).item() == (0.25 + 0.0625) / 2
    assert losses.reg(torch.ones(2, 18, 512), torch.zeros(2, 18, 512)).item() == 1


def test_a_label_that_nobody_knows_is_not_counted() -> None:
    c = torch.tensor([[0.5, 0.25], [1.0, 0.0]], requires_grad=True)
    labels = torch.tensor([[1.0, torch.nan], [0.5, torch.nan]])
    loss = losses.kd(c, labels)
    loss.backward()
    assert loss.item() == 0.25
    assert c.grad.tolist() == [[-0.5, 0.0], [0.5, 0.0]]


def test_identity_is_the_squared_distance_and_moves_the_edit_alone() -> None:
    described = torch.tensor([[3.0, 0.0], [0.0, 0.0]], requires_grad=True)
    person = torch.tensor([[0.0, 4.0], [0.0, 0.0]], requires_grad=True)
    loss = losses.identity(described, person)
    loss.backward()
    assert loss.item() == 12.5  # the mean of 25 and 0
    assert person.grad is None and described.grad.tolist() == [[3.0, -4.0], [0.0, 0.0]]


def test_mi_pulls_the_estimate_and_not_its_target() -> None:
    logits = torch.tensor([[0.0, 0.0], [-12.0, 2.0]], requires_grad=True)
    target = torch.tensor([[1.0, 0.5], [1.0, 1 / (1 + math.exp(-2))]], requires_grad=True)
    loss = losses.mi(logits, target)
    loss.backward()
    assert loss.item() == pytest.approx((math.log(2) + 12) / 4, abs=1e-4)
    assert target.grad is None
    # an estimate that is surely wrong is pulled as hard as any, one that is right not at all
    pulled = torch.tensor([[-0.125, 0.0], [-0.25, 0.0]])
    torch.testing.assert_close(logits.grad, pulled, atol=1e-4, rtol=0)


def test_changed_semantics_draws_as_the_original() -> None:
    c = torch.tensor(TRAINING["attributes_for_modify"])
    changed = losses.changed_semantics(c, torch.Generator().manual_seed(7))
    torch.testing.assert_close(
        changed, torch.tensor(TRAINING["uniform_seed_7"]), atol=1e-6, rtol=0
    )


def test_changed_semantics_changes_one_attribute_of_each_row() -> None:
    c = torch.full((4000, 5), 2.0, requires_grad=True)
    changed = losses.changed_semantics(c, torch.Generator().manual_seed(0))
    assert not changed.requires_grad and bool((c == 2).all())
    moved = changed != 2
    assert bool((moved.sum(1) == 1).all())
    assert moved.sum(0).min() > 700  # every attribute has its turn: 800 each on average
    values = changed[moved]
    assert values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.02
    assert losses.changed_semantics(c).shape == (4000, 5)  # torch's own generator


def test_changed_semantics_may_change_several_and_reach_beyond() -> None:
    c = torch.full((4000, 8), 2.0)
    changed = losses.changed_semantics(c, torch.Generator().manual_seed(0), 0.15, most=4)
    moved = changed != 2
    counts = moved.sum(1).bincount(minlength=6)
    assert counts[0] == 0 and counts[5:].sum() == 0
    assert counts[1] > 2500 and all(counts[n] > 200 for n in (2, 3, 4))
    assert -0.15 <= changed[moved].min() < -0.14 and 1.14 < changed[moved].max() < 1.15
    inside = ((changed > 0) & (changed < 1))[moved].double().mean()
    assert abs(inside - 1 / 1.3) < 0.02
    changed = losses.changed_semantics(c, torch.Generator().manual_seed(0), 0.15, 4, ends=0.5)
    inside = ((changed > 0) & (changed < 1))[changed != 2].double().mean()
    assert abs(inside - 0.5 / 1.3) < 0.02
