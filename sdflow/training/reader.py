"""The code reader: w → c without a picture, the estimator's cheap stand-in in the warm-up."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sdflow.training import losses


class CodeReader(nn.Sequential):
    """w (B, 512) → logits of c (B, A)."""

    def __init__(self, attributes: int, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__(
            nn.Linear(512, 384), nn.SiLU(), nn.Dropout(0.3), nn.Linear(384, attributes)
        )
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        return super().forward((w - self.mean) / self.scale)


def fit_reader(
    reader: CodeReader, w: torch.Tensor, labels: torch.Tensor, evenly: np.ndarray, seed: int,
    steps: int = 1500,
) -> None:  # fmt: skip
    """Fits the reader by weighted draws; a minute, so it is never checkpointed.

    Args:
        reader: to fit; frozen afterwards.
        w: codes (N, 512).
        labels: (N, A) in 0..1, nan where unknown.
        evenly: probability of drawing each face (N,).
        seed: of the draws.
        steps: of 128 codes.
    """
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.02)
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(len(evenly), 128, p=evenly))
        noisy = w[rows] + 0.05 * torch.randn_like(w[rows])
        loss = losses.kd(reader(noisy).sigmoid(), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    reader.eval().requires_grad_(False)
