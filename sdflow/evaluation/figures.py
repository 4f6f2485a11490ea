"""Stored sweeps in, every figure of the report out: per attribute, means, comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sdflow.evaluation import metrics
from sdflow.evaluation.judges import JUDGED
from sdflow.evaluation.protocol import IDENTITY, PHOTO, READ, STRENGTHS, Sweep

ACCURACY, MEAN_IDENTITY = "accuracy", "identity_mean"
KEPT = "preservation"  # share of unchanged sides, mean over all other judged attributes
Curves = dict[str, np.ndarray]  # name → (R, S), see `metrics`


@dataclass(frozen=True, eq=False)
class Flips:
    """What one method did to one attribute: curves over the strength, and what else changed."""

    sweep: Sweep
    curves: Curves
    others: dict[str, np.ndarray]  # attribute → share of faces changed (R, S)

    @property
    def best(self) -> float:
        """The highest accuracy at any strength."""
        return float(metrics.best(self.curves[ACCURACY])[0])

    def at(self, level: float | np.ndarray) -> tuple[Curves, bool]:
        """All curves where the accuracy is ``level``, (R,) each, and whether it is reached.

        Where it never is, they are read at the best accuracy; a level may be one for each of the
        R weightings.
        """
        place, reached = metrics.place_of(self.curves[ACCURACY], level)
        values = {name: metrics.value_at(curve, place) for name, curve in self.curves.items()}
        return values, bool(reached[0])


def measure_flips(
    sweep: Sweep, attribute: str, attributes: Sequence[str], weights: np.ndarray
) -> Flips:
    """Curves of one sweep.

    Args:
        sweep: of the attribute.
        attribute: that was flipped.
        attributes: preservation is the mean over all others of them that have a judge, with a
            slider or without: a slider dropped must not flatter those that stay.
        weights: of all faces of the population, (R, N).
    """
    weights = weights[:, sweep.rows]
    touched = {
        other: _floats(metrics.flipped(sweep.sides(other)))
        for other in attributes if other != attribute and other in JUDGED
    }  # fmt: skip
    curves = {
        ACCURACY: metrics.weighted_mean(_floats(metrics.flipped(sweep.sides(attribute))), weights),
        IDENTITY: metrics.weighted_median(sweep.measures[IDENTITY], weights),
        MEAN_IDENTITY: metrics.weighted_mean(sweep.measures[IDENTITY], weights),
    }
    if touched:
        curves[KEPT] = metrics.weighted_mean(1 - _mean(touched.values()), weights)
    if PHOTO in sweep.measures:
        curves[PHOTO] = metrics.weighted_median(sweep.measures[PHOTO], weights)
    others = {n: metrics.weighted_mean(one, weights) for n, one in touched.items()}
    return Flips(sweep, curves, others)


def attribute_figures(flips: Flips, attribute: str) -> dict[str, object]:
    """Everything the report says of one attribute under one method."""
    at_level, reached = flips.at(metrics.LEVEL)
    full = {name: curve[:, -1] for name, curve in flips.curves.items()}
    sweep = flips.sweep
    left = metrics.flipped(sweep.sides(attribute))[:, -1]
    x, y = judged_curve(sweep, attribute)
    return {
        "faces": len(sweep.rows),
        "accuracy": metrics.summary(full[ACCURACY]),
        "to_positive": _share(left[sweep.signs > 0]),
        "to_negative": _share(left[sweep.signs < 0]),
        "best_accuracy": round(flips.best, 3),
        "reaches_level": reached,
        "at_level": {name: metrics.summary(values) for name, values in at_level.items()},
        "at_full": {name: metrics.summary(values) for name, values in full.items()},
        "changed": {name: round(float(share[0, -1]), 3) for name, share in flips.others.items()},
        "spearman": round(metrics.spearman(x, y), 3),
        "curves": {name: curve[0].round(4).tolist() for name, curve in flips.curves.items()},
        "judged": {"strengths": x.round(3).tolist(), "mean_change": y.round(4).tolist()},
        "levels": [_level(flips, level) for level in metrics.LEVELS],
    }


def judged_curve(sweep: Sweep, attribute: str) -> tuple[np.ndarray, np.ndarray]:
    """Strengths −1..1 and how far the judge's measure moved in the mean, turned to the attribute.

    Negative strengths are those of the faces that were on the positive side, and the reverse.
    """
    judged = JUDGED[attribute]
    values = judged.sign * sweep.measures[judged.measure]
    moved = values - values[:, :1]
    x, y = [0.0], [0.0]
    for s, strength in list(enumerate(STRENGTHS))[1:]:
        for sign in (-1, 1):
            if (sweep.signs == sign).any():
                x.append(sign * strength)
                y.append(float(moved[sweep.signs == sign, s].mean()))
    order = np.argsort(x)
    return np.array(x)[order], np.array(y)[order]


def mean_figures(flips: Mapping[str, Flips], names: Sequence[str]) -> dict[str, object] | None:
    """The mean over some attributes, with intervals; None where one of them is missing."""
    if not names or any(name not in flips for name in names):
        return None
    placed = [flips[name].at(metrics.LEVEL) for name in names]
    common = set.intersection(*(set(values) for values, _ in placed))
    at_level = {
        k: metrics.summary(_mean(values[k] for values, _ in placed)) for k in sorted(common)
    }
    at_full = {
        k: metrics.summary(_mean(flips[name].curves[k][:, -1] for name in names))
        for k in sorted(common)
    }
    return {
        "attributes": list(names),
        "accuracy": at_full[ACCURACY],
        "not_reaching_level": [n for n, (_, ok) in zip(names, placed, strict=True) if not ok],
        "at_level": at_level,
        "at_full": at_full,
        "curves": {
            k: _mean(flips[name].curves[k][:1] for name in names)[0].round(4).tolist()
            for k in sorted(common)
        },
    }


def compare(
    ours: Mapping[str, Flips], other: Mapping[str, Flips], names: Sequence[str]
) -> dict[str, object]:
    """Paired differences, ours less the other's, at the highest accuracy (to .95) both reach.

    Each resample has a level of its own, so that both are read at one accuracy in all of them.
    ``outside`` is +1 or −1 where the 95 % interval of the difference is above or below 0.
    """
    rows: dict[str, object] = {}
    gathered: dict[str, list[np.ndarray]] = {}
    for name in names:
        best = np.minimum(*(metrics.best(flips[name].curves[ACCURACY]) for flips in (ours, other)))
        level = np.minimum(metrics.LEVEL, best)  # (R,)
        mine, its = ours[name].at(level)[0], other[name].at(level)[0]
        row: dict[str, object] = {"accuracy": round(float(level[0]), 3)}
        for key in (KEPT, IDENTITY, MEAN_IDENTITY):
            if key in mine and key in its:
                row[key] = _difference(mine[key], its[key])
                gathered.setdefault(key, []).append(np.stack([mine[key], its[key]]))
        rows[name] = row
    rows["mean"] = {key: _difference(*_mean(pairs)) for key, pairs in gathered.items()}
    return rows


def readout_agreement(
    read: Mapping[str, np.ndarray], sides: Mapping[str, np.ndarray], flips: Mapping[str, Flips]
) -> dict[str, dict[str, float]]:
    """How often the program's own readout (c at .5) says what the judges say.

    Args:
        read: the estimator's c of all unedited faces, (N,) each.
        sides: the judges' verdict on them, (N,) each.
        flips: our edits; ``after`` is the edited attribute at full strength.
    """
    agreement = {}
    for name, one in flips.items():
        after = (one.sweep.measures[READ + name][:, -1] >= 0.5) == one.sweep.sides(name)[:, -1]
        agreement[name] = {"before": _share((read[name] >= 0.5) == sides[name]),
                           "after": _share(after)}  # fmt: skip
    return agreement


def _difference(mine: np.ndarray, its: np.ndarray) -> dict[str, object]:
    return {
        "ours": round(float(mine[0]), 3),
        "other": round(float(its[0]), 3),
        "difference": metrics.summary(mine - its),
        "outside": metrics.outside(mine - its),
    }


def _level(flips: Flips, level: float) -> dict[str, object]:
    values, reached = flips.at(level)
    figures = {name: round(float(draws[0]), 4) for name, draws in values.items()}
    return {"level": level, "reached": reached, **figures}


def _floats(array: np.ndarray) -> np.ndarray:
    return array.astype(float)


def _mean(arrays: object) -> np.ndarray:
    return np.mean(list(arrays), axis=0)


def _share(hits: np.ndarray) -> float | None:
    return round(float(np.mean(hits)), 3) if len(hits) else None
