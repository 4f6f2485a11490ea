"""Is it still the person? Distance photo ↔ inversion on held-out people of ``lfw-dev``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sdflow.evaluation.judges import SAME_PERSON, distance, judge
from sdflow.images import to_tensor
from sdflow.invert import STEPS, invert
from sdflow.models import ModelSet
from sdflow.training.bank import unpack_jpegs
from sdflow.training.progress import Progress


def measure_likeness(
    models: ModelSet, bank: Path, people: int = 200, steps: tuple[int, ...] = (0, STEPS)
) -> dict[str, dict]:
    """Inverts the first photo of each held-out person with each number of refinement steps.

    Args:
        models: a loaded model set.
        bank: folder with the ``real_held_out`` shards.
        people: how many, at most.
        steps: of refinement; 0 is the encoder alone.

    Returns:
        steps → median ``dlib`` and ``faceres`` distance with the share below the same-person
        threshold of each, and the mean squared error at 256 px ``l2``.
    """
    photos = _first_photos(bank, people)
    progress = Progress("inversions", len(photos) * len(steps))
    rows: dict[int, list[tuple[float, float, float]]] = {count: [] for count in steps}
    for photo in photos:
        crop, large = to_tensor(photo, 256), to_tensor(photo)  # (1, 3, 256, 256), (1, 3, 512, 512)
        before = judge(large)
        for count in steps:
            with torch.no_grad():
                w = invert(models, crop, count)
                image = models.synthesis(w, 512).clamp(-1, 1)
            after = judge(image)
            l2 = (torch.nn.functional.avg_pool2d(image, 2) - crop).square().mean()
            gaps = [float(distance(after[key], before[key])[0]) for key in ("dlib", "faceres")]
            rows[count].append((*gaps, float(l2)))
            progress.advance()
    report = {}
    for count, values in rows.items():
        dlib, faceres, l2 = np.array(values).T
        report[str(count)] = {
            "people": len(values),
            "dlib": round(float(np.median(dlib)), 3),
            "dlib_same": round(float((dlib <= SAME_PERSON["dlib"]).mean()), 3),
            "faceres": round(float(np.median(faceres)), 3),
            "faceres_same": round(float((faceres <= SAME_PERSON["faceres"]).mean()), 3),
            "l2": round(float(l2.mean()), 4),
        }
    return report


def _first_photos(bank: Path, people: int) -> list:
    """The 512 px crop of each person's first photo."""
    photos, seen = [], set()
    for path in sorted(bank.glob("real_held_out-*.safetensors")):
        with safe_open(path, "pt") as file:
            names = file.metadata()["photos"].split()
        for name, picture in zip(names, unpack_jpegs(load_file(path)), strict=True):
            person = name.split("_")[0]
            if person not in seen and len(seen) < people:
                seen.add(person)
                photos.append(picture)
    return photos
