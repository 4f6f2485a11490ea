"""The losses of joint training (SDFlow, arXiv 2309.05314, section 3): loss = kd + nll + mi + reg.

Each is a mean over all elements; c is (B, A), codes are (B, L, 512) or (B, 512).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def kd(c: Tensor, labels: Tensor) -> Tensor:
    """Distillation: estimated semantics c (B, A) against the teachers' labels (B, A) in 0..1.

    A label that is nan is unknown and not counted.
    """
    known = ~labels.isnan()
    return F.mse_loss(c[known], labels[known].to(c.dtype))


def nll(z: Tensor, delta: Tensor) -> Tensor:
    """Negative log-likelihood in nats for each element of w, from `Flow.forward`'s two outputs.

    -mean_b(sum log N(z_b; 0, 1) - sum delta_b) / (L * 512). The original adds the constant
    511 / 2 * log(2 pi) to it; the gradients are the same.
    """
    log_normal = -0.5 * (z.square().mean() + math.log(2 * math.pi))
    return delta.mean() / z.shape[-1] - log_normal


def mi(logits: Tensor, c_target: Tensor) -> Tensor:
    """Mutual information: semantics estimated from the edited face against those asked for.

    The divergence of the estimated from the wanted probabilities, in nats. The paper takes their
    squared difference, whose gradient dies where the estimator is sure: a face that surely wears
    no glasses would never learn to put them on.

    Args:
        logits: the estimate before its sigmoid, (B, A).
        c_target: what was asked for, (B, A) in 0..1; a constant.
    """
    target = c_target.detach()
    entropy = F.binary_cross_entropy(target, target)
    return F.binary_cross_entropy_with_logits(logits, target) - entropy


def reg(w_edited: Tensor, w: Tensor) -> Tensor:
    """Keeps an edited code near the code it came from, both (B, L, 512)."""
    return F.mse_loss(w_edited, w)


def identity(described: Tensor, person: Tensor) -> Tensor:
    """Squared distance of two descriptors (B, D): whose face the edit shows, and whose it was."""
    return (described - person.detach()).square().sum(1).mean()


def changed_semantics(
    c: Tensor, generator: torch.Generator | None = None, margin: float = 0.0, most: int = 1,
    ends: float = 0.0,
) -> Tensor:  # fmt: skip
    """c (B, A) detached, with one attribute of each row, chosen at random, set to U(0, 1).

    What the paper does not have: with ``most`` above 1, in three of ten rows up to ``most - 1``
    others change as well; a margin widens the draw to U(-margin, 1 + margin); and a share ``ends``
    of the values lies in the margins alone, where sliders end and flips are decided.
    The draws are made on the generator's device (CPU without one).
    """
    device = generator.device if generator is not None else "cpu"
    drawn = {"generator": generator, "device": device}
    rows, columns = c.shape
    column = torch.randint(columns, (rows,), **drawn).to(c.device)
    value = (1 + 2 * margin) * torch.rand(rows, **drawn).to(c) - margin
    changed = F.one_hot(column, columns).bool()
    values = value[:, None].expand_as(c)
    if most > 1:
        several = torch.rand(rows, 1, **drawn) < 0.3
        others = torch.randint(1, most, (rows, 1), **drawn)
        more = several & (torch.rand(rows, columns, **drawn).argsort(1) < others)
        free = (1 + 2 * margin) * torch.rand(rows, columns, **drawn) - margin
        values = torch.where(more.to(c.device), free.to(c), values)
        changed = changed | more.to(c.device)
    if ends > 0:
        at_end = (torch.rand(rows, columns, **drawn) < ends).to(c.device)
        beyond = margin * torch.rand(rows, columns, **drawn).to(c)
        values = torch.where(at_end, torch.where(values > 0.5, 1 + beyond, -beyond), values)
    return torch.where(changed, values, c.detach())
