"""Trains the semantic estimator and the flow together: loss = kd + nll + mi + reg (SDFlow).

Three stages, each resumable. *estimator*: kd alone, on generated and real faces. *warm-up*: the
flow on codes of one w, with mi through a small estimator that reads the code itself, hundreds of
times cheaper than a picture. *joint*: the paper's step, mi through the generator and the
estimator, both networks trained. The original's faults are mended: the norms keep the bank's
statistics, so that both directions of a step are exact inverses; the noise of a solve is drawn
once; mi's target is constant, and mi does not teach the estimator to flatter the flow (its
parameters take no gradient from it).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from sdflow.allocator import tune_allocator
from sdflow.models import load_generator, load_identity
from sdflow.networks.cnf import Flow, Solver
from sdflow.networks.estimator import Estimator
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.training import bank, losses
from sdflow.training.degrade import degrade
from sdflow.training.labels import read_labels
from sdflow.training.loop import run

KD, NLL, MI, REG = 10.0, 1.0, 10.0, 0.5  # weights of the losses; kd and mi are of order 0.01
SOLVER = Solver("midpoint", 6)
MARGIN = 0.15  # the changed value is drawn from so far beyond 0 and 1, where the poles lie
TOKENS = 6  # layers of a W+ code, drawn anew each step, that nll looks at


class CodeEstimator(nn.Sequential):
    """w (B, 512) → logits of c (B, A): the cheap stand-in of the warm-up."""

    def __init__(self, attributes: int, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__(
            nn.Linear(512, 384), nn.SiLU(), nn.Dropout(0.3), nn.Linear(384, attributes)
        )
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        return super().forward((w - self.mean) / self.scale)


def train_semantics(
    bank_folder: Path,
    folder: Path,
    attributes: tuple[str, ...],
    estimator_steps: int = 1200,
    warm_up_steps: int = 1500,
    joint_steps: int = 500,
    batch: int = 32,
    tokens: int = 64,
    rendered: int = 4,
    learning_rate: float = 1e-3,
    seed: int = 0,
    precision: str = "bf16",
) -> tuple[Estimator, Flow]:
    """Trains estimator and flow on the labelled bank.

    Args:
        bank_folder: labelled shards of kinds ``generated``, ``balanced`` and ``real``.
        folder: checkpoints of the three stages, which go on where they stopped.
        attributes: names of c's entries; their labels are columns of the index.
        estimator_steps: steps of the first stage.
        warm_up_steps: steps of the second stage.
        joint_steps: steps of the third stage.
        batch: crops a step for kd.
        tokens: codes a step in the warm-up.
        rendered: faces a step in the joint stage.
        learning_rate: peak; the joint stage takes a third of it.
        seed: of every draw.
        precision: Accelerate's, for the estimator's convolutions.
    """
    torch.manual_seed(seed)
    tune_allocator()
    accelerator = Accelerator(mixed_precision=precision)
    device = accelerator.device
    drawn = bank.shards(bank_folder, "generated") + bank.shards(bank_folder, "balanced")
    faces = bank.read_arrays(drawn, ("w", "image")) | {"labels": read_labels(drawn, attributes)}
    photos = sorted(bank_folder.glob("real-*.safetensors"))
    real = bank.read_arrays(photos, ("image",)) | {"labels": read_labels(photos, attributes)}
    images = torch.cat([faces["image"], real["image"]])
    labels = torch.cat([faces["labels"], real["labels"]])
    evenly = even_weights(labels)

    def crops(source: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return source[rows].float().div_(127.5).sub_(1)  # (n, 3, 256, 256)

    estimator = Estimator(len(attributes))
    estimator.trunk.load_state_dict(
        {k: v for k, v in load_identity().trunk.state_dict().items()
         if k in estimator.trunk.state_dict()}
    )  # fmt: skip
    estimator.to(device, memory_format=torch.channels_last)

    def kd_loss(rng: np.random.Generator, n: int) -> torch.Tensor:
        rows = torch.from_numpy(rng.choice(len(evenly), n, p=evenly))
        crop, target = degrade(crops(images, rows), rng), labels[rows].clone()
        if "yaw" in attributes:  # a mirror turns the head the other way
            mirrored = torch.from_numpy(rng.random(n) < 0.5)
            crop[mirrored] = crop[mirrored].flip(3)
            column = attributes.index("yaw")
            target[mirrored, column] = 1 - target[mirrored, column]
        return losses.kd(estimator(crop.to(device)), target.to(device))

    def estimator_step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        kd = kd_loss(rng, batch)
        return kd, {"kd": kd.item()}

    first = torch.optim.AdamW(estimator.parameters(), learning_rate / 2, weight_decay=1e-4)
    estimator, first = accelerator.prepare(estimator, first)
    run(accelerator, folder / "estimator", [estimator], first, estimator_step, estimator_steps,
        seed)  # fmt: skip

    generator = load_generator(device)
    codes = faces["w"]
    single = (codes[:, 0] == codes[:, -1]).all(1)
    single_codes, single_labels = codes[single, 0].to(device), faces["labels"][single].to(device)
    single_evenly = even_weights(faces["labels"][single])
    flow = Flow(len(attributes), solver=SOLVER).to(device)
    mean, variance = single_codes.mean(0), single_codes.var(0)
    # The first norm whitens w from the start; with the bank's own statistics, not a batch's.
    flow.chain[0].running_mean.copy_(mean)
    flow.chain[0].running_var.copy_(variance)
    reader = CodeEstimator(len(attributes), mean, variance.sqrt()).to(device)
    fit_reader(reader, single_codes, single_labels, single_evenly, seed)

    def warm_up_step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        rows = torch.from_numpy(rng.choice(len(single_evenly), tokens, p=single_evenly))
        w = single_codes[rows]  # (B, 512)
        with torch.no_grad():
            c = reader(w).sigmoid()
        z, delta = flow(w, c)
        nll = losses.nll(z, delta)
        c_target = losses.changed_semantics(c, margin=MARGIN)
        w_edited = flow.decode(z, c_target)
        mi = losses.mi(reader(w_edited).sigmoid(), c_target.clamp(0, 1))
        reg = losses.reg(w_edited, w)
        loss = NLL * nll + MI * mi + REG * reg
        return loss, {"nll": nll.item(), "mi": mi.item(), "reg": reg.item()}

    second = torch.optim.Adam(flow.parameters(), learning_rate)
    flow, second = accelerator.prepare(flow, second)
    run(accelerator, folder / "warm_up", [flow], second, warm_up_step, warm_up_steps, seed + 1)

    synthesis = FastSynthesis(generator)
    face_evenly = even_weights(faces["labels"])

    def joint_step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        rows = torch.from_numpy(rng.choice(len(face_evenly), rendered, p=face_evenly))
        w = codes[rows].to(device)  # (B, 18, 512)
        c = estimator(crops(faces["image"], rows).to(device))  # gradient: nll → c → estimator
        z, delta = flow(w[:, rng.permutation(18)[:TOKENS]], c)
        nll = losses.nll(z, delta)
        c_target = losses.changed_semantics(c, margin=MARGIN)
        w_edited = flow.decode(flow.encode(w, c), c_target)
        image = F.avg_pool2d(synthesis(w_edited, 512), 2).clamp(-1, 1)  # (B, 3, 256, 256)
        frozen = {key: value.detach() for key, value in estimator.named_parameters()}
        again = torch.func.functional_call(estimator, frozen, image)
        mi = losses.mi(again, c_target.clamp(0, 1))
        reg = losses.reg(w_edited, w)
        kd = kd_loss(rng, batch // 2)
        loss = KD * kd + NLL * nll + MI * mi + REG * reg
        return loss, {"kd": kd.item(), "nll": nll.item(), "mi": mi.item(), "reg": reg.item()}

    third = torch.optim.Adam([
        {"params": estimator.parameters(), "lr": learning_rate / 20},
        {"params": flow.parameters(), "lr": learning_rate / 3},
    ])
    third = accelerator.prepare(third)
    run(accelerator, folder / "joint", [estimator, flow], third, joint_step, joint_steps, seed + 2,
        save_every=50)  # fmt: skip
    return accelerator.unwrap_model(estimator), accelerator.unwrap_model(flow)


def even_weights(labels: torch.Tensor, bins: int = 5, floor: float = 0.3) -> np.ndarray:
    """Probability of drawing each face (N,): rare values of any attribute come more often.

    Each attribute's values are counted in bins; a face weighs the mean, over attributes, of one
    over its bin's count, mixed with a uniform share ``floor``.
    """
    binned = (labels.clamp(0, 1) * bins).long().clamp(max=bins - 1)  # (N, A)
    weights = torch.zeros(len(labels), dtype=torch.float64)
    for column in binned.T:
        counts = column.bincount(minlength=bins).clamp(min=1)
        weights += 1 / counts[column].double()
    weights = floor / len(labels) + (1 - floor) * weights / weights.sum()
    return (weights / weights.sum()).numpy()


def fit_reader(
    reader: CodeEstimator, w: torch.Tensor, labels: torch.Tensor, evenly: np.ndarray, seed: int,
    steps: int = 600,
) -> None:  # fmt: skip
    """Fits the code estimator by weighted draws; seconds, so it is never checkpointed."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.02)
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(len(evenly), 128, p=evenly))
        noisy = w[rows] + 0.05 * torch.randn_like(w[rows])
        loss = F.mse_loss(reader(noisy).sigmoid(), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    reader.eval().requires_grad_(False)
