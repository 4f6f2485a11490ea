"""Metrics on made-up numbers whose results are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sdflow.evaluation import metrics
from sdflow.evaluation.figures import ACCURACY, KEPT, Flips, compare
from sdflow.evaluation.protocol import IDENTITY


def test_the_first_weighting_is_all_faces_and_resamples_keep_their_number() -> None:
    weights = metrics.resample(7, draws=5)
    assert weights.shape == (6, 7)
    assert (weights[0] == 1).all() and (weights.sum(1) == 7).all()
    assert (weights[1:] != 1).any()


def test_weighted_mean_leaves_out_what_is_unknown() -> None:
    values = np.array([[1.0], [0.0], [np.nan]])
    weights = np.array([[1.0, 1, 1], [3, 1, 5], [0, 0, 1]])
    mean = metrics.weighted_mean(values, weights)[:, 0]
    assert mean[:2] == pytest.approx([0.5, 0.75])
    assert np.isnan(mean[2])


def test_weighted_median_is_the_median_of_the_repeated_faces() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.random((9, 2)), rng.integers(0, 3, (20, 9)).astype(float)
    medians = metrics.weighted_median(values, weights)
    for weight, median in zip(weights, medians, strict=True):
        repeated = np.repeat(values, weight.astype(int), axis=0)
        assert median == pytest.approx(np.median(repeated, axis=0))


def test_curves_are_read_at_equal_accuracy() -> None:
    accuracy = np.array([[0.0, 0.4, 0.8, 1.0], [0.0, 0.2, 0.6, 0.5]])
    kept = np.array([[1.0, 0.9, 0.7, 0.3], [1.0, 0.8, 0.6, 0.2]])
    place, reached = metrics.place_of(accuracy, 0.6)
    assert place == pytest.approx([1.5, 2.0]) and reached.tolist() == [True, True]
    assert metrics.value_at(kept, place) == pytest.approx([0.8, 0.6])
    place, reached = metrics.place_of(accuracy, 0.95)
    assert reached.tolist() == [True, False]
    assert place == pytest.approx([2.75, 2.0])  # the second is scored at its best
    place, reached = metrics.place_of(accuracy, metrics.best(accuracy))
    assert place == pytest.approx([3.0, 2.0]) and reached.all()


def test_summary_and_outside_tell_a_difference_from_noise() -> None:
    rng = np.random.default_rng(0)
    clear = np.concatenate([[0.5], rng.normal(0.5, 0.1, 500)])
    noise = np.concatenate([[0.01], rng.normal(0, 0.1, 500)])
    assert (metrics.outside(clear), metrics.outside(-clear), metrics.outside(noise)) == (1, -1, 0)
    figure = metrics.summary(clear)
    assert figure["value"] == 0.5
    low, high = figure["interval"]
    assert 0.25 < low < 0.35 and 0.65 < high < 0.75


def test_rank_correlation_shares_ranks() -> None:
    x = np.arange(5.0)
    assert metrics.spearman(x, x**3) == pytest.approx(1)
    assert metrics.spearman(x, -x) == pytest.approx(-1)
    assert metrics.spearman(x, np.array([0.0, 1, 1, 1, 2])) == pytest.approx(0.894, abs=1e-3)


def test_wilson_does_not_shrink_to_nothing_at_none_of_a_hundred() -> None:
    low, high = metrics.wilson(0, 100)
    assert low == 0 and 0.03 < high < 0.04
    assert metrics.wilson(50, 100) == pytest.approx([0.404, 0.596], abs=2e-3)


def test_a_comparison_reads_both_at_one_accuracy_in_every_resample() -> None:
    """Each gives up .1 of preservation an .1 of accuracy: at one accuracy they are the same."""
    curves = np.array([[0.0, 0.5, 1.0], [0.0, 0.4, 0.9], [0.0, 0.3, 0.7]])
    slower = np.array([[0.0, 0.3, 0.9], [0.0, 0.2, 0.6], [0.0, 0.3, 0.8]])
    ours, other = (
        Flips(None, {ACCURACY: one, KEPT: 1 - one, IDENTITY: one}, {}) for one in (curves, slower)
    )
    row = compare({"gender": ours}, {"gender": other}, ["gender"])["gender"]
    assert row["accuracy"] == 0.9 and row[KEPT]["ours"] == pytest.approx(0.1)
    assert row[KEPT]["difference"] == {"value": 0, "interval": pytest.approx([0, 0])}
