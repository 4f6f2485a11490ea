"""How well the parsing network agrees with its teacher, and finds occluders it never saw.

Intersection over union of all pixels of a set of faces together, for each class. The sets:
held-out generated faces, photos of people kept out of training, and both with occluders painted
over them, of the shapes of training and of shapes that were kept from it.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sdflow.networks.parsing import CLASSES, SIDE
from sdflow.training import bank
from sdflow.training.occluders import FAMILIES, OCCLUDER, UNSEEN
from sdflow.training.parsing import paint
from sdflow.training.parsing_labels import held_out_shards, read_maps

BATCH = 20
HEAD = "face or hair"


def count_pairs(predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Counts (8, 8) of pixels of each true class, rows, by the predicted one, columns."""
    pairs = true.long() * len(CLASSES) + predicted.long()
    return pairs.flatten().bincount(minlength=len(CLASSES) ** 2).view(len(CLASSES), -1)


def overlaps(counts: torch.Tensor) -> dict[str, float | None]:
    """Intersection over union of each class, of face and hair as one, and the classes' mean.

    A class that is not there has None and does not count in the mean. ``false occluder`` is the
    share of the person's visible pixels that pass for something in front of them.
    """

    def overlap(chosen: list[int]) -> float | None:
        both = counts[chosen][:, chosen].sum().item()
        either = counts[chosen].sum().item() + counts[:, chosen].sum().item() - both
        return both / either if counts[chosen].sum() else None

    found = {name: overlap([k]) for k, name in enumerate(CLASSES)}
    known = [value for value in found.values() if value is not None]
    head = overlap([CLASSES.index("face"), CLASSES.index("hair")])
    person = counts[1:OCCLUDER]  # rows of all that belongs to the person
    false = person[:, OCCLUDER].sum().item() / max(person.sum().item(), 1)
    return found | {HEAD: head, "mean": sum(known) / len(known), "false occluder": false}


@torch.inference_mode()
def agreement(
    network: nn.Module, crops: torch.Tensor, maps: torch.Tensor
) -> dict[str, float | None]:
    """`overlaps` of a network's classes of crops (N, 3, 256, 256) with maps (N, 256, 256)."""
    counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.long)
    for some, true in zip(crops.split(BATCH), maps.split(BATCH), strict=True):
        counts += count_pairs(network(some).argmax(1), true)
    return {name: value and round(value, 4) for name, value in overlaps(counts).items()}


def score_parsing(network: nn.Module, folder: Path, seed: int = 0) -> dict[str, dict]:
    """Scores on the bank's held-out shards, by kind; see this module's first lines."""
    scores: dict[str, dict] = {}
    for kind in ("generated", "real_held_out"):
        shards = [p for p in held_out_shards(folder) if p.name.startswith(f"{kind}-")]
        if not shards:
            continue
        maps = read_maps(shards)
        crops = bank.read_arrays(shards, ("image",))["image"].float() / 127.5 - 1
        scores[kind] = {"faces": len(crops), **agreement(network, crops, maps)}
        once = np.ones(len(crops), dtype=int)
        for what, families in (("occluded", FAMILIES), ("occluded, unseen shapes", UNSEEN)):
            hidden = paint(crops, maps, once, np.random.default_rng(seed), families)
            scores[f"{kind}, {what}"] = {"faces": len(crops), **agreement(network, *hidden)}
    return scores


@torch.inference_mode()
def milliseconds(network: nn.Module, repeats: int = 20) -> dict[str, float | int]:
    """Median time of one crop, on as many threads as PyTorch has now."""
    crop, times = torch.zeros(1, 3, SIDE, SIDE), []
    for _ in range(repeats + 3):  # the first ones allocate
        start = time.perf_counter()
        network(crop)
        times.append(time.perf_counter() - start)
    median = float(np.median(times[3:])) * 1000
    return {"milliseconds": round(median, 1), "threads": torch.get_num_threads()}
