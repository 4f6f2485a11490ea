"""Linear probes: a frozen network's feature in, the logit of one attribute out.

``beard_teacher`` on faceres-deep is a teacher, fitted to labels by eye. The others stand on the
judges' ``faceres``: they judge what no network at hand was trained for. `write_probes` fits all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from sdflow import weights
from sdflow.commands import Report
from sdflow.images import to_tensor
from sdflow.manifest import add_repository_entry, manifest_path
from sdflow.models import load_generator
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.training import bank
from sdflow.training.export import LICENCE
from sdflow.training.progress import Progress

# Weight decay of a probe; of 1e-5 ... 1e-2 the best on faces left out, for some two hundred faces
# labelled by eye and for thousands labelled by a network.
RIDGE = 1e-3
RIDGE_OF_BANK = 1e-4
FROM_BANK = ("hat", "long_hair", "bangs", "bald", "dark_hair")  # judged by BiSeNet's labels
FROM_HAND = ("beard", "glasses")  # judged by labels by eye
# How many shards of each kind judges are fitted to: 3,200 faces, and more gain little.
SHARDS = {"generated": 7, "balanced": 4, "real": 5}
_BATCH = 8


def fit_probe(features: Tensor, labels: Tensor, ridge: float = RIDGE) -> Tensor:
    """Logistic regression, both classes weighing the same.

    Args:
        features: (N, D); only their direction counts.
        labels: (N,) in 0..1; nan where nobody can tell, which is left out.
        ridge: weight of the squared coefficients.

    Returns:
        (D + 1,) float32: coefficients on the unit feature, then the intercept.
    """
    known = ~labels.isnan()
    x = F.pad(F.normalize(features[known], dim=1), (0, 1), value=1.0).double()  # (n, D + 1)
    y = labels[known].double()
    mean = x[:, :-1].mean(0)
    x[:, :-1] -= mean
    rare = (len(y) - y.sum()) / y.sum()  # what a positive weighs against a negative
    probe = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([probe], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        error = F.binary_cross_entropy_with_logits(x @ probe, y, pos_weight=rare)
        total = error + ridge * probe[:-1].square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    probe = probe.detach()
    probe[-1] -= mean @ probe[:-1]
    return probe.float()


def logits(probe: Tensor, features: Tensor) -> Tensor:
    """Logit (B,) of features (B, D) under a probe (D + 1,)."""
    probe = probe.to(features)
    return F.normalize(features, dim=1) @ probe[:-1] + probe[-1]


def apply_probe(name: str, features: Tensor) -> Tensor:
    """Logit (B,) of features (B, D) under a probe of ``weights/probes.safetensors``."""
    return logits(_stored()[name], features)


@cache  # once per process
def _stored() -> dict[str, Tensor]:
    return weights.load("probes")


def auc(scores: Tensor, positive: Tensor) -> float:
    """Area under the ROC curve of scores (N,) for a truth (N,) of bools."""
    ranks = scores.argsort().argsort().double() + 1
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def scores_left_out(
    features: Tensor, labels: Tensor, ridge: float = RIDGE, folds: int = 8
) -> Tensor:
    """Logits (N,) of probes that were not fitted to the face; nan where the label is nan."""
    known = (~labels.isnan()).nonzero()[:, 0]
    fold = torch.randperm(len(known), generator=torch.Generator().manual_seed(0)) % folds
    scores = torch.full_like(labels, torch.nan)
    for k in range(folds):
        fitted, left_out = known[fold != k], known[fold == k]
        probe = fit_probe(features[fitted], labels[fitted], ridge)
        scores[left_out] = logits(probe, features[left_out])
    return scores


def cross_validated(features: Tensor, labels: Tensor, folds: int = 8) -> float:
    """AUC of a probe on faces that it was not fitted to, nan labels left out."""
    known = ~labels.isnan()
    return auc(scores_left_out(features, labels, RIDGE, folds)[known], labels[known] > 0.5)


def fit_judge(features: Tensor, labels: Tensor, ridge: float = RIDGE) -> tuple[Tensor, Tensor]:
    """A probe whose decision threshold is 0, and the logits (N,) of faces left out.

    Classes that weigh the same make rare ones too frequent; the intercept is moved until as many
    faces left out are positive as labels are. Arguments as for `fit_probe`.
    """
    scores = scores_left_out(features, labels, ridge)
    known = ~labels.isnan()
    threshold = scores[known].double().quantile(1 - float((labels[known] > 0.5).double().mean()))
    probe = fit_probe(features, labels, ridge)
    probe[-1] -= threshold
    return probe, scores - threshold


def rate(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Figures of a judge: AUC, accuracy and balanced accuracy at 0, positive faces; nan left out.

    Args:
        scores: (N,) logits.
        labels: (N,) in 0..1, nan unknown; with both classes.
    """
    known = ~labels.isnan()
    called, truth = scores[known] >= 0, labels[known] >= 0.5
    hits = (called == truth).float()
    return {
        "auc": round(auc(scores[known], truth), 3),
        "accuracy": round(float(hits.mean()), 3),
        "balanced": round(float(hits[truth].mean() + hits[~truth].mean()) / 2, 3),
        "positive": int(truth.sum()),
        "faces": len(truth),
    }


def fit_teacher(codes: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """The beard's probe on faceres-deep, from faces labelled by eye, and its AUC on others.

    Args:
        codes: (N, 512), w of each face, truncated.
        labels: (N,) 1 with a beard, 0 without, nan where in doubt.
    """
    from sdflow.training.teachers import Teachers  # which applies this very probe

    teachers = Teachers()
    features = torch.cat([teachers.describe(image) for image in render_codes(codes)]).clone()
    return fit_probe(features, labels), cross_validated(features, labels)


def fit_judges(
    bank_folder: Path, hand_codes: Tensor, hand_labels: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, dict]]:
    """The probes on the judges' feature, with figures on faces that no probe was fitted to.

    Args:
        bank_folder: with labelled shards.
        hand_codes: (N, 512), w of faces labelled by eye.
        hand_labels: (N,) of each name in `FROM_HAND`, 1 with, 0 without, nan in doubt.

    Returns:
        The probes by name, and name → kind of held-out faces → figures as of `rate`.
    """
    from sdflow.evaluation.judges import describe  # which applies these very probes
    from sdflow.training.labels import missing_groups, read_labels

    def labelled(kind: str, held_out: bool = False) -> list[Path]:
        return [p for p in bank.shards(bank_folder, kind, held_out) if not missing_groups(p)]

    by_eye = torch.cat([describe(image) for image in render_codes(hand_codes)]).clone()
    fitted = [p for kind, n in SHARDS.items() for p in labelled(kind)[:n]]
    features = describe_shards(fitted)
    held_out = {"generated": labelled("generated", True), "real": labelled("real_held_out")}
    seen = {kind: describe_shards(paths) for kind, paths in held_out.items()}
    probes, figures = {}, {}
    for name in FROM_HAND:
        judge, left_out = fit_judge(by_eye, hand_labels[name])
        probes[f"{name}_judge"] = judge
        figures[f"{name}_judge"] = {"by_eye": rate(left_out, hand_labels[name])}
    for name in FROM_BANK:
        labels = read_labels(fitted, (name,))[:, 0]
        labels = torch.where(labels.isnan(), labels, (labels >= 0.5).float())
        probes[f"{name}_judge"] = fit_judge(features, labels, RIDGE_OF_BANK)[0]
        figures[f"{name}_judge"] = {}
    for name in FROM_HAND + FROM_BANK:
        attribute = "eyeglasses" if name == "glasses" else name
        for kind, paths in held_out.items():
            scores = logits(probes[f"{name}_judge"], seen[kind])
            truth = read_labels(paths, (attribute,))[:, 0]
            figures[f"{name}_judge"][kind] = rate(scores, truth)
    return probes, figures


def write_probes(bank_folder: Path, hand_labels: Path) -> Report:
    """Fits the beard's teacher and the judges; stores them as ``weights/probes.safetensors``.

    Args:
        bank_folder: with labelled shards.
        hand_labels: npz of ``w`` (N, 512) and labels by eye ``beard``, ``glasses`` (N,).
    """
    with np.load(hand_labels) as file:
        hand = {name: torch.from_numpy(file[name]) for name in ("w", *FROM_HAND)}
    teacher, teacher_auc = fit_teacher(hand["w"], hand["beard"])
    probes, figures = fit_judges(bank_folder, hand["w"], hand)
    probes["beard_teacher"] = teacher
    figures["beard_teacher"] = {"by_eye": {"auc": round(teacher_auc, 3)}}
    path = manifest_path().parent / "probes.safetensors"
    bank.write_whole(probes, path, {"figures": json.dumps(figures)})
    path.chmod(0o644)
    add_repository_entry("probes", [path], "training", LICENCE)
    return {"file": str(path), "figures": figures}


@torch.inference_mode()
def render_codes(codes: Tensor) -> Iterator[Tensor]:
    """The pictures (1, 3, 512, 512) of codes (N, 512), one w for all layers."""
    synthesis = FastSynthesis(load_generator())
    for w in codes:
        yield synthesis(w[None, None].repeat(1, 18, 1), 512).clamp(-1, 1)


def describe_shards(paths: list[Path]) -> Tensor:
    """The judges' feature (N, 1024) of the bank's pictures."""
    from sdflow.evaluation.judges import describe

    progress = Progress("described shards", len(paths))
    features = []
    for path in paths:
        pictures = [to_tensor(picture) for picture in bank.unpack_jpegs(load_file(path))]
        features += [describe(torch.cat(pictures[start : start + _BATCH]))
                     for start in range(0, len(pictures), _BATCH)]  # fmt: skip
        progress.advance()
    return torch.cat(features).clone()
