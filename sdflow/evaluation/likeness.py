"""Is it still the person? Distance photo ↔ inversion on held-out people of ``lfw-dev``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from PIL import Image

from sdflow.evaluation.judges import SAME_PERSON, distance, judge
from sdflow.images import to_tensor
from sdflow.invert import STEPS
from sdflow.models import ModelSet


@torch.inference_mode()
def judge_inversions(
    models: ModelSet, photos: Sequence[Image.Image], refined: torch.Tensor, path: Path
) -> None:
    """Compares photos with their inversions, by the encoder alone and refined.

    Args:
        models: a loaded model set.
        photos: 512 px crops.
        refined: their codes by `sdflow.invert.invert` at its default steps, (N, 18, 512).
        path: parquet file: ``steps``, ``dlib`` and ``faceres`` distances, and the mean squared
            error at 256 px ``l2``.
    """
    rows = []
    for photo, code in zip(photos, refined.split(1), strict=True):
        crop = to_tensor(photo, 256).to(models.device)  # (1, 3, 256, 256)
        before = judge(to_tensor(photo))
        for steps, w in ((0, models.encoder(crop)), (STEPS, code.to(models.device))):
            image = models.synthesis(w, 512).clamp(-1, 1)
            after = judge(image)
            gaps = {key: float(distance(after[key], before[key])[0]) for key in SAME_PERSON}
            l2 = float((F.avg_pool2d(image, 2) - crop).square().mean())
            rows.append({"steps": steps, "l2": l2, **gaps})
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(pa.Table.from_pylist(rows), temporary)
    os.replace(temporary, path)


def summarise(paths: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Steps of refinement → people, median distances and shares below the same-person threshold.

    Args:
        paths: files of `judge_inversions`.
    """
    table = pa.concat_tables([pq.read_table(path) for path in paths])
    columns = {name: table[name].to_numpy() for name in table.column_names}
    report = {}
    for steps in np.unique(columns["steps"]):
        here = {name: values[columns["steps"] == steps] for name, values in columns.items()}
        figures = {"people": len(here["l2"]), "l2": round(float(here["l2"].mean()), 4)}
        for key, threshold in SAME_PERSON.items():
            figures[key] = round(float(np.median(here[key])), 3)
            figures[f"{key}_same"] = round(float((here[key] <= threshold).mean()), 3)
        report[str(steps)] = figures
    return report
