"""Figures out of judged sweeps: arrays of faces × strengths in, shares, curves, intervals out.

Pure numpy. Every statistic is computed for R weightings of the faces at once: the first weighs
all of them once and gives the figure, the others are bootstrap resamples and give its interval.
A resample draws faces of the population, so attributes and methods that share faces move
together, and differences between methods are paired.
"""

from __future__ import annotations

import numpy as np

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LEVEL = 0.95  # the editing accuracy at which methods are compared
DRAWS = 1000


def resample(faces: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Weights (1 + draws, faces): ones, then how often each face is drawn."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(faces, np.full(faces, 1 / faces), size=draws)
    return np.concatenate([np.ones((1, faces)), drawn])


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the faces of values (F, ...) under weights (R, F), (R, ...); nan values left out.

    A resample without any of the faces gives nan.
    """
    known = ~np.isnan(values)
    total = np.tensordot(weights, known.astype(float), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.tensordot(weights, np.where(known, values, 0.0), 1) / total


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median over the faces of values (F, S) under weights (R, F), (R, S)."""
    order = np.argsort(values, axis=0)  # (F, S)
    medians = np.full((len(weights), values.shape[1]), np.nan)
    drawn = weights.sum(1) > 0
    for s in range(values.shape[1]):
        below = np.cumsum(weights[:, order[:, s]], axis=1)  # (R, F)
        half = below[:, -1:] / 2
        low = np.argmax(below >= half, axis=1)
        high = np.argmax(below > half, axis=1)
        ranked = values[order[:, s], s]
        medians[:, s] = np.where(drawn, (ranked[low] + ranked[high]) / 2, np.nan)
    return medians


def flipped(sides: np.ndarray) -> np.ndarray:
    """Whether each face left its first side, from sides (F, S) of bools."""
    return sides != sides[:, :1]


def best(accuracy: np.ndarray) -> np.ndarray:
    """The highest accuracy at any strength, (R,), of accuracies (R, S); 0 where all are nan."""
    return np.nan_to_num(accuracy).max(1)


def place_of(accuracy: np.ndarray, level: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where along the strengths an accuracy is first reached.

    Args:
        accuracy: (R, S), 0 at the first strength.
        level: in 0..1, one for all or (R,).

    Returns:
        place (R,) in 0..S − 1, between two strengths by linear interpolation, and whether it is
        reached (R,); where it never is, the place of the best accuracy.
    """
    filled = np.nan_to_num(accuracy)
    level = np.broadcast_to(level, len(filled))
    enough = filled >= level[:, None] - 1e-9
    reached, after = enough.any(1), np.argmax(enough, axis=1)
    before = np.maximum(after - 1, 0)
    row = np.arange(len(filled))
    low, high = filled[row, before], filled[row, after]
    share = np.where(high > low, (level - low) / np.where(high > low, high - low, 1), 0.0)
    crossing = np.where(after == 0, 0.0, before + np.clip(share, 0, 1))
    return np.where(reached, crossing, filled.argmax(1)), reached


def value_at(curve: np.ndarray, place: np.ndarray) -> np.ndarray:
    """A curve (R, S) read at places (R,) by linear interpolation, (R,)."""
    before = np.clip(np.floor(place).astype(int), 0, curve.shape[1] - 1)
    after = np.minimum(before + 1, curve.shape[1] - 1)
    row, share = np.arange(len(curve)), place - before
    return curve[row, before] * (1 - share) + curve[row, after] * share


def summary(draws: np.ndarray, digits: int = 3) -> dict[str, float | list[float] | None]:
    """The figure (the first entry) with its 95 % interval over the others."""
    rest = draws[1:][~np.isnan(draws[1:])]
    interval = np.percentile(rest, [2.5, 97.5]).round(digits).tolist() if len(rest) else None
    value = None if np.isnan(draws[0]) else round(float(draws[0]), digits)
    return {"value": value, "interval": interval}


def outside(difference: np.ndarray) -> int:
    """+1 or −1 where the 95 % interval of a paired difference lies above or below 0, else 0."""
    interval = summary(difference, 6)["interval"]
    if interval is None:
        return 0
    return int(interval[0] > 0) - int(interval[1] < 0)


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation of x and y (n,); equal values share their mean rank."""
    return float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])


def _ranks(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    return ((x[:, None] > x).sum(1) + (x[:, None] >= x).sum(1) - 1) / 2


def wilson(hits: int, trials: int) -> list[float]:
    """95 % interval of a share that may well be 0 or 1, where resampling says nothing."""
    if not trials:
        return [0.0, 1.0]
    z, share = 1.96, hits / trials
    middle = share + z * z / (2 * trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    return [round(float(max(x / scale, 0.0)), 3) for x in (middle - spread, middle + spread)]
