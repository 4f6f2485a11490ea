"""Trains the encoder: crop (B, 3, 256, 256) → w (B, 18, 512).

Generated faces have a known code: latent loss (e4e, arXiv 2102.02766, without its discriminator).
Real faces, and some generated ones, are rendered again: L1 at three scales, the identity
network's descriptor and its features. Deltas are kept small, where codes stay editable.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from sdflow.allocator import tune_allocator
from sdflow.invert import feature_distance, pyramid
from sdflow.models import load_generator, load_identity
from sdflow.networks.encoder import Encoder
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.training import bank
from sdflow.training.degrade import degrade
from sdflow.training.loop import run

DELTA, RECONSTRUCTION, IDENTITY, FEATURES = 0.02, 0.5, 1.5, 0.05  # weights beside the latent loss


def train_encoder(
    bank_folder: Path,
    folder: Path,
    latent_steps: int = 2500,
    image_steps: int = 1500,
    batch: int = 32,
    rendered: int = 4,
    learning_rate: float = 6e-4,
    seed: int = 0,
    precision: str = "bf16",
) -> Encoder:
    """Trains in two stages, first on codes alone, then with rendered pictures as well.

    Args:
        bank_folder: shards of kinds ``generated``, ``balanced`` and ``real``.
        folder: checkpoints of the run, which goes on where it stopped.
        latent_steps: steps of the first stage.
        image_steps: steps of the second stage.
        batch: generated crops a step.
        rendered: crops a step that are rendered again in the second stage, three quarters real.
        learning_rate: peak, of the heads; the trunk takes a quarter.
        seed: of every draw.
        precision: Accelerate's, ``bf16`` or ``no``.
    """
    torch.manual_seed(seed)
    tune_allocator()
    accelerator = Accelerator(mixed_precision=precision)
    device = accelerator.device
    generated = bank.read_arrays(
        bank.shards(bank_folder, "generated") + bank.shards(bank_folder, "balanced"),
        ("w", "image"),
    )
    real = bank.read_arrays(sorted(bank_folder.glob("real-*.safetensors")), ("image",))["image"]
    generator, identity = load_generator(device), load_identity(device)
    synthesis = FastSynthesis(generator)
    encoder = Encoder()
    encoder.trunk.load_state_dict(identity.trunk.state_dict())
    encoder.w_mean.copy_(generator.w_mean)
    torch.nn.init.normal_(encoder.spread, std=0.02)
    trunk = list(encoder.trunk.parameters())
    heads = [p for name, p in encoder.named_parameters() if not name.startswith("trunk.")]
    scale = (generated["w"][:, 0].std(0) + 0.1).to(device)  # (512,), of each entry of w

    def delta_size(w: torch.Tensor) -> torch.Tensor:
        return (w[:, 1:] - w[:, :1]).square().mean()

    def draw(images: torch.Tensor, n: int, rng: np.random.Generator) -> tuple:
        rows = torch.from_numpy(rng.integers(0, len(images), n))
        return rows, images[rows].float().div_(127.5).sub_(1)  # (n, 3, 256, 256)

    def latent_loss(rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        rows, clean = draw(generated["image"], batch, rng)
        crop = degrade(clean, rng).to(device).contiguous(memory_format=torch.channels_last)
        target = generated["w"][rows].to(device)
        w = encoder(crop)
        latent = ((w - target) / scale).square().mean()
        return latent + DELTA * delta_size(w), {"latent": latent.item()}

    def image_loss(rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        own = rendered // 4
        clean = torch.cat([draw(generated["image"], own, rng)[1],
                           draw(real, rendered - own, rng)[1]])  # fmt: skip
        if rng.random() < 0.5:
            clean = clean.flip(3)
        crop, clean = degrade(clean, rng).to(device), clean.to(device)
        w = encoder(crop)
        image = F.avg_pool2d(synthesis(w, 512), 2)  # (B, 3, 256, 256)
        pixels = sum((a - b).abs().mean() for a, b in zip(pyramid(image), pyramid(clean),
                                                          strict=True))  # fmt: skip
        with accelerator.autocast():
            person, features = identity.forward_with_features(image)
        with torch.no_grad():
            true_person, true_features = identity.forward_with_features(clean)
        distance = (person.float() - true_person).square().sum(1).mean()
        texture = feature_distance([stage.float() for stage in features], true_features)
        loss = RECONSTRUCTION * pixels + IDENTITY * distance + FEATURES * texture
        loss = loss + DELTA * delta_size(w)
        return loss, {"pixels": pixels.item(), "identity": distance.item(),
                      "features": texture.item()}  # fmt: skip

    optimiser = torch.optim.AdamW(
        [{"params": trunk, "lr": learning_rate / 4}, {"params": heads, "lr": learning_rate}],
        weight_decay=1e-4,
    )
    encoder.to(device, memory_format=torch.channels_last)
    run(accelerator, folder / "latent", [encoder], optimiser,
        lambda k, rng: latent_loss(rng), latent_steps, seed)  # fmt: skip

    for group in optimiser.param_groups:
        group["peak"] = group["peak"] / 2

    def both(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        latent, first = latent_loss(rng)
        image, second = image_loss(rng)
        return latent + image, first | second

    run(accelerator, folder / "image", [encoder], optimiser, both, image_steps, seed + 1, 50)
    return encoder
