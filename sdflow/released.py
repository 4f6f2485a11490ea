"""What SDFlow's released models bring of their own: the readout of CelebA's forty attributes, and
the editing of the original demo (reference: its editor; targets follow from classifier bits)."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sdflow.models import ModelSet
from sdflow.networks.cnf import ADAPTIVE, Solver
from sdflow.networks.resnet import predictions
from sdflow.selection import CELEBA

CELEBA_40 = tuple(
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee "
    "Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes "
    "No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling "
    "Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young".split()
)
COLUMNS = {row: CELEBA_40.index(name) for name, row in CELEBA.items()}  # of the classifier's bits
NEEDED = (
    "This needs the released classifier, which is not on this machine. README.md says how to "
    "fetch and convert it."
)


@torch.no_grad()
def classify(models: ModelSet, crop: torch.Tensor) -> dict[str, float]:
    """CelebA's attributes of a face, each with its probability, and ``age_group``, 0 to 6.

    Args:
        models: with a classifier.
        crop: aligned face (1, 3, 256, 256) in [-1, 1].

    Raises:
        ValueError: they have none.
    """
    logits = _logits(models, crop)[0]
    sure = torch.sigmoid(logits[: len(CELEBA_40)]).tolist()
    age = int(predictions(logits[None])[0, -1])
    return dict(zip(CELEBA_40, sure, strict=True)) | {"age_group": age}


@torch.no_grad()
def edit_as_original(
    models: ModelSet,
    w: torch.Tensor,
    crop: torch.Tensor,
    scales: Mapping[str, float],
    solver: Solver = ADAPTIVE,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The original editor on one face; it edits one attribute, this takes any number.

    Args:
        models: with a classifier.
        w: code of the face, (1, 18, 512).
        crop: the face itself (1, 3, 256, 256), off which bits and semantics are read.
        scales: attribute → scale: -1 keeps what the classifier says of it, 0 is its opposite,
            above 0 beyond; the demo's strength s in 0..1 is the scale 1.4 s - 1.2.
        solver: the original's own by default.

    Returns:
        The edited code, c and c_target.

    Raises:
        ValueError: no classifier, or an attribute that it does not know.
    """
    bits = predictions(_logits(models, crop))  # (1, 41)
    c = models.estimator(crop)  # (1, A)
    c_target = original_target(c, bits, scales, models.attributes)
    # The whole code goes through the flow, round-trip error and all; ours adds a difference to w.
    z = models.flow.encode(w, c, solver)
    return models.flow.decode(z, c_target, solver), c, c_target


def original_target(
    c: torch.Tensor, bits: torch.Tensor, scales: Mapping[str, float], attributes: tuple[str, ...]
) -> torch.Tensor:
    """c (B, A) with the edited columns replaced, unclamped: -scale where the bit is 1, 1 + scale
    where it is 0.

    Args:
        c: the estimator's values.
        bits: of the classifier, (B, 41), exactly 0 or 1.
        scales: attribute → scale.
        attributes: names of c's columns.

    Raises:
        ValueError: the classifier does not know an attribute.
    """
    c_target = c.clone()
    for name, scale in scales.items():
        if name not in COLUMNS:
            raise ValueError(
                f"The original's editing does not know {name!r}. Choose from: "
                f"{', '.join(row for row in COLUMNS if row in attributes)}."
            )
        bit = bits[:, COLUMNS[name]]
        target = torch.where(bit == 1, -scale, torch.where(bit == 0, 1 + scale, bit))
        c_target[:, attributes.index(name)] = target.to(c)
    return c_target


def _logits(models: ModelSet, crop: torch.Tensor) -> torch.Tensor:
    if models.classifier is None:
        raise ValueError(NEEDED)
    return models.classifier(crop)
