"""Trains the semantic estimator and the flow together: loss = kd + nll + mi + reg (SDFlow).

Three stages, each resumable. *estimator*: kd alone, on generated and real faces. *warm-up*: the
flow on codes of one w, with mi through a small reader of the code itself, hundreds of times
cheaper than a picture. *joint*: the paper's step, mi through the generator and the estimator, both
networks trained, and with them the gates: which layers an attribute moves. The original's faults
are mended: the norms keep the bank's statistics, so that both directions of a step are exact
inverses; the noise of a solve is drawn once; mi's target is constant, and mi does not teach the
estimator to flatter the flow (its parameters take no gradient from it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from sdflow.allocator import tune_allocator
from sdflow.attributes import ATTRIBUTES
from sdflow.edit import gated_change
from sdflow.models import load_generator, load_identity
from sdflow.networks.cnf import Flow, Solver
from sdflow.networks.estimator import Estimator
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.training import losses
from sdflow.training.faces import LabelledFaces
from sdflow.training.loop import run
from sdflow.training.reader import CodeReader, fit_reader
from sdflow.training.recipe import Recipe

SOLVER = Solver("midpoint", 6)
MARGIN = 0.15  # the changed value is drawn from so far beyond 0 and 1, where the poles lie
ENDS = 0.5  # share of the changed values that lie there
MOST = 5  # attributes that change at once
TOKENS = 6  # layers of a W+ code, drawn anew each step, that nll looks at
LAYERS = 18
GATE_START = 2.0  # logit: open, and easy to close
GATE_RATE = 0.04  # peak learning rate of the gates' logits


@dataclass(frozen=True)
class Trained:
    """What a training ends with; the estimator is None where the recipe trains none.

    gates: share of its change that each attribute gives each layer, (A, 18) in 0..1.
    """

    estimator: Estimator | None
    flow: Flow
    gates: torch.Tensor


def train_semantics(
    bank_folder: Path,
    folder: Path,
    attributes: tuple[str, ...],
    name: str,
    recipe: Recipe,
    estimator_steps: int = 3000,
    warm_up_steps: int = 1500,
    joint_steps: int = 1000,
    batch: int = 32,
    tokens: int = 128,
    rendered: int = 4,
    learning_rate: float = 1e-3,
    seed: int = 0,
    precision: str = "bf16",
) -> Trained:
    """Trains estimator and flow on the labelled bank.

    Args:
        bank_folder: labelled shards of the kinds of `bank.WITH_CODES`, and ``real``.
        folder: checkpoints, which go on where they stopped; the estimator's first stage is
            shared by all recipes, the others lie in a folder of the recipe's name.
        attributes: names of c's entries; their labels are columns of the index.
        name: of the recipe.
        recipe: what is optimised.
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
    tune_allocator()
    accelerator = Accelerator(mixed_precision=precision)
    faces = LabelledFaces(bank_folder, attributes, crops=recipe.joint)
    estimator = None
    if recipe.joint:
        estimator = train_estimator(accelerator, faces, folder, estimator_steps, batch,
                                    learning_rate / 2, seed)  # fmt: skip
    flow = warm_up(accelerator, faces, folder / name, recipe, warm_up_steps, tokens,
                   learning_rate, seed)  # fmt: skip
    gates = Gates(attributes).to(accelerator.device)
    if recipe.joint:
        train_jointly(accelerator, faces, estimator, flow, gates, folder / name, recipe,
                      joint_steps, batch, rendered, learning_rate, seed)  # fmt: skip
    shares = gates().detach() if recipe.gated else torch.ones_like(gates())
    return Trained(estimator, flow, shares.cpu())


def train_estimator(
    accelerator: Accelerator, faces: LabelledFaces, folder: Path, steps: int, batch: int,
    learning_rate: float, seed: int,
) -> Estimator:  # fmt: skip
    """First stage: the estimator learns the teachers' labels."""
    torch.manual_seed(seed)
    estimator = Estimator(len(faces.attributes))
    state = load_identity().trunk.state_dict()
    kept = estimator.trunk.state_dict().keys()
    estimator.trunk.load_state_dict({k: v for k, v in state.items() if k in kept})
    estimator.to(accelerator.device, memory_format=torch.channels_last)

    def step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        crop, target = faces.degraded(rng, batch)
        kd = losses.kd(estimator(crop.to(accelerator.device)), target.to(accelerator.device))
        return kd, {"kd": kd.item()}

    optimiser = torch.optim.AdamW(estimator.parameters(), learning_rate, weight_decay=1e-4)
    run(accelerator, folder / "estimator", [estimator], optimiser, step, steps, seed)
    return estimator


def warm_up(
    accelerator: Accelerator, faces: LabelledFaces, folder: Path, recipe: Recipe, steps: int,
    tokens: int, learning_rate: float, seed: int,
) -> Flow:  # fmt: skip
    """Second stage: the flow learns codes of one w, mi read off the edited code."""
    torch.manual_seed(seed)
    device = accelerator.device
    codes, labels = faces.single.to(device), faces.single_labels.to(device)
    flow = Flow(len(faces.attributes), solver=SOLVER).to(device)
    mean, variance = codes.mean(0), codes.var(0)
    # The first norm whitens w from the start; with the bank's own statistics, not a batch's.
    flow.chain[0].running_mean.copy_(mean)
    flow.chain[0].running_var.copy_(variance)
    reader = CodeReader(len(faces.attributes), mean, variance.sqrt()).to(device)
    fit_reader(reader, codes, labels, faces.single_evenly, seed)
    with torch.no_grad():
        read = reader(codes).sigmoid()  # (S, A)
    conditions = torch.where(labels.isnan(), read, labels) if recipe.labels else read

    def step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        rows = torch.from_numpy(rng.choice(len(codes), tokens, p=faces.single_evenly))
        w, c = codes[rows], conditions[rows]  # (B, 512), (B, A)
        z, delta = flow(w, c)
        nll = losses.nll(z, delta)
        loss, figures = recipe.nll * nll, {"nll": nll.item()}
        if recipe.mi or recipe.reg:
            c_target = losses.changed_semantics(c, margin=MARGIN, most=MOST, ends=ENDS)
            w_edited = flow.decode(z, c_target)
            mi = losses.mi(reader(w_edited), c_target.clamp(0, 1))
            reg = losses.reg(w_edited, w)
            loss = loss + recipe.mi * mi + recipe.reg * reg
            figures |= {"mi": mi.item(), "reg": reg.item()}
        return loss, figures

    optimiser = torch.optim.Adam(flow.parameters(), learning_rate)
    run(accelerator, folder / "warm_up", [flow], optimiser, step, steps, seed + 1)
    return flow


class Gates(torch.nn.Module):
    """Which layers an attribute moves, (A, 18) in 0..1: learnt within those that it may move."""

    def __init__(self, attributes: tuple[str, ...]) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.full((len(attributes), LAYERS), GATE_START))
        allowed = torch.zeros(len(attributes), LAYERS)
        for row, name in zip(allowed, attributes, strict=True):
            row[slice(*ATTRIBUTES[name].layers)] = 1
        self.register_buffer("allowed", allowed)

    def forward(self) -> torch.Tensor:
        return self.logits.sigmoid() * self.allowed


def train_jointly(
    accelerator: Accelerator, faces: LabelledFaces, estimator: Estimator, flow: Flow,
    gates: Gates, folder: Path, recipe: Recipe, steps: int, batch: int, rendered: int,
    learning_rate: float, seed: int,
) -> None:  # fmt: skip
    """Third stage: estimator, flow and gates, with mi through the rendered edit."""
    device = accelerator.device
    synthesis = FastSynthesis(load_generator(device))
    identity = load_identity(device)
    every = torch.ones(len(faces.attributes), LAYERS, device=device)
    pictured = recipe.mi > 0 or recipe.identity > 0

    def step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        rows = torch.from_numpy(rng.choice(len(faces.codes), rendered, p=faces.codes_evenly))
        w = faces.codes[rows].to(device)  # (B, 18, 512)
        crop = faces.crops(rows).to(device)
        c = estimator(crop)  # gradient: nll → c → estimator, and no other way than nll's
        z, delta = flow(w[:, rng.permutation(LAYERS)[:TOKENS]], c)
        nll = losses.nll(z, delta)
        c = c.detach()
        c_target = losses.changed_semantics(c, margin=MARGIN, most=MOST, ends=ENDS)
        shares = gates() if recipe.gated else every
        w_edited = w + gated_change(flow, flow.encode(w, c), c, c_target, shares)
        reg = losses.reg(w_edited, w)
        closed = gates().mean()
        crops, labels = faces.degraded(rng, batch // 2)
        kd = losses.kd(estimator(crops.to(device)), labels.to(device))
        loss = recipe.kd * kd + recipe.nll * nll + recipe.reg * reg
        figures = {"kd": kd.item(), "nll": nll.item(), "reg": reg.item(), "gates": closed.item()}
        if pictured:
            image = F.avg_pool2d(synthesis(w_edited, 512), 2).clamp(-1, 1)  # (B, 3, 256, 256)
            estimator.requires_grad_(False)  # mi shall not teach it to flatter the flow
            with accelerator.autocast():
                logits = estimator.logits(image).float()
            estimator.requires_grad_(True)
            mi = losses.mi(logits, c_target.clamp(0, 1))
            with torch.no_grad():
                person = identity(crop)
            kept = losses.identity(identity(image), person)
            loss = loss + recipe.mi * mi + recipe.identity * kept + recipe.gates * closed
            figures |= {"mi": mi.item(), "identity": kept.item()}
        return loss, figures

    optimiser = torch.optim.Adam([
        {"params": estimator.parameters(), "lr": learning_rate / 20},
        {"params": flow.parameters(), "lr": learning_rate / 3},
        {"params": gates.parameters(), "lr": GATE_RATE},
    ])
    run(accelerator, folder / "joint", [estimator, flow, gates], optimiser, step, steps, seed + 2,
        save_every=50)  # fmt: skip
