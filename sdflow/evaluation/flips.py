"""Do the sliders work? Flips of held-out generated faces, judged; scores over the strength.

A face counts as flipped when an independent judge, who saw it on one side of the threshold, sees
the edit at strength +1 or −1 on the other. Yaw has no sides: its turn is stated in degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sdflow.edit import edit, target_semantics
from sdflow.evaluation.judges import THRESHOLDS, distance, judge
from sdflow.models import ModelSet
from sdflow.networks.cnf import FINE
from sdflow.training.progress import Progress

STRENGTHS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
PSI = 0.7
# attribute → the judge's measure, and whether it rises (+1) or falls (−1) with the strength
JUDGED = {
    "eyeglasses": ("glasses", 1),
    "gender": ("gender", 1),
    "young": ("age", -1),
    "smiling": ("smile", 1),
    "yaw": ("yaw", 1),
}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Faces that no training saw: codes (N, 18, 512), z, c (N, A) and the judges' verdicts."""

    w: torch.Tensor
    z: torch.Tensor
    c: torch.Tensor
    verdicts: dict[str, np.ndarray]


@torch.inference_mode()
def draw_faces(models: ModelSet, faces: int, seed: int = 2**40) -> HeldOut:
    """Draws, decomposes and judges faces at psi 0.7; the seed is none of the bank's."""
    noise = np.random.default_rng(seed).standard_normal((faces, 512)).astype(np.float32)
    codes = models.generator.mapping(torch.from_numpy(noise))
    codes = models.generator.truncate(codes, PSI)[:, None].repeat(1, 18, 1)  # (N, 18, 512)
    progress = Progress("held-out faces", faces)
    rows = []
    for w in codes.split(1):
        image = models.synthesis(w, 512).clamp(-1, 1)
        c = models.estimator(torch.nn.functional.avg_pool2d(image, 2))
        rows.append((w, models.flow.encode(w, c, FINE), c, judge(image)))
        progress.advance()
    w, z, c = (torch.cat([row[i] for row in rows]) for i in range(3))
    verdicts = {name: np.concatenate([row[3][name] for row in rows]) for name in rows[0][3]}
    return HeldOut(w, z, c, verdicts)


@torch.inference_mode()
def judge_edit(
    models: ModelSet, held_out: HeldOut, row: int, strengths: dict[str, float], identity: bool
) -> dict[str, np.ndarray]:
    """Verdict on one edited face."""
    w, z, c = (tensor[row : row + 1] for tensor in (held_out.w, held_out.z, held_out.c))
    moved = torch.tensor([[strengths.get(name, 0.0) for name in models.attributes]])
    c_target = target_semantics(c, moved, models.poles)
    image = models.synthesis(edit(models.flow, w, z, c, c_target), 512)
    return judge(image.clamp(-1, 1), identity)


def measure_flips(models: ModelSet, held_out: HeldOut, most: int = 100) -> dict[str, dict]:
    """Flips every attribute both ways, on at most ``most`` faces each.

    Returns:
        attribute → ``to_positive`` and ``to_negative``, each with the faces judged, the share
        ``flipped`` (yaw: ``degrees``, the median turn), ``kept``: the share of the other
        attributes' judgements left as they were, and dlib's median ``distance`` to the original.
    """
    report: dict[str, dict] = {}
    sides = {name: _side(held_out.verdicts, name) for name in models.attributes}
    progress = Progress("flips", 2 * most * len(models.attributes))
    for name in models.attributes:
        for sign, direction in ((1.0, "to_positive"), (-1.0, "to_negative")):
            rows = np.flatnonzero(sides[name] != (sign > 0))[:most]
            rows = np.arange(len(sides[name]))[:most] if name == "yaw" else rows
            flipped, kept, distances = [], [], []
            for row in rows:
                verdict = judge_edit(models, held_out, int(row), {name: sign}, identity=True)
                before = {key: value[row] for key, value in held_out.verdicts.items()}
                if name == "yaw":
                    flipped.append(float(verdict["yaw"][0] - before["yaw"]))
                else:
                    flipped.append(bool(_side(verdict, name)[0] != sides[name][row]))
                kept += [_side(verdict, other)[0] == sides[other][row]
                         for other in models.attributes if other not in (name, "yaw")]  # fmt: skip
                distances.append(float(distance(verdict["dlib"][0], before["dlib"])))
                progress.advance()
            figures = {"faces": len(rows)}
            if len(rows):
                what, mean = ("degrees", np.median) if name == "yaw" else ("flipped", np.mean)
                figures |= {
                    what: round(float(mean(flipped)), 3),
                    "kept": round(float(np.mean(kept)), 3),
                    "distance": round(float(np.median(distances)), 3),
                }
            report.setdefault(name, {})[direction] = figures
    return report


def measure_monotony(models: ModelSet, held_out: HeldOut, faces: int = 50) -> dict[str, dict]:
    """The judge's mean score over nine strengths, and Spearman's correlation with the strength."""
    report = {}
    progress = Progress("strengths", faces * len(models.attributes) * len(STRENGTHS))
    for name in models.attributes:
        key, sign = JUDGED[name]
        means = []
        for strength in STRENGTHS:
            scores = []
            for row in range(faces):
                verdict = judge_edit(models, held_out, row, {name: strength}, identity=False)
                scores.append(sign * float(verdict[key][0]))
                progress.advance()
            means.append(float(np.mean(scores)))
        ranks = np.argsort(np.argsort(means))
        rho = float(np.corrcoef(ranks, np.arange(len(means)))[0, 1])
        report[name] = {"spearman": round(rho, 3), "means": [round(m, 3) for m in means]}
    return report


def _side(verdicts: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Whether each face is on the attribute's positive side, (N,)."""
    key, sign = JUDGED[name]
    above = np.asarray(verdicts[key]) >= THRESHOLDS[key]
    return above if sign > 0 else ~above
