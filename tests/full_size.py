"""A folder with the full-size models' files, as their authors nest them, filled by rule."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from sdflow import checkpoints
from tests.networks.filling import GOLDENS, contract, entries, filled
from tests.weights.published import MEAN_CODES, keys, nested

PUBLISHED = {"stylegan2": "stylegan2-ffhq-config-f.pt", "e4e": "e4e_ffhq_encode.pt"}
CONVERTED = ("classifier", "estimator_a3", "estimator_a5", "flow_a3", "flow_a5")


def write_full_size(folder: Path, names: tuple[str, ...] = (*PUBLISHED, *CONVERTED)) -> Path:
    """Writes the files of these entries of the manifest, for SDFLOW_WEIGHTS_DIR; 1.7 GB in all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name in PUBLISHED:
            torch.save(nested(name, state(name), mean_code(name)), folder / PUBLISHED[name])
        else:
            original = folder / f"{name}.pth"
            torch.save(state(name), original)
            checkpoints.convert(original, folder)
            original.unlink()
    return folder


def state(name: str) -> dict[str, Tensor]:
    """A network's tensors."""
    if name.startswith("flow"):
        rules = json.loads((GOLDENS / "cnf_flow.json").read_text(encoding="utf-8"))["rules"]
        return filled(keys(name), rules)
    return filled(entries(name), contract(name)["rules"])


def mean_code(name: str) -> Tensor:
    """That of a generator or an encoder."""
    entry = {"latent_avg": (MEAN_CODES[name], "float32")}
    return filled(entry, contract(name)["rules"])["latent_avg"]
