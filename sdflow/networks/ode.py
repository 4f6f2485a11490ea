"""Solves an ordinary differential equation over 0..T with torchdiffeq: a state in, a state out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchdiffeq import odeint, odeint_adjoint


@dataclass(frozen=True)
class Solver:
    """How the equation is solved.

    Attributes:
        method: "dopri5" chooses its steps and back-propagates by the adjoint equation;
            "midpoint" and "rk4" take `steps` equal steps and back-propagate through them.
        steps: number of equal steps; not used by dopri5.
        tolerance: absolute and relative tolerance of dopri5.
    """

    method: str = "dopri5"
    steps: int = 10
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if self.method not in ("dopri5", "midpoint", "rk4"):
            raise ValueError(
                f"Unknown solver {self.method!r}. Choose one of dopri5, midpoint, rk4."
            )
        if self.steps < 1 or not self.tolerance > 0:
            raise ValueError(
                f"Got steps={self.steps} and tolerance={self.tolerance}. Give both above 0."
            )


ADAPTIVE = Solver()  # the original's; with its tolerance decode(encode(w)) is off by some 1e-4
FINE = Solver("rk4", steps=8)  # 32 evaluations; inverts to some 1e-6: opening and editing a face
QUICK = Solver("midpoint", steps=10)  # 20 evaluations, right to some 1e-4: training
DRAFT = Solver("rk4", steps=2)  # 8 evaluations: previews, of which nobody sees the difference


def solve(
    derivative: Callable,
    state: Tensor | tuple[Tensor, ...],
    end_time: Tensor,
    needed: Sequence[Tensor],
    solver: Solver,
    reverse: bool = False,
) -> Tensor | tuple[Tensor, ...]:
    """Carries a state from time 0 to end_time, or back.

    Args:
        derivative: (t, state) -> derivative of the state.
        state: a tensor or a tuple of tensors.
        end_time: T > 0, (); gets a gradient.
        needed: tensors inside the derivative that need a gradient; the adjoint finds no others.
        solver: method and steps.
        reverse: from end_time to 0.

    Returns:
        The state at the other end.
    """
    steps = 1 if solver.method == "dopri5" else solver.steps
    times = torch.linspace(0, 1, steps + 1, device=end_time.device, dtype=end_time.dtype)
    times = (times.flip(0) if reverse else times) * end_time
    if solver.method != "dopri5":
        path = odeint(derivative, state, times, method=solver.method)
    else:
        accuracy = {"rtol": solver.tolerance, "atol": solver.tolerance}
        if torch.is_grad_enabled():
            path = odeint_adjoint(
                derivative, state, times, method="dopri5", adjoint_params=tuple(needed), **accuracy
            )
        else:
            path = odeint(derivative, state, times, method="dopri5", **accuracy)
    return path[-1] if isinstance(path, Tensor) else tuple(part[-1] for part in path)
