"""The labelled bank in memory, and how faces are drawn from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sdflow.training import bank
from sdflow.training.degrade import degrade
from sdflow.training.labels import read_labels


class LabelledFaces:
    """Crops with labels, generated or real; codes of the generated ones."""

    def __init__(self, folder: Path, attributes: tuple[str, ...], crops: bool) -> None:
        self.attributes = attributes
        drawn = [p for kind in bank.WITH_CODES for p in bank.shards(folder, kind)]
        photos = sorted(folder.glob("real-*.safetensors"))
        self.codes = bank.read_arrays(drawn, ("w",))["w"]  # (N, 18, 512)
        known = read_labels(drawn, attributes)  # (N, A)
        self.labels = torch.cat([known, read_labels(photos, attributes)])  # (N + M, A)
        self.evenly = even_weights(self.labels)  # for every picture
        self.codes_evenly = even_weights(known)  # for pictures with codes, which come first
        if crops:
            self.images = bank.read_arrays([*drawn, *photos], ("image",))["image"]
        single = (self.codes[:, 0] == self.codes[:, -1]).all(1)
        self.single = self.codes[single, 0]  # (S, 512): faces of one w
        self.single_labels = known[single]
        self.single_evenly = even_weights(self.single_labels)

    def crops(self, rows: torch.Tensor) -> torch.Tensor:
        """Pictures (n, 3, 256, 256) in [-1, 1]."""
        return self.images[rows].float().div_(127.5).sub_(1)

    def degraded(self, rng: np.random.Generator, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """n crops as photos are, some mirrored, and their labels (n, A)."""
        rows = torch.from_numpy(rng.choice(len(self.evenly), n, p=self.evenly))
        crop, target = degrade(self.crops(rows), rng), self.labels[rows].clone()
        mirrored = torch.from_numpy(rng.random(n) < 0.5)
        crop[mirrored] = crop[mirrored].flip(3)
        if "yaw" in self.attributes:  # a mirror turns the head the other way
            column = self.attributes.index("yaw")
            target[mirrored, column] = 1 - target[mirrored, column]
        return crop, target


def even_weights(labels: torch.Tensor, bins: int = 5, floor: float = 0.3) -> np.ndarray:
    """Probability of drawing each face (N,): rare values of any attribute come more often.

    Each attribute's values are counted in bins; a face weighs the mean, over attributes, of one
    over its bin's count, mixed with a uniform share ``floor``.
    """
    binned = (labels.nan_to_num(0.5).clamp(0, 1) * bins).long().clamp(max=bins - 1)  # (N, A)
    weights = torch.zeros(len(labels), dtype=torch.float64)
    for column in binned.T:
        counts = column.bincount(minlength=bins).clamp(min=1)
        weights += 1 / counts[column].double()
    weights = floor / len(labels) + (1 - floor) * weights / weights.sum()
    return (weights / weights.sum()).numpy()
