"""Writes trained networks to ``weights/``: fp16 safetensors in parts below 10 MB, and manifest."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from sdflow.manifest import add_repository_entry, manifest_path
from sdflow.networks.cnf import FINE
from sdflow.training.bank import write_whole

PART = 9_000_000  # bytes of tensors in one file
LICENCE = "research / non-commercial use: trained on faces of a StyleGAN2-FFHQ student and on LFW"


def export(name: str, network: nn.Module, settings: dict | None = None) -> list[Path]:
    """Stores a network under ``weights/`` as `store` does and records it in the manifest."""
    files = store(manifest_path().parent, name, network, settings)
    add_repository_entry(name, files, "runtime", LICENCE)
    return files


def store(
    folder: Path, name: str, network: nn.Module, settings: dict | None = None
) -> list[Path]:
    """Stores a network in float16.

    Args:
        folder: where.
        name: of the files, with a number where it takes several; of the manifest's entry.
        network: the trained network.
        settings: numbers that loading needs, kept as JSON in the files' metadata.

    Returns:
        The files, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for key, value in network.state_dict().items():
        stored = value.detach().cpu().half().contiguous()
        if size + stored.nbytes > PART:
            parts.append({})
            size = 0
        parts[-1][key] = stored
        size += stored.nbytes
    for old in folder.glob(f"{name}*.safetensors"):
        old.unlink()
    files = []
    for number, part in enumerate(parts, 1):
        stem = name if len(parts) == 1 else f"{name}-{number}"
        files.append(folder / f"{stem}.safetensors")
        write_whole(part, files[-1], {"settings": json.dumps(settings or {})})
        files[-1].chmod(0o644)
    return files


@torch.no_grad()
def storage_loss(
    trained: tuple[nn.Module, nn.Module], stored: tuple[nn.Module, nn.Module], crops: torch.Tensor,
    w: torch.Tensor,
) -> dict[str, float]:  # fmt: skip
    """What storing in float16 costs: `c`, the largest difference of an estimate; `edit`, the rms
    difference of an edit over the rms of the edit.

    Args:
        trained: estimator and flow in float32.
        stored: the same as they are read back.
        crops: faces, (B, 3, H, H) in [-1, 1].
        w: their codes, (B, L, 512); the first attribute of the first face goes to its other
            side, the second of the second, and so on.
    """
    c = [estimator(crops) for estimator, _ in (trained, stored)]
    index = torch.arange(len(w)) % c[0].shape[1]
    target = c[0].clone()
    target[torch.arange(len(w)), index] = 1 - target[torch.arange(len(w)), index].round()
    edits = []
    for _, flow in (trained, stored):
        z = flow.encode(w, c[0], FINE)
        edits.append(flow.decode(z, target, FINE) - flow.decode(z, c[0], FINE))
    return {
        "c": (c[0] - c[1]).abs().max().item(),
        "edit": ((edits[0] - edits[1]).square().mean() / edits[0].square().mean()).sqrt().item(),
    }
