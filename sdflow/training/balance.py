"""Draws codes of faces that are rare among random ones: found by labels, or made by edits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sdflow.models import load_flow
from sdflow.networks.cnf import QUICK
from sdflow.training.bank import read_arrays
from sdflow.training.labels import labelled_shards, read_labels

DRAWN = 12  # random codes drawn for each that is kept
RIDGE = 10.0
MOST_EDITED = 4  # attributes of a face that an edit moves
ENDS = (-0.1, 1.1)  # a little beyond, since a first flow does not reach all that it is asked for
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
    labelled = labelled_shards(folder, "generated")
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


def edited_sampler(
    folder: Path, draft: Path
) -> Callable[[np.random.Generator, int], torch.Tensor]:
    """A sampler of faces that nature's correlations hide: women with beards, bald children.

    Faces of the bank are moved by a flow of a first, short training: one to four attributes, each
    to one of its ends, both ends as often. What came of it the teachers say.

    Args:
        folder: the bank; its labelled ``generated`` and ``balanced`` shards are read.
        draft: folder of the variant that holds the flow.
    """
    flow, settings = load_flow(folder=draft)
    sources = labelled_shards(folder, "generated") + labelled_shards(folder, "balanced")
    codes = read_arrays(sources, ("w",))["w"]
    labels = read_labels(sources, tuple(settings["attributes"])).nan_to_num(0.5)
    attributes = labels.shape[1]

    @torch.no_grad()
    def sample(rng: np.random.Generator, n: int) -> torch.Tensor:
        rows = torch.from_numpy(rng.integers(len(codes), size=n))
        w, c = codes[rows], labels[rows]
        c_target = c.clone()
        for row in c_target:
            moved = rng.permutation(attributes)[: rng.integers(1, MOST_EDITED + 1)]
            row[moved] = torch.from_numpy(rng.choice(ENDS, len(moved)).astype(np.float32))
        z = flow.encode(w, c, QUICK)
        return w + flow.decode(z, c_target, QUICK) - flow.decode(z, c, QUICK)  # (n, 18, 512)

    return sample
