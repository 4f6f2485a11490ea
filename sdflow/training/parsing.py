"""Trains the parsing network: aligned crop (B, 3, 256, 256) → eight classes for every pixel.

BiSeNet's class maps are the labels; occluders are painted over half of the crops. Crops are moved,
turned, mirrored and degraded as photos and imperfect alignment do. The loss is cross entropy, rare
classes weighted, plus one minus Dice's coefficient (V-Net, arXiv 1606.04797), mean over classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from sdflow.allocator import tune_allocator
from sdflow.networks.parsing import CLASSES, SIDE, ParsingNetwork
from sdflow.training import bank
from sdflow.training.bisenet import fold_batch_norms
from sdflow.training.degrade import degrade
from sdflow.training.drawing import Scene
from sdflow.training.faces import even_weights
from sdflow.training.loop import run
from sdflow.training.occluders import FAMILIES, Family, occlude
from sdflow.training.parsing_labels import chosen_shards, read_maps

OCCLUDED, TWICE = 0.45, 0.1  # share of crops with something in front; with two things
# Of the cross entropy, about one over the root of a class's share of the picture.
CLASS_WEIGHTS = (1.0, 1.0, 1.2, 3.0, 2.0, 3.0, 2.5, 2.0)
THINNED = 3  # every so-many-th row and column has a loss: it costs as much as the network
# Shares of the picture that count as much of a class when faces are drawn.
MUCH = {"glasses": 0.02, "hat": 0.1, "hair": 0.5, "ears": 0.04}


def train_parsing(
    bank_folder: Path,
    folder: Path,
    faces: int = 600,
    steps: int = 2800,
    batch: int = 16,
    learning_rate: float = 2e-3,
    seed: int = 0,
    precision: str = "bf16",
) -> ParsingNetwork:
    """Trains from scratch on the parsed shards, see `chosen_shards`; returns the folded network.

    Args:
        bank_folder: shards, with class maps in ``parsing/``.
        folder: checkpoints of the run, which goes on where it stopped.
        faces: how many of each kind with codes, beside all photos.
        steps: how many in all.
        batch: crops a step.
        learning_rate: peak.
        seed: of every draw.
        precision: Accelerate's, ``bf16`` or ``no``.
    """
    torch.manual_seed(seed)
    tune_allocator()
    accelerator = Accelerator(mixed_precision=precision)
    shards = chosen_shards(bank_folder, faces)
    maps = read_maps(shards)
    images = bank.read_arrays(shards, ("image",))["image"]
    odds = even_weights(amounts(maps))
    network = ParsingNetwork(batch_norms=True)
    network.to(accelerator.device, memory_format=torch.channels_last)
    weights = torch.tensor(CLASS_WEIGHTS, device=accelerator.device)

    def step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        rows = torch.from_numpy(rng.choice(len(odds), batch, p=odds))
        crops, classes = augment(images[rows], maps[rows], rng)
        crops = crops.to(accelerator.device).contiguous(memory_format=torch.channels_last)
        classes = classes.to(accelerator.device)
        y, x = rng.integers(0, THINNED, 2)
        thin = (..., slice(y, None, THINNED), slice(x, None, THINNED))
        entropy, overlap = losses(network(crops)[thin].float(), classes[thin], weights)
        return entropy + overlap, {"entropy": entropy.item(), "dice": overlap.item()}

    optimiser = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=1e-3)
    run(accelerator, folder, [network], optimiser, step, steps, seed)
    return fold_batch_norms(network)


def amounts(maps: torch.Tensor) -> torch.Tensor:
    """How much of each class in `MUCH` a face has, (N, 4) in 0..1, of maps (N, 256, 256)."""
    shares = {name: (maps == CLASSES.index(name)).float().mean((1, 2)) for name in MUCH}
    return torch.stack([(shares[name] / much).clamp(max=1) for name, much in MUCH.items()], 1)


def augment(
    images: torch.Tensor, maps: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops as photos are.

    Args:
        images: (B, 3, 256, 256) uint8; the next one of the batch lends skin and textures.
        maps: their classes, (B, 256, 256) uint8.
        rng: of all draws.

    Returns:
        Crops (B, 3, 256, 256) in [-1, 1] and classes (B, 256, 256), int64.
    """
    crops, classes = move(images.float().div_(127.5).sub_(1), maps, rng)
    chance = rng.random(len(crops))
    times = (chance < OCCLUDED).astype(int) + (chance < TWICE)
    crops, classes = paint(crops, classes, times, rng)
    return degrade(crops, rng), classes.long()


def move(
    images: torch.Tensor, maps: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turns by up to 15°, scales by 0.8 to 1.2, shifts by up to 8 %, mirrors; B of each."""
    count = len(images)
    turn, scale = np.radians(rng.uniform(-15, 15, count)), rng.uniform(0.8, 1.25, count)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    x, y = rng.uniform(-0.16, 0.16, (2, count))
    rows = [np.stack([mirror * cos, -mirror * sin, x], 1), np.stack([sin, cos, y], 1)]
    theta = torch.from_numpy(np.stack(rows, 1)).float()  # (B, 2, 3)
    grid = F.affine_grid(theta, [count, 3, SIDE, SIDE], align_corners=False)
    moved = F.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)
    classes = F.grid_sample(maps[:, None].float(), grid, "nearest", "reflection",
                            align_corners=False)  # fmt: skip
    return moved.clamp_(-1, 1), classes[:, 0].byte()


def paint(
    crops: torch.Tensor, maps: torch.Tensor, times: np.ndarray, rng: np.random.Generator,
    families: tuple[Family, ...] = FAMILIES,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Paints so many occluders over each crop (B, 3, 256, 256), and into maps (B, 256, 256)."""
    pictures = ((crops + 1) / 2).permute(0, 2, 3, 1).numpy()  # (B, 256, 256, 3)
    painted, classes = crops.clone(), maps.clone()
    for i, count in enumerate(times):
        found, labels = pictures[i], maps[i].numpy()
        donor = (i + 1) % len(pictures)
        for _ in range(count):
            scene = Scene(found, labels, pictures[donor], maps[donor].numpy(), rng)
            found, labels = occlude(scene, families)
        if count:
            painted[i] = torch.from_numpy(found).permute(2, 0, 1) * 2 - 1
            classes[i] = torch.from_numpy(labels)
    return painted, classes


def losses(
    scores: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted cross entropy, and one minus Dice's coefficient over the batch.

    Args:
        scores: (B, 8, H, W).
        classes: the true ones, (B, H, W).
        weights: of the classes in the entropy, (8,).

    Returns:
        The two losses; Dice's coefficient is the mean over the classes that are there.
    """
    logs = scores.log_softmax(1)
    entropy = F.nll_loss(logs, classes, weights)
    right = logs.gather(1, classes[:, None]).exp().flatten()  # share given to the true class
    there = classes.flatten().bincount(minlength=len(CLASSES))
    both = torch.zeros(len(CLASSES), device=scores.device).index_add(0, classes.flatten(), right)
    dice = 2 * both / (logs.exp().sum((0, 2, 3)) + there).clamp(min=1)  # (8,)
    return entropy, 1 - dice[there > 0].mean()
