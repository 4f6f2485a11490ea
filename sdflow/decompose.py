"""Step 3: a latent code w and its semantics c -> the rest, z."""

from __future__ import annotations

import torch
from torch import Tensor

from sdflow.networks.cnf import FINE, Flow, Solver


@torch.no_grad()
def decompose(flow: Flow, w: Tensor, c: Tensor, solver: Solver = FINE) -> tuple[Tensor, float]:
    """Splits a face into what the attributes say, c, and everything else, z (SDFlow, section 3.1).

    Args:
        flow: in eval mode.
        w: latent codes, (B, 18, 512).
        c: their semantics as the estimator reads them off the pictures of w, (B, A).
        solver: give `edit` the same.

    Returns:
        z (B, 18, 512); and the round-trip error, the largest absolute difference between w and
        what the flow makes of z under c.
    """
    z = flow.encode(w, c, solver)
    return z, (flow.decode(z, c, solver) - w).abs().max().item()
