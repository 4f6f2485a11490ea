"""Step 3: an aligned crop and its latent code w -> semantics c and the rest, z."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdflow.networks.cnf import FINE, Flow, Solver


@torch.no_grad()
def decompose(
    estimator: nn.Module, flow: Flow, crop: Tensor, w: Tensor, solver: Solver = FINE
) -> tuple[Tensor, Tensor, float]:
    """Splits a face into what the attributes say and everything else (SDFlow, section 3.1).

    Args:
        estimator: image to semantics, in eval mode.
        flow: in eval mode, with as many attributes as the estimator gives.
        crop: aligned faces, (B, 3, 256, 256) in [-1, 1].
        w: their latent codes, (B, 18, 512).
        solver: give `edit` the same.

    Returns:
        c (B, A) about 0..1; z (B, 18, 512); and the round-trip error, the largest absolute
        difference between w and what the flow makes of z under c.
    """
    c = estimator(crop)
    z = flow.encode(w, c, solver)
    error = (flow.decode(z, c, solver) - w).abs().max().item()
    return c, z, error
