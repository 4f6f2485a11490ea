"""Files as their authors published them: right in every key and shape, but one number a tensor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.networks.filling import GOLDENS, Entries, entries

NAMES = (
    "stylegan2", "e4e", "classifier", "estimator_a3", "estimator_a5", "flow_a3", "flow_a5"
)  # fmt: skip
MEAN_CODES = {"stylegan2": (512,), "e4e": (18, 512)}  # their shapes


def keys(name: str) -> Entries:
    """Keys, shapes and dtypes of a contract."""
    if not name.startswith("flow"):
        return entries(name)
    shapes = json.loads((GOLDENS / "cnf_flow.json").read_text(encoding="utf-8"))["a3"]["shapes"]
    context = 1 + int(name[-1])  # the time and the attributes
    return {
        key: ([shape[0], context] if key.endswith(("_hyper_bias.weight", "_hyper_gate.weight"))
              else shape, "float32")
        for key, shape in shapes.items()
    }  # fmt: skip


def published(name: str) -> dict[str, Any]:
    """The content of a published file; each tensor holds the length of its key."""
    state = {key: number(key, *entry) for key, entry in keys(name).items()}
    return nested(name, state, torch.ones(MEAN_CODES[name]) if name in MEAN_CODES else None)


def nested(name: str, state: dict[str, Tensor], mean: Tensor | None = None) -> dict[str, Any]:
    """A network's tensors and its mean code as the authors nest them."""
    if name == "stylegan2":
        return {"g_ema": state, "d": {"x": torch.ones(3)}, "latent_avg": mean}
    if name == "e4e":
        encoder = {f"encoder.{key}": value for key, value in state.items()}
        return {
            "state_dict": {**encoder, "decoder.to_rgb1.bias": torch.ones(1, 3, 1, 1)},
            "latent_avg": mean,
            "opts": {"lr": 1e-4, "device": "cuda:0"},
        }
    return state


def number(key: str, shape: list[int], dtype: str) -> Tensor:
    """A tensor of one number, stored once."""
    return torch.tensor(len(key), dtype=getattr(torch, dtype)).expand(shape)


def save(content: object, path: Path, is_zip: bool = True) -> Path:
    """As PyTorch writes it now, or as it did before version 1.6."""
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    return path
