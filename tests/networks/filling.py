"""Networks filled with numbers from their keys' names, and what the original computes with them.

No pretrained file is needed to prove that a network is the original's: tests/goldens holds every
key with its shape and dtype (full_size_keys.txt.xz), the rules that fill them and the inputs
(full_size.json), and a part of the original's outputs (full_size.npz), by network.
"""

from __future__ import annotations

import json
import lzma
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

GOLDENS = Path(__file__).parents[1] / "goldens"
Entries = Mapping[str, tuple[Sequence[int], str]]  # key → shape, dtype


@cache
def contract(network: str) -> dict[str, Any]:
    """Rules, their check, inputs and their check, of one network."""
    return json.loads((GOLDENS / "full_size.json").read_text(encoding="utf-8"))[network]


def entries(network: str) -> Entries:
    """All keys of the original's state dict, with shapes and dtypes."""
    text = lzma.decompress((GOLDENS / "full_size_keys.txt.xz").read_bytes()).decode()
    section = text.split(f"# {network}\n")[1].split("#")[0]
    rows = (line.split(" ") for line in section.splitlines())
    return {key: (list(map(int, filter(None, shape.split(",")))), dtype)
            for key, shape, dtype in rows}  # fmt: skip


def golden(network: str, file: str = "full_size") -> dict[str, Tensor]:
    """A part of the original's outputs."""
    with np.load(GOLDENS / f"{file}.npz") as stored:
        return {
            name.removeprefix(f"{network}/"): torch.from_numpy(stored[name])
            for name in stored.files if name.startswith(f"{network}/")
        }  # fmt: skip


def filled(wanted: Entries, rules: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Numbers for every key, drawn by the first rule that matches its name."""
    return {key: _tensor(key, shape, dtype, rules) for key, (shape, dtype) in wanted.items()}


def _tensor(key: str, shape: Sequence[int], dtype: str, rules: Sequence[Mapping]) -> Tensor:
    rule = next(rule for rule in rules if re.search(rule["match"], key))
    if rule["op"] == "zeros":
        return torch.zeros(tuple(shape), dtype=getattr(torch, dtype))
    if rule["op"] == "blur_kernel":
        taps = np.float32([1, 3, 3, 1])
        return torch.from_numpy(np.outer(taps, taps) / np.float32(16))
    generator = np.random.default_rng(zlib.crc32(key.encode("utf-8")))
    n = np.asarray(generator.standard_normal(shape, dtype=np.float32))
    if rule["op"] == "normal_fan_in":
        n *= np.float32(rule["gain"] / math.sqrt(math.prod(shape[1:])))
    else:
        n = np.abs(n) if rule["op"] == "abs_normal" else n
        n = np.float32(rule["offset"]) + np.float32(rule["scale"]) * n
    return torch.from_numpy(np.asarray(n, np.float32))


def drawn(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Tensor]:
    """The inputs of a contract."""
    return {name: torch.from_numpy(_draw(how)) for name, how in inputs.items()}


def _draw(how: Mapping[str, Any]) -> np.ndarray:
    if how["kind"] == "values":
        return np.asarray(how["values"], np.float32)
    generator = np.random.default_rng(how["seed"])
    if how["kind"] == "uniform":
        return generator.random(how["shape"], dtype=np.float32)
    if how["kind"] == "normal":
        return np.float32(how["scale"]) * generator.standard_normal(how["shape"], np.float32)
    batch, channels, height, width = how["shape"]  # an image: 4x4 patches of colour, and grain
    base = generator.random((batch, channels, 4, 4), dtype=np.float32)
    fine = generator.random((batch, channels, height, width), dtype=np.float32)
    patches = base.repeat(height // 4, 2).repeat(width // 4, 3)
    return np.float32(1.6) * patches + np.float32(0.4) * fine - np.float32(1)


def load(build: Callable[[], nn.Module], state: Mapping[str, Tensor]) -> nn.Module:
    """A frozen network with this very state, without drawing first numbers for it."""
    with torch.device("meta"):
        network = build()
    network.to_empty(device="cpu").load_state_dict(state, strict=True, assign=True)
    for name, buffer in network.named_buffers():
        if name not in state:  # the mean code, which the checkpoints keep elsewhere
            buffer.zero_()
    return network.eval().requires_grad_(False)


def differences(network: nn.Module, wanted: Entries) -> list[str]:
    """What is wrong with a state dict, one line a key."""
    has = {
        key: f"{list(value.shape)} {value.dtype}".replace("torch.", "")
        for key, value in network.state_dict().items()
    }
    should = {key: f"{list(shape)} {dtype}" for key, (shape, dtype) in wanted.items()}
    return [
        f"{key}: {has.get(key, 'missing')}, should be {should.get(key, 'missing')}"
        for key in sorted(has.keys() | should.keys()) if has.get(key) != should.get(key)
    ]  # fmt: skip


def check(tensors: Mapping[str, Tensor], checks: Mapping[str, Mapping[str, Any]]) -> None:
    """The first numbers and the sum of tensors that a rule has made."""
    assert checks
    for name, expected in checks.items():
        close(tensors[name].flatten()[:3], torch.tensor(expected["first3"]), atol=1e-6)
        assert tensors[name].double().sum().item() == pytest.approx(expected["sum"], abs=1e-3)


def close(actual: Tensor, expected: Tensor, atol: float, rtol: float = 0.0) -> None:
    """Within a contract's tolerance; any dtype and memory format."""
    torch.testing.assert_close(actual.detach().to(expected.dtype), expected, atol=atol, rtol=rtol)
