"""Is it still the person, and can it still be edited? Inversions of people kept out of training.

Four stages of an inversion: feed-forward, as opened (a few steps), refined (many), tuned. Of each:
distances photo to inversion by two networks, error and structural similarity of the pictures,
time; and the target attributes edited to their other side at full strength, judged as the sweeps
are.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sdflow import invert, tuning
from sdflow.doubts import evidence
from sdflow.edit import edit, target_semantics
from sdflow.evaluation.judges import JUDGED, SAME_PERSON, distance, judge, positive
from sdflow.evaluation.protocol import TARGETS
from sdflow.images import to_tensor
from sdflow.models import ModelSet
from sdflow.networks.cnf import FINE
from sdflow.networks.fast_synthesis import Tuning

STAGES = ("feed-forward", "opened", "refined", "tuned")
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, finest first (Wang et al., 2003)
WINDOW, DEVIATION = 11, 1.5  # of its Gaussian, pixels
STABLE = (0.01**2, 0.03**2)  # its constants for values in 0..1


def judge_inversions(
    models: ModelSet, photo: Image.Image, stages: int, path: Path, edits: bool
) -> None:
    """Inverts a photo stage by stage and writes what the judges say as JSON, whole or not at all.

    Args:
        models: a loaded model set.
        photo: 512 px crop.
        stages: how many of `STAGES`.
        path: of the file.
        edits: whether the inversions are edited too.
    """
    target = to_tensor(photo, device=models.device)  # (1, 3, 512, 512)
    small = F.avg_pool2d(target, 2)
    before = judge(target)
    rows = []
    for name, w, tuned, seconds in invert_by_stages(models, target, stages):
        with torch.no_grad():
            image = models.synthesis(w, 512, tuned).clamp(-1, 1)
        verdict = judge(image)
        row: dict[str, object] = {"stage": name, "seconds": seconds}
        row |= {key: float(distance(verdict[key], before[key])[0]) for key in SAME_PERSON}
        pictures = F.avg_pool2d(image, 2), small
        row["l2"] = float((pictures[0] - pictures[1]).square().mean())
        row["ms_ssim"] = ms_ssim(*pictures)
        row["distance"], row["difference"] = evidence(models, small, image)
        if edits:
            row["edits"] = judge_edits(models, w, tuned, image, verdict)
        rows.append(row)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(rows))
    os.replace(temporary, path)


def invert_by_stages(
    models: ModelSet, photo: Tensor, stages: int
) -> Iterator[tuple[str, Tensor, Tuning | None, float]]:
    """Name, code, tuning and seconds of each stage; photo is (1, 3, 512, 512)."""
    crop = F.avg_pool2d(photo, 2)
    start = time.perf_counter()
    w = first = invert.encode(models, crop)
    encoded = time.perf_counter() - start
    yield STAGES[0], w, None, encoded
    for name, steps in zip(STAGES[1:3], (invert.STEPS, invert.REFINED), strict=True):
        if STAGES.index(name) < stages:
            start = time.perf_counter()
            w = invert.refine(models, crop, first, steps)
            refined = encoded + time.perf_counter() - start
            yield name, w, None, refined
    if stages > 3:
        start = time.perf_counter()
        tuned = tuning.tune(models, photo, w)
        tuned = {name: offset.float() for name, offset in tuned.items()}
        yield STAGES[3], w, tuned, refined + time.perf_counter() - start


@torch.no_grad()
def judge_edits(
    models: ModelSet, w: Tensor, tuned: Tuning | None, image: Tensor, verdict: Mapping
) -> dict[str, dict[str, float]]:
    """Target attribute → whether it flipped at full strength, the share of the other attributes
    that stayed on their side, and faceres' distance to the inversion."""
    c = models.estimator(F.avg_pool2d(image, 2))
    z = models.flow.encode(w, c, FINE)
    found = {}
    for name in TARGETS:
        was = bool(positive(verdict, name)[0])
        strengths = torch.zeros_like(c)
        strengths[0, models.attributes.index(name)] = -1 if was else 1
        c_target = target_semantics(c, strengths, models.poles)
        w_edited = edit(models.flow, w, z, c, c_target, models.gates, FINE)
        edited = judge(models.synthesis(w_edited, 512, tuned).clamp(-1, 1), identity=False)
        kept = [positive(edited, other)[0] == positive(verdict, other)[0]
                for other in JUDGED if other != name]  # fmt: skip
        found[name] = {
            "flipped": float(positive(edited, name)[0] != was),
            "kept": float(np.mean(kept)),
            "identity": float(distance(edited["faceres"], verdict["faceres"])[0]),
        }
    return found


def ms_ssim(first: Tensor, second: Tensor) -> float:
    """Multi-scale structural similarity of two pictures (1, 3, H, H) in [-1, 1], H from 176."""
    taps = torch.exp(-0.5 * ((torch.arange(WINDOW) - WINDOW // 2) / DEVIATION) ** 2)
    taps = taps / taps.sum()
    kernel = (taps[:, None] * taps).expand(3, 1, WINDOW, WINDOW).to(first)
    a, b = (first + 1) / 2, (second + 1) / 2
    product = 1.0
    for level, power in enumerate(SCALES):
        mean_a, mean_b, aa, bb, ab = (F.conv2d(x, kernel, groups=3)
                                      for x in (a, b, a * a, b * b, a * b))  # fmt: skip
        structure = (2 * (ab - mean_a * mean_b) + STABLE[1]) / (
            aa - mean_a**2 + bb - mean_b**2 + STABLE[1]
        )
        light = (2 * mean_a * mean_b + STABLE[0]) / (mean_a**2 + mean_b**2 + STABLE[0])
        last = level == len(SCALES) - 1
        product *= float((structure * light if last else structure).mean().clamp(min=0)) ** power
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return product


def summarise(paths: Sequence[Path]) -> dict[str, dict[str, object]]:
    """Stage → figures over its people: medians of the distances, shares below the same-person
    threshold, means of the rest; and what its edits lose against feed-forward on the same people.

    Args:
        paths: files of `judge_inversions`.
    """
    people = [{row["stage"]: row for row in json.loads(path.read_text())} for path in paths]
    report: dict[str, dict[str, object]] = {}
    for stage in STAGES:
        rows = [person[stage] for person in people if stage in person]
        if not rows:
            continue
        figures: dict[str, object] = {"people": len(rows)}
        for key, threshold in SAME_PERSON.items():
            values = np.array([row[key] for row in rows])
            figures[key] = round(float(np.median(values)), 3)
            figures[f"{key}_same"] = round(float((values <= threshold).mean()), 3)
        for key in ("l2", "ms_ssim"):
            figures[key] = round(float(np.mean([row[key] for row in rows])), 4)
        figures["seconds"] = round(float(np.median([row["seconds"] for row in rows])), 2)
        edited = [p for p in people if "edits" in p.get(stage, {})]
        if edited:
            means = {which: _edits(edited, which) for which in (STAGES[0], stage)}
            figures["edits"] = {"people": len(edited), **means[stage]}
            figures["lost"] = {key: round(means[STAGES[0]][key] - means[stage][key], 3)
                               for key in ("flipped", "kept")}  # fmt: skip
        report[stage] = figures
    return report


def _edits(people: Sequence[Mapping], stage: str) -> dict[str, float]:
    edits = [edit for person in people for edit in person[stage]["edits"].values()]
    return {key: round(float(np.mean([one[key] for one in edits])), 3)
            for key in ("flipped", "kept", "identity")}  # fmt: skip


def calibrate(paths: Sequence[Path]) -> tuple[float, float, float]:
    """Logistic regression behind `doubts.CALIBRATION`: does faceres see the same person, given
    the identity network's distance and the difference in the oval?"""
    rows = [row for path in paths for row in json.loads(path.read_text())]
    x = torch.tensor([[1.0, row["distance"], row["difference"]] for row in rows]).double()
    y = torch.tensor([float(row["faceres"] <= SAME_PERSON["faceres"]) for row in rows]).double()
    factors = torch.zeros(3, dtype=torch.double)
    for _ in range(50):  # Newton's method, with a little shrinkage
        p = (x @ factors).sigmoid()
        hessian = x.T @ (x * (p * (1 - p))[:, None]) + 1e-2 * torch.eye(3)
        factors = factors + torch.linalg.solve(hessian, x.T @ (y - p) - 1e-2 * factors)
    return tuple(round(value, 2) for value in factors.tolist())
