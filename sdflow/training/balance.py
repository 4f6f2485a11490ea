"""Draws codes of faces that are rare among random ones: with glasses, old, turned, serious."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sdflow.training.bank import read_arrays, shards
from sdflow.training.labels import label_path, read_labels

DRAWN = 12  # random codes drawn for each that is kept
RIDGE = 10.0
# (attribute, +1 for high values and -1 for low ones, share of the balanced faces)
RARE = (("eyeglasses", 1, 0.5), ("young", -1, 0.2), ("yaw", 1, 0.1), ("yaw", -1, 0.1),
        ("smiling", -1, 0.1))  # fmt: skip


def balanced_sampler(
    folder: Path, generator: torch.nn.Module
) -> Callable[[np.random.Generator, int], torch.Tensor]:
    """A sampler of rare faces, from a ridge regression of the labels on w over the bank so far.

    Args:
        folder: the bank; its labelled ``generated`` shards are read.
        generator: owner of ``mapping`` and ``truncate``.
    """
    labelled = [p for p in shards(folder, "generated") if label_path(p).exists()]
    names = tuple(dict.fromkeys(name for name, _, _ in RARE))
    w = read_arrays(labelled, ("w",))["w"]
    labels = read_labels(labelled, names)
    single = (w[:, 0] == w[:, -1]).all(1)  # faces of one w: their label belongs to that w
    x, y = w[single, 0] - generator.w_mean, labels[single] - labels[single].mean(0)
    x = torch.nn.functional.pad(x, (0, 1), value=1.0)
    directions = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(513), x.T @ y)[:-1]  # (512, N)

    def sample(rng: np.random.Generator, n: int) -> torch.Tensor:
        z = torch.from_numpy(rng.standard_normal((DRAWN * n, 512)).astype(np.float32))
        psi = torch.from_numpy(rng.uniform(0.7, 1.0, (DRAWN * n, 1)).astype(np.float32))
        w = generator.w_mean + psi * (generator.mapping(z) - generator.w_mean)
        scores = (w - generator.w_mean) @ directions  # (12 n, N)
        kept: list[int] = []
        for name, sign, share in RARE:
            order = (sign * scores[:, names.index(name)]).argsort(descending=True).tolist()
            new = [i for i in order if i not in set(kept)]
            kept += new[: min(round(share * n), n - len(kept))]
        return w[kept][:, None].repeat(1, 18, 1)  # (n, 18, 512)

    return sample
