"""The loop that every training shares: schedule, checkpoints, resuming, progress."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from sdflow.training.progress import Progress

WARM_UP = 100  # steps over which the learning rate rises

Step = Callable[[int, np.random.Generator], tuple[torch.Tensor, dict[str, float]]]


def run(
    accelerator: Accelerator,
    folder: Path,
    modules: list[nn.Module],
    optimiser: torch.optim.Optimizer,
    step: Step,
    steps: int,
    seed: int = 0,
    save_every: int = 200,
) -> None:
    """Runs ``step`` until ``steps``; goes on from the last checkpoint in ``folder``, if any.

    Step k draws from a generator seeded by (seed, k) alone, so a resumed run sees what an unbroken
    one sees.

    Args:
        accelerator: prepares modules and optimiser in place.
        folder: where checkpoints and ``log.jsonl`` lie.
        modules: trained modules, whose gradients are clipped.
        optimiser: its learning rates are the peak of the schedule.
        step: (k, random generator) → loss and figures to log.
        steps: how many in all.
        seed: of every draw.
        save_every: steps between checkpoints.

    Raises:
        ValueError: the folder holds a run of another length.
    """
    folder.mkdir(parents=True, exist_ok=True)
    accelerator.free_memory()  # a checkpoint holds this stage alone, whatever came before it
    accelerator.prepare(*modules, optimiser)
    state = folder / "checkpoint"
    earlier = state.with_name("checkpoint.old")
    if earlier.exists() and not state.exists():  # killed while a checkpoint took its place
        earlier.rename(state)
    done = 0
    if (state / "done.json").exists():
        told = json.loads((state / "done.json").read_text())
        if told["of"] != steps:  # the schedule would have been another one all along
            raise ValueError(
                f"{folder} holds a run of {told['of']} steps, and {steps} are asked for."
                f" Ask for {told['of']}, or remove the folder to start anew."
            )
        accelerator.load_state(str(state))
        done = told["done"]
    peaks = [group.setdefault("peak", group["lr"]) for group in optimiser.param_groups]
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    progress = Progress(f"{folder.name} steps", steps - done)
    means: dict[str, float] = {}
    for k in range(done, steps):
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * schedule(k, steps)
        torch.manual_seed(int(np.random.SeedSequence((seed, k)).generate_state(1)[0]))
        loss, figures = step(k, np.random.default_rng((seed, k)))
        optimiser.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        for name, value in figures.items():
            means[name] = 0.95 * means.get(name, value) + 0.05 * value
        progress.advance(note=", ".join(f"{name} {value:.4f}" for name, value in means.items()))
        if (k + 1) % save_every == 0 or k + 1 == steps:
            _save(accelerator, state, {"done": k + 1, "of": steps})
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": k + 1, **means}) + "\n")


def schedule(k: int, steps: int) -> float:
    """Share of the peak learning rate at step k: a linear rise, then half a cosine to 2 %."""
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * k / max(steps, 1)))
    return min(1.0, (k + 1) / min(WARM_UP, steps)) * fall


def _save(accelerator: Accelerator, state: Path, told: dict[str, int]) -> None:
    temporary = state.with_name("checkpoint.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    accelerator.save_state(str(temporary))
    (temporary / "done.json").write_text(json.dumps(told))
    old = state.with_name("checkpoint.old")
    shutil.rmtree(old, ignore_errors=True)
    if state.exists():
        state.rename(old)
    temporary.rename(state)
