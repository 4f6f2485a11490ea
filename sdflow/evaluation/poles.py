"""Where an edit ends: at the nearest poles that flip the most faces of the training's bank.

One rule for our own edits and all baselines, so that none is weak because its ends were set with
less care: straight directions choose among scores, flows among values of c.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow.evaluation.judges import judge, positive
from sdflow.evaluation.methods import FlowMethod, Method
from sdflow.evaluation.populations import Face, render
from sdflow.models import ModelSet

TUNED_ON = 20  # faces a side, at most
ENDS = (0.05, -0.15, -0.4, -0.8)  # c at the negative pole, nearest first; 1 - c at the positive
SIDES = (-1.0, 1.0)


@torch.inference_mode()
def nearest_best(
    models: ModelSet, attribute: str, sign: float, tried: Sequence[Method], w: Tensor,
    label: Tensor,
) -> tuple[int, list[float]]:  # fmt: skip
    """The first of some methods that flips the most faces of the bank at full strength.

    Faces come from the other side, by their labels; one that the judges see on the target's side
    already is left out.

    Args:
        models: renders the edits.
        attribute: to flip.
        sign: towards which side, -1 or 1.
        tried: from the nearest pole to the farthest.
        w: codes of the bank, (N, 512).
        label: the attribute's labels, (N,), nan where unknown.

    Returns:
        which of the methods, and the flipped share of each.
    """
    start = torch.nonzero(~label.isnan() & ((label > 0.5) == (sign < 0))).flatten()
    start = start[torch.randperm(len(start), generator=torch.Generator().manual_seed(1))]
    reached, faces = np.zeros(len(tried)), 0
    for row in start[:TUNED_ON].tolist():
        code = w[row].repeat(1, 18, 1)
        image = render(models, code)
        if positive(judge(image, identity=False), attribute)[0] == (sign > 0):
            continue
        face = Face(code, F.avg_pool2d(image, 2))
        codes = torch.cat([method.edit(face, [{attribute: sign}]) for method in tried])
        verdict = judge(render(models, codes), identity=False)
        reached += positive(verdict, attribute) == (sign > 0)
        faces += 1
    return int(reached.argmax()), (reached / max(faces, 1)).round(3).tolist()


def tune_flow(
    models: ModelSet, method: FlowMethod, attribute: str, w: Tensor, label: Tensor
) -> tuple[tuple[float, float], list[list[float]]]:
    """One attribute's poles for a flow, and the share that each of `ENDS` flipped, by side.

    Args:
        models, attribute, w, label: see `nearest_best`.
        method: whose c is moved.
    """
    tried = [method.with_poles({attribute: (end, 1 - end)}) for end in ENDS]
    poles, shares = [], []
    for sign in SIDES:
        best, share = nearest_best(models, attribute, sign, tried, w, label)
        poles.append(ENDS[best] if sign < 0 else 1 - ENDS[best])
        shares.append(share)
    return (poles[0], poles[1]), shares
