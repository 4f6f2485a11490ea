"""Step 4: semantics c and slider strengths -> c_target; z and c_target -> w_edited."""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sdflow.networks.cnf import FINE, Flow, Solver


class UnknownAttribute(ValueError):
    """An attribute that the loaded models don't know."""


class BadStrength(ValueError):
    """A strength that is not a number from -1 to 1."""


def parse_strengths(strengths: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """Checks what a caller asked for.

    Args:
        strengths: attribute name to strength.
        names: the attributes of the loaded models.

    Returns:
        The same attributes with plain floats in [-1, 1].

    Raises:
        UnknownAttribute: a name is not in `names`.
        BadStrength: a value is not a number (a bool is none), not finite, or outside [-1, 1].
    """
    if not isinstance(strengths, Mapping):
        raise BadStrength(
            f"Strengths are {reprlib.repr(strengths)}."
            f" Give a mapping such as {{'{names[0]}': 0.5}}."
        )
    checked = {}
    for name, strength in strengths.items():
        if name not in names:
            raise UnknownAttribute(
                f"Unknown attribute {reprlib.repr(name)}. Use one of: {', '.join(names)}."
            )
        is_number = isinstance(strength, numbers.Real) and not isinstance(strength, bool)
        if not is_number or not -1 <= strength <= 1:  # nan fails the comparison
            raise BadStrength(
                f"The strength of {name} is {reprlib.repr(strength)}."
                " Give a number from -1 to 1; 0 leaves the attribute as it is."
            )
        checked[name] = float(strength)
    return checked


def target_semantics(c: Tensor, strengths: Tensor, poles: Tensor) -> Tensor:
    """Moves c towards the poles: linear in the strength, 0 leaves c, +1 and -1 reach a pole.

    An attribute that is already at or beyond a pole stays where it is for strengths towards that
    pole, so that no strength moves it the wrong way.

    Args:
        c: semantics, (B, A).
        strengths: in [-1, 1], (B, A).
        poles: semantics at strength -1 and at +1, (A, 2).

    Returns:
        c_target, (B, A).

    Raises:
        ValueError: the shapes don't fit each other.
    """
    if strengths.shape != c.shape or poles.shape != (c.shape[1], 2):
        raise ValueError(
            f"Got strengths {tuple(strengths.shape)} and poles {tuple(poles.shape)}."
            f" Give {tuple(c.shape)} strengths and ({c.shape[1]}, 2) poles."
        )
    negative, positive = poles.to(c).unbind(1)  # (A,) each
    upwards = torch.sign(positive - negative)  # which way the positive pole lies
    pole = torch.where(strengths > 0, positive, negative)  # (B, A)
    ahead = torch.sign(strengths) * upwards * (pole - c) > 0  # is the pole still to be reached?
    return torch.lerp(c, torch.where(ahead, pole, c), strengths.abs().to(c))


@torch.no_grad()
def edit(
    flow: Flow,
    w: Tensor,
    z: Tensor,
    c: Tensor,
    c_target: Tensor,
    layers: Tensor | None = None,
    solver: Solver = FINE,
) -> Tensor:
    """w_edited = w + layers * (decode(z, c_target) - decode(z, c)).

    The difference of two decodings is added to w, rather than taking decode(z, c_target) itself,
    because both carry nearly the same round-trip error of the solver and it cancels: where
    c_target is c, both are the same numbers and w comes back exactly.

    Args:
        flow: in eval mode.
        w: latent codes, (B, L, 512).
        z: what `decompose` made of w under c, (B, L, 512).
        c: semantics of w, (B, A).
        c_target: semantics asked for, (B, A).
        layers: share of the edit for each of the L layers, (L,) in 0..1. Default: all of it.
        solver: give `decompose` the same.

    Returns:
        Edited codes, (B, L, 512).

    Raises:
        ValueError: layers is not (L,) in 0..1, or the shapes don't fit the flow.
    """
    change = flow.decode(z, c_target, solver) - flow.decode(z, c, solver)  # (B, L, 512)
    if layers is not None:
        if layers.shape != w.shape[1:2] or not bool(((layers >= 0) & (layers <= 1)).all()):
            raise ValueError(
                f"Got layers {layers.tolist()}. Give {w.shape[1]} numbers from 0 to 1."
            )
        change = layers.to(w).unsqueeze(1) * change
    return w + change
