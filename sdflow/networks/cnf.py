"""Steps 3 and 4: the conditional continuous normalizing flow, w under c <-> Gaussian code z.

SDFlow (arXiv 2309.05314): dy/dt = f(t, y, c) carries a latent code w at t = 0 to a Gaussian code
at t = T between two moving batch norms. Every token of W+ is carried on its own by the same f.
The log-density follows FFJORD (arXiv 1810.01367): d log p / dt = -trace(df/dy), estimated
with random probes e as e . (df/dy) e. Key names are those of the released checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdflow.networks.ode import ADAPTIVE, DRAFT, FINE, QUICK, Solver, solve

__all__ = ["ADAPTIVE", "DRAFT", "FINE", "QUICK", "Flow", "Solver"]

EPSILON = 1e-4  # added to a running variance
MOMENTUM = 0.1  # share of the present batch in the running statistics


class MovingBatchNorm(nn.Module):
    """Normalises with the running statistics, in train mode too; `weight` is a log scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("step", torch.zeros(1))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def log_scale(self) -> Tensor:
        """Log of the diagonal of the Jacobian, (width,)."""
        return self.weight - 0.5 * torch.log(self.running_var + EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Latent towards Gaussian, (..., width) -> (..., width)."""
        return (x - self.running_mean) * torch.exp(self.log_scale()) + self.bias

    def inverse(self, y: Tensor) -> Tensor:
        """Gaussian towards latent, the exact inverse of `forward`."""
        return (y - self.bias) * torch.exp(-self.log_scale()) + self.running_mean

    @torch.no_grad()
    def update_statistics(self, x: Tensor) -> None:
        """Moves the running mean and (unbiased) variance towards those of x (..., width)."""
        variance, mean = torch.var_mean(x.detach().flatten(0, -2), dim=0)
        self.running_mean.lerp_(mean, MOMENTUM)
        self.running_var.lerp_(variance, MOMENTUM)
        self.step += 1


class GatedLinear(nn.Module):
    """y = (W x + b) * sigmoid(G context + g) + H context, the concat-squash layer."""

    def __init__(self, inputs: int, outputs: int, context: int) -> None:
        super().__init__()
        self._layer = nn.Linear(inputs, outputs)
        self._hyper_bias = nn.Linear(context, outputs, bias=False)
        self._hyper_gate = nn.Linear(context, outputs)

    def forward(
        self, x: Tensor, probes: Tensor | None, context: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """x (B, L, inputs), probes (K, B, L, inputs), context (B, 1, 1 + A) -> y, dy/dx probes."""
        gate = torch.sigmoid(self._hyper_gate(context))  # (B, 1, outputs)
        y = self._layer(x) * gate + self._hyper_bias(context)  # (B, L, outputs)
        if probes is not None:
            probes = F.linear(probes, self._layer.weight) * gate  # (K, B, L, outputs)
        return y, probes


class Velocity(nn.Module):
    """The network f(t, y, c): gated layers with tanh between."""

    def __init__(self, attributes: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = (width, *hidden, width)
        self.layers = nn.ModuleList(
            GatedLinear(inputs, outputs, 1 + attributes)
            for inputs, outputs in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(
        self, t: Tensor, y: Tensor, c: Tensor, probes: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Velocity, and its derivative along the probes in forward mode: no autograd needed.

        Args:
            t: time, ().
            y: state, (B, L, width).
            c: condition, (B, A).
            probes: directions, (K, B, L, width), or None.

        Returns:
            f(t, y, c) of the shape of y, and (df/dy) probes of the shape of the probes.
        """
        context = torch.cat([t.expand(c.shape[0], 1), c], dim=1).unsqueeze(1)  # (B, 1, 1 + A)
        for layer in self.layers[:-1]:
            y, probes = layer(y, probes, context)
            y = torch.tanh(y)
            if probes is not None:
                probes = probes * (1 - y * y)  # tanh' = 1 - tanh^2
        return self.layers[-1](y, probes, context)


class ODEFunction(nn.Module):
    """Holds the velocity under the name the checkpoints use; the counter is theirs, unused."""

    def __init__(self, attributes: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("_num_evals", torch.tensor(0.0))
        self.diffeq = Velocity(attributes, width, hidden)


class ContinuousBlock(nn.Module):
    """Integrates the velocity over 0..T, T = sqrt_end_time squared (learned)."""

    def __init__(self, attributes: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.sqrt_end_time = nn.Parameter(torch.tensor(1.0))
        self.odefunc = ODEFunction(attributes, width, hidden)

    def transport(self, y: Tensor, c: Tensor, solver: Solver, reverse: bool = False) -> Tensor:
        """y (B, L, width) from one end of time to the other; no divergence."""
        velocity = self.odefunc.diffeq

        def derivative(t: Tensor, y: Tensor) -> Tensor:
            return velocity(t, y, c)[0]

        return self._solve(derivative, y, c, solver, reverse)

    def transport_with_density(
        self, y: Tensor, delta: Tensor, c: Tensor, probes: Tensor, solver: Solver
    ) -> tuple[Tensor, Tensor]:
        """As `transport`, forwards, with the log-density change delta (B, L, 1) as second state.

        The probes (K, B, L, width) are fixed for this solve, its backward pass included.
        """
        velocity = self.odefunc.diffeq

        def derivative(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            dy, along_probes = velocity(t, state[0], c, probes)
            trace = (probes * along_probes).sum(-1, keepdim=True).mean(0)  # (B, L, 1)
            return dy, -trace

        return self._solve(derivative, (y, delta), c, solver, reverse=False)

    def _solve(
        self, derivative: Callable, state: Tensor | tuple[Tensor, ...], c: Tensor,
        solver: Solver, reverse: bool,
    ) -> Tensor | tuple[Tensor, ...]:
        # c is closed over by the derivative: without it in this list its gradient is lost
        needed = (*self.odefunc.parameters(), c)
        return solve(derivative, state, self.sqrt_end_time**2, needed, solver, reverse)


class Flow(nn.Module):
    """The flow w <-> z under the semantics c.

    Latent codes are (B, L, width), or (B, width) for one token; c is (B, attributes), about 0..1.
    Nothing here moves the running statistics except `update_statistics`, so that within a
    training step decode stays the exact inverse of encode.
    """

    def __init__(
        self,
        attributes: int,
        width: int = 512,
        hidden: Sequence[int] = (512, 512, 512, 512, 512),
        solver: Solver = ADAPTIVE,
    ) -> None:
        super().__init__()
        self.attributes = attributes
        self.width = width
        self.solver = solver
        self.chain = nn.ModuleList([
            MovingBatchNorm(width),
            ContinuousBlock(attributes, width, hidden),
            MovingBatchNorm(width),
        ])

    def encode(self, w: Tensor, c: Tensor, solver: Solver | None = None) -> Tensor:
        """Latent code to Gaussian code, of the same shape.

        Raises:
            ValueError: the shapes of w and c don't fit each other or the flow.
        """
        first, block, last = self.chain
        y = first(self._tokens(w, c))  # (B, L, width)
        return last(block.transport(y, c, solver or self.solver)).view(w.shape)

    def decode(self, z: Tensor, c: Tensor, solver: Solver | None = None) -> Tensor:
        """Gaussian code to latent code: under the same c, the inverse of `encode`.

        Raises:
            ValueError: the shapes of z and c don't fit each other or the flow.
        """
        first, block, last = self.chain
        y = last.inverse(self._tokens(z, c))  # (B, L, width)
        y = block.transport(y, c, solver or self.solver, reverse=True)
        return first.inverse(y).view(z.shape)

    def forward(
        self, w: Tensor, c: Tensor, noise: Tensor | None = None, solver: Solver | None = None
    ) -> tuple[Tensor, Tensor]:
        """The training pass: the Gaussian code and what the density loses on the way.

        Args:
            w: latent codes, (B, L, width) or (B, width).
            c: semantics, (B, attributes).
            noise: probes of the trace, of the shape of w, or (K,) + that shape to average K of
                them (sqrt(width) times the unit vectors give the exact trace). Default: one
                Gaussian draw.
            solver: overrides the flow's own.

        Returns:
            z of the shape of w, and delta = -log|det dz/dw| for each token, w.shape[:-1] + (1,).
        """
        first, block, last = self.chain
        y = first(self._tokens(w, c))  # (B, L, width)
        probes = torch.randn_like(w) if noise is None else noise
        probes = probes.reshape(-1, *y.shape)  # (K, B, L, width)
        delta = -first.log_scale().sum().expand(*y.shape[:-1], 1)  # (B, L, 1)
        y, delta = block.transport_with_density(y, delta, c, probes, solver or self.solver)
        delta = delta - last.log_scale().sum()
        return last(y).view(w.shape), delta.view(*w.shape[:-1], 1)

    def log_prob(
        self, w: Tensor, c: Tensor, noise: Tensor | None = None, solver: Solver | None = None
    ) -> Tensor:
        """Log-density of w under c in nats, summed over the tokens, (B,); see `forward`."""
        z, delta = self(w, c, noise, solver)
        log_normal = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)  # (B, L) or (B,)
        return (log_normal - delta.squeeze(-1)).reshape(w.shape[0], -1).sum(1)

    def update_statistics(self, w: Tensor, z: Tensor) -> None:
        """Moves the running statistics of both norms by one batch w and its code z.

        Call it once a training step, after the backward pass and before the optimiser's step: the
        input of the last norm is found back from z. In eval mode nothing moves.
        """
        if self.training:
            first, _, last = self.chain
            with torch.no_grad():
                inner = last.inverse(z.detach())
            first.update_statistics(w)
            last.update_statistics(inner)

    def _tokens(self, w: Tensor, c: Tensor) -> Tensor:
        """(B, width) or (B, L, width) -> (B, L, width)."""
        fits = w.ndim in (2, 3) and w.shape[-1] == self.width
        if not fits or c.shape != (w.shape[0], self.attributes):
            raise ValueError(
                f"Got codes {tuple(w.shape)} and semantics {tuple(c.shape)}. Give codes"
                f" (B, {self.width}) or (B, L, {self.width}), semantics (B, {self.attributes})."
            )
        return w.unsqueeze(1) if w.ndim == 2 else w
