"""Linear baselines: codes with the teachers' labels in, straight directions of W out.

As InterFaceGAN (arXiv 2005.09635) does it: the normal of a linear boundary is an attribute's
direction; *projected*, it is made orthogonal to the normals of all other attributes. The boundary
is a logistic regression on the bank's faces of one w, its ridge chosen by cross-validation. How
far the poles lie is tuned on faces of the bank, per attribute and side: the nearest one at which
the judges see the most faces flipped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdflow.evaluation.methods import Direction, DirectionMethod
from sdflow.evaluation.poles import SIDES, nearest_best
from sdflow.models import ModelSet
from sdflow.training.bank import WITH_CODES, read_arrays
from sdflow.training.labels import labelled_shards, read_labels
from sdflow.training.probes import auc

PUBLISHED, LINEAR, PROJECTED = "published", "linear", "projected"
OUTSIDE = {"smiling": "smile", "young": "age", "yaw": "pose"}  # names in e4e-directions.npz
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 3
REACHES = (1.5, 2.5, 3.5, 5.0, 7.0, 10.0)  # deviations of the bank's scores, from their mean


def bank_codes(bank: Path, attributes: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Codes (N, 512) of the training faces of one w, and their labels (N, A); nan: unknown.

    All kinds of faces that our own training sees.

    Raises:
        ValueError: there are no labelled faces.
    """
    paths = [path for kind in WITH_CODES for path in labelled_shards(bank, kind)]
    if not paths:
        raise ValueError(f"No labelled faces in {bank}. Run the training's bank and labels first.")
    w, labels = read_arrays(paths, ("w",))["w"], read_labels(paths, attributes)
    single = (w == w[:, :1]).flatten(1).all(1)
    return w[single, 0], labels[single]


def fit_boundary(w: Tensor, label: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Unit normal (512,) of a logistic boundary, and its ridge with the cross-validated AUC.

    Args:
        w: (N, 512).
        label: (N,) in 0..1, nan where unknown.
    """
    known = ~label.isnan()
    truth = label[known] > 0.5
    scale = w.std(0)
    x = ((w[known] - w.mean(0)) / scale).double()
    fold = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)) % FOLDS
    scores = {}
    for ridge in RIDGES:
        out = torch.zeros(len(x), dtype=torch.float64)
        for k in range(FOLDS):
            out[fold == k] = x[fold == k] @ _logistic(x[fold != k], truth[fold != k], ridge)
        scores[ridge] = auc(out, truth)
    best = max(scores, key=scores.__getitem__)
    normal = _logistic(x, truth, best).float() / scale
    return F.normalize(normal, dim=0), {"ridge": best, "auc": round(scores[best], 4)}


def _logistic(x: Tensor, truth: Tensor, ridge: float) -> Tensor:
    """Coefficients (D,) on x (N, D); both classes weigh the same."""
    y = truth.double()
    rare = (len(y) - y.sum()) / y.sum().clamp(min=1)
    weight = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = x @ weight[:-1] + weight[-1]
        error = F.binary_cross_entropy_with_logits(logits, y, pos_weight=rare)
        total = error + ridge * weight[:-1].square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    return weight.detach()[:-1]


def project_out(normals: Tensor, index: int) -> Tensor:
    """The part of one of the normals (A, 512) that no other shares, raising its own score by 1."""
    others = normals[[i for i in range(len(normals)) if i != index]]
    own = normals[index]
    way = own
    if len(others):
        basis = torch.linalg.qr(others.T.double()).Q  # (512, A - 1)
        way = own - (basis @ (basis.T @ own.double())).float()
    return way / (way @ own)


def published_normal(path: Path, attribute: str, w: Tensor, label: Tensor) -> Tensor:
    """A direction (512,) of an npz file, turned so that the label (N,) rises along it."""
    with np.load(path) as stored:
        normal = F.normalize(torch.from_numpy(stored[OUTSIDE[attribute]]).float(), dim=0)
    known = ~label.isnan()
    return normal if auc((w @ normal)[known], label[known] > 0.5) >= 0.5 else -normal


def tune_poles(
    models: ModelSet, attribute: str, normal: Tensor, way: Tensor, w: Tensor, label: Tensor
) -> tuple[Direction, list[list[float]]]:
    """Sets the poles where flips saturate on faces of the bank; also each side's shares by reach.

    Args:
        models: renders the edits.
        attribute: judged.
        normal: (512,).
        way: (512,).
        w: codes of the bank, (N, 512).
        label: the attribute's labels, (N,), nan where unknown.
    """
    scores = w @ normal
    middle, spread = float(scores.mean()), float(scores.std())
    poles, shares = [], []
    for sign in SIDES:
        ends = [middle + sign * reach * spread for reach in REACHES]
        tried = [DirectionMethod("", {attribute: Direction(normal, way, (end, end))})
                 for end in ends]  # fmt: skip
        best, share = nearest_best(models, attribute, sign, tried, w, label)
        poles.append(ends[best])
        shares.append(share)
    return Direction(normal, way, (poles[0], poles[1])), shares


def save_direction(direction: Direction, path: Path) -> None:
    """Writes one direction as safetensors."""
    temporary = path.with_suffix(".tmp")
    poles = torch.tensor(direction.poles, dtype=torch.float64)
    tensors = {"normal": direction.normal, "way": direction.way, "poles": poles}
    save_file({key: value.clone().contiguous() for key, value in tensors.items()}, temporary)
    temporary.replace(path)


def load_direction(path: Path) -> Direction:
    """Reads what `save_direction` wrote."""
    stored = load_file(path)
    negative, positive_pole = stored["poles"].tolist()
    return Direction(stored["normal"], stored["way"], (negative, positive_pole))
