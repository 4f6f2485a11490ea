"""Step 4: semantics c and slider strengths -> c_target; z and c_target -> w_edited."""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow.networks.cnf import FINE, Flow, Solver

MAPPINGS = POLES, ORIGINAL = "poles", "original"  # from numbers to semantics, see `Editor.edit`
LEAST = {POLES: -1, ORIGINAL: -3}  # of an attribute; the most is 1


class UnknownAttribute(ValueError):
    """An attribute that the loaded models don't know."""


class BadStrength(ValueError):
    """A strength that is not a number from -1 to 1."""


def parse_strengths(
    strengths: Mapping[str, float], names: Sequence[str], mapping: str = POLES
) -> dict[str, float]:
    """Checks what a caller asked for.

    Args:
        strengths: attribute name to strength.
        names: the attributes of the loaded models.
        mapping: `ORIGINAL` takes scales instead, which go further down, to -3.

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
        if not is_number or not LEAST[mapping] <= strength <= 1:  # nan fails the comparison
            raise BadStrength(
                f"The strength of {name} is {reprlib.repr(strength)}. Give a number from"
                f" {LEAST[mapping]} to 1; {0 if mapping == POLES else -1} leaves the attribute as"
                " it is."
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


def gated_change(
    flow: Flow, z: Tensor, c: Tensor, c_target: Tensor, gates: Tensor, solver: Solver | None = None
) -> Tensor:
    """What an edit adds to w when every attribute moves its own layers only; differentiable.

    c goes to c_target one attribute after the other, in the table's order. Each step changes the
    decoded code; the gates of the attribute that made the step say which share of the change each
    layer takes. With all gates at 1 the steps add up to decode(z, c_target) - decode(z, c).

    Args:
        flow: velocity and norms.
        z: (B, L, 512).
        c: semantics of the face, (B, A).
        c_target: semantics asked for, (B, A).
        gates: share of its change that an attribute gives each layer, (A, L) in 0..1.
        solver: default the flow's own.

    Returns:
        (B, L, 512).
    """
    moved = c_target != c  # (B, A)
    steps = int(moved.sum(1).max())
    if steps == 0:
        return torch.zeros_like(z)
    # the attributes of each row that move come first; rows with fewer then stand still
    order = moved.byte().argsort(dim=1, descending=True, stable=True)[:, :steps]  # (B, K)
    reached = torch.zeros_like(moved)
    path = [c]
    for k in range(steps):
        reached = reached.scatter(1, order[:, k : k + 1], True)
        path.append(torch.where(reached, c_target, c))
    share = gates[order.T] * moved.gather(1, order).T.unsqueeze(-1)  # (K, B, L)
    # Only the layers that a step moves are decoded, before it and after it.
    used = F.pad((share > 0).byte(), (0, 0, 0, 0, 1, 1))  # (K + 2, B, L)
    used = (used[:-1] | used[1:]).bool()  # (K + 1, B, L)
    conditions = torch.stack(path).unsqueeze(2).expand(-1, -1, z.shape[1], -1)  # (K + 1, B, L, A)
    decoded = z.new_zeros(*used.shape, z.shape[2])
    tokens = z.expand_as(decoded)[used].unsqueeze(1)  # (N, 1, 512)
    decoded[used] = flow.decode(tokens, conditions[used], solver).squeeze(1)
    return (share.unsqueeze(-1) * decoded.diff(dim=0)).sum(0)


@torch.no_grad()
def edit(
    flow: Flow,
    w: Tensor,
    z: Tensor,
    c: Tensor,
    c_target: Tensor,
    gates: Tensor | None = None,
    solver: Solver = FINE,
) -> Tensor:
    """w_edited = w + what the way from c to c_target changes in the decoded code.

    The difference of two decodings is added to w, rather than taking decode(z, c_target) itself,
    because both carry nearly the same round-trip error of the solver and it cancels: where
    c_target is c, both are the same numbers and w comes back exactly.

    Args:
        flow: in eval mode.
        w: latent codes, (B, L, 512).
        z: what `decompose` made of w under c, (B, L, 512).
        c: semantics of w, (B, A).
        c_target: semantics asked for, (B, A).
        gates: which layers each attribute moves, (A, L) in 0..1, see `gated_change`. Default:
            every attribute moves all of them.
        solver: give `decompose` the same.

    Returns:
        Edited codes, (B, L, 512).

    Raises:
        ValueError: gates are not (A, L) in 0..1, or the shapes don't fit the flow.
    """
    if gates is None:
        return w + (flow.decode(z, c_target, solver) - flow.decode(z, c, solver))
    if gates.shape != (c.shape[1], w.shape[1]) or not bool(((gates >= 0) & (gates <= 1)).all()):
        raise ValueError(
            f"Got gates {tuple(gates.shape)} from {gates.min():.3g} to {gates.max():.3g}."
            f" Give ({c.shape[1]}, {w.shape[1]}) numbers from 0 to 1."
        )
    return w + gated_change(flow, z, c, c_target, gates.to(w), solver)
