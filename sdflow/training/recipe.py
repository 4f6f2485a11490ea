"""What one training of estimator and flow optimises: our method, its ablations, a baseline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Weights of the losses, and what the flow is conditioned on.

    Attributes:
        kd: semantics against the teachers' labels, a mean over attributes like mi.
        nll: nats for each element of w.
        mi: semantics read again from the edited face against those asked for.
        reg: edited code against the code.
        identity: squared distance of dlib's descriptors, face against edited face.
        gates: weight of an attribute's mean gate: a layer that it need not move, it shall not.
        gated: whether each attribute learns which layers it moves; without, it moves all.
        labels: the condition is the teachers' labels instead of the estimator's reading.
        joint: whether the joint stage is run at all.
    """

    kd: float = 30.0
    nll: float = 1.0
    mi: float = 10.0
    reg: float = 0.5
    identity: float = 0.5
    gates: float = 0.1
    gated: bool = True
    labels: bool = False
    joint: bool = True


RECIPES: dict[str, Recipe] = {
    "ours": Recipe(),
    "draft": Recipe(gated=False, joint=False),  # draws the bank's edited faces
    "paper": Recipe(identity=0.0, gated=False),  # its four losses, every layer moves
    "no_mi": Recipe(mi=0.0, identity=0.0, gated=False),  # "paper" without mi
    # StyleFlow (arXiv 2008.02401): a flow under labels; no estimator, likelihood alone
    "styleflow": Recipe(mi=0.0, reg=0.0, identity=0.0, gated=False, labels=True, joint=False),
}
