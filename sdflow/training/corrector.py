"""Trains the corrector: photo and rendering of the encoder's code → a better code.

The encoder stays as it is. Real faces and generated ones, mixed and edited codes among them, are
degraded and partly covered; the corrected code is rendered, and must show the clean face: L1 at
three scales, the identity network's descriptor and features. Where the true code is known, it
counts too. Half of the steps correct twice, since that is how the corrector is used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from sdflow.allocator import tune_allocator
from sdflow.invert import OUTSIDE, face_weights, feature_distance, pyramid
from sdflow.models import load_encoder, load_generator, load_identity
from sdflow.networks.corrector import Corrector, Seen
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.training import bank
from sdflow.training.degrade import degrade
from sdflow.training.drawing import FACE, Scene
from sdflow.training.loop import run
from sdflow.training.occluders import occlude

PIXELS, IDENTITY, FEATURES = 0.5, 2.5, 0.05  # weights of what is seen
LATENT, DELTA = 0.1, 0.02  # of the true code, and of the layers' difference
REAL = 2 / 3  # of the faces of a step
COVERED = 0.15  # of the crops get something in front of the face
RIDGE = 0.3  # of the regression that the corrector starts from, in variances of a descriptor


def train_corrector(
    bank_folder: Path,
    folder: Path,
    steps: int = 1800,
    batch: int = 6,
    learning_rate: float = 4e-4,
    seed: int = 0,
    precision: str = "bf16",
) -> Corrector:
    """Trains it.

    Args:
        bank_folder: shards of all kinds.
        folder: checkpoints of the run, which goes on where it stopped.
        steps: how many.
        batch: faces a step, all of them rendered.
        learning_rate: its peak.
        seed: of every draw.
        precision: Accelerate's, ``bf16`` or ``no``.
    """
    torch.manual_seed(seed)
    tune_allocator()
    accelerator = Accelerator(mixed_precision=precision)
    device = accelerator.device
    known = [path for kind in bank.WITH_CODES for path in bank.shards(bank_folder, kind)]
    generated = bank.read_arrays(known, ("w", "image"))
    real = bank.read_arrays(sorted(bank_folder.glob("real-*.safetensors")), ("image",))["image"]
    encoder, identity = load_encoder(device), load_identity(device)
    synthesis = FastSynthesis(load_generator(device))
    scale = (generated["w"][:, 0].std(0) + 0.1).to(device)  # (512,), of each entry of w
    weights = face_weights(256).to(device)
    corrector = Corrector().to(device)
    torch.nn.init.normal_(corrector.spread, std=0.02)
    for layer in (corrector.base, corrector.delta):
        torch.nn.init.normal_(layer.weight, std=0.002)
    rows = slice(None, None, max(len(generated["w"]) // 4000, 1))
    with torch.no_grad():
        corrector.identity.weight.copy_(
            regression(describe(identity, generated["image"][rows]), generated["w"][rows].mean(1))
        )

    def look(image: torch.Tensor) -> Seen:
        with accelerator.autocast():
            person, features = identity.forward_with_features(image)
        return image, person.float(), [stage.float() for stage in features]

    def step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        own = round(batch * (1 - REAL))
        rows = torch.from_numpy(rng.integers(0, len(generated["w"]), own))
        others = torch.from_numpy(rng.integers(0, len(real), batch - own))
        clean = torch.cat([generated["image"][rows], real[others]]).float().div_(127.5).sub_(1)
        if rng.random() < 0.5:
            clean[own:] = clean[own:].flip(3)
        crop, clean = degrade(covered(clean, rng), rng).to(device), clean.to(device)
        with torch.no_grad():
            w, photo, target = encoder(crop), look(crop), look(clean)
            for _ in range(int(rng.integers(2))):
                w = w + corrector(photo, look(F.avg_pool2d(synthesis(w, 512), 2)))
            before = look(F.avg_pool2d(synthesis(w, 512), 2))
        w = w + corrector(photo, before)
        image, described, details = look(F.avg_pool2d(synthesis(w, 512), 2))
        levels = zip(pyramid(image), pyramid(clean), pyramid(weights), strict=True)
        pixels = sum(((a - b).abs() * weight).mean() for a, b, weight in levels)
        distance = (described - target[1]).square().sum(1).mean()
        texture = feature_distance(details, target[2])
        latent = ((w[:own] - generated["w"][rows].to(device)) / scale).square().mean()
        spread = (w - w.mean(1, keepdim=True)).square().mean()
        loss = PIXELS * pixels + IDENTITY * distance + FEATURES * texture
        loss = loss + LATENT * latent + DELTA * spread
        return loss, {"pixels": pixels.item(), "identity": distance.item(),
                      "before": (before[1] - target[1]).square().sum(1).mean().item(),
                      "latent": latent.item(), "spread": spread.item()}  # fmt: skip

    optimiser = torch.optim.AdamW(corrector.parameters(), lr=learning_rate, weight_decay=1e-4)
    run(accelerator, folder, [corrector], optimiser, step, steps, seed, 50)
    return corrector


def covered(crops: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Crops (B, 3, 256, 256), some with a hand, a microphone, a mask in front of the face."""
    classes = np.where(face_weights(256)[0, 0] > (1 + OUTSIDE) / 2, FACE, 0).astype(np.uint8)
    pictures = ((crops + 1) / 2).permute(0, 2, 3, 1).numpy()  # (B, 256, 256, 3)
    painted = [
        occlude(Scene(picture, classes, donor, classes, rng))[0]
        if rng.random() < COVERED else picture
        for picture, donor in zip(pictures, np.roll(pictures, 1, 0), strict=True)
    ]  # fmt: skip
    return torch.from_numpy(np.stack(painted)).permute(0, 3, 1, 2) * 2 - 1


@torch.no_grad()
def describe(identity: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Descriptors (N, 128) of many crops (N, 3, 256, 256) uint8."""
    device = next(identity.parameters()).device
    return torch.cat([identity(part.to(device).float() / 127.5 - 1) for part in images.split(32)])


def regression(people: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Ridge regression of codes (N, 512) on descriptors (N, 128): a matrix (512, 128)."""
    x, y = people - people.mean(0), (w - w.mean(0)).to(people)
    shrink = RIDGE * len(x) * x.var(0).mean() * torch.eye(x.shape[1], device=x.device)
    return torch.linalg.solve(x.T @ x + shrink, x.T @ y).T
