"""Writes trained networks to ``weights/``: fp16 safetensors in parts below 10 MB, and manifest."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from sdflow.manifest import add_repository_entry, manifest_path
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
