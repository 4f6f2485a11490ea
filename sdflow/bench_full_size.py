"""The benchmark of the full-size networks: one slider move as the original does it, and as we do.

The original does every step again whenever a slider moves: it reads two networks from the disk,
encodes, classifies three pictures, renders two, and integrates a divergence that nobody asks for.
Here the same networks do both in one run, with numbers drawn at random, since time does not depend
on them (only the adaptive solver's does, a little).
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sdflow.bench import in_new_process, milliseconds, peak_memory
from sdflow.edit import edit
from sdflow.networks.cnf import ADAPTIVE, FINE, Flow
from sdflow.networks.e4e import E4E
from sdflow.networks.fast_synthesis import native_dtype
from sdflow.networks.resnet import AttributeClassifier, ReleasedEstimator
from sdflow.networks.stylegan2 import StyleGAN2, Synthesis

ATTRIBUTES = 5
ORIGINAL = {  # what a slider move of the original's demo does, and how often
    "read_weights": 1, "classify": 3, "encode": 1, "estimate": 1, "flow_with_divergence": 1,
    "flow_back": 1, "synthesis_float32": 2,
}  # fmt: skip
OURS = {"edit": 1, "synthesis": 1}
WAYS: dict[str, dict[str, Any]] = {  # how else StyleGAN2 can be run → what `Synthesis` is given
    "synthesis_float32_contiguous": {"memory_format": torch.contiguous_format},
    "synthesis_bfloat16_contiguous": {
        "dtype": torch.bfloat16, "memory_format": torch.contiguous_format,
    },
    "synthesis_float16": {"dtype": torch.float16},
    "synthesis_bfloat16_compiled": {"dtype": torch.bfloat16, "compiler": "inductor"},
}  # fmt: skip
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "stylegan2": StyleGAN2,
    "e4e": E4E,
    "classifier": AttributeClassifier,
    "estimator": lambda: ReleasedEstimator(ATTRIBUTES),
    "flow": lambda: Flow(ATTRIBUTES),
}


def benchmark_full_size(
    repeat: int = 3, device: str | None = None, ways: bool = False
) -> dict[str, Any]:
    """Times the steps of a slider move, ours and the original's, and the memory of each network.

    Args:
        repeat: rounds, 1 to 100; one more, not counted, comes before them.
        device: default CUDA where there is one, else the CPU.
        ways: also run StyleGAN2 in other precisions and memory formats, and compiled, which the
            round that is not counted waits for.

    Returns:
        Median milliseconds of each step and of both slider moves, with their ratio to the
        original's whole; peak memory in MB of a process that runs one network once.

    Raises:
        ValueError: repeat is out of range.
    """
    if not 1 <= repeat <= 100:
        raise ValueError(f"Got {repeat} rounds. Give 1 to 100.")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    memory = {name: _memory_of(name) for name in NETWORKS}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        steps = make_steps(Path(folder), torch.device(device), ways)
        rounds = [{name: milliseconds(step) for name, step in steps.items()}
                  for _ in range(repeat + 1)]  # fmt: skip
    medians = {name: statistics.median(run[name] for run in rounds[1:]) for name in steps}
    for move, parts in (("slider_move_original", ORIGINAL), ("slider_move", OURS)):
        medians[move] = sum(times * medians[name] for name, times in parts.items())
    whole = medians["slider_move_original"]
    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "repeat": repeat,
        "steps": {
            name: {"ms": round(value, 2), "of_original": round(value / whole, 4)}
            for name, value in medians.items()
        },
        "peak_memory_mb": memory,
    }


def make_steps(
    folder: Path, device: torch.device, ways: bool = False
) -> dict[str, Callable[[], object]]:
    """Every step as a function without arguments, on numbers drawn at random."""
    networks = {name: drawn(name).to(device) for name in NETWORKS}
    generator, flow = networks["stylegan2"], networks["flow"]
    plain, fast = Synthesis(generator), Synthesis(generator, native_dtype(device))
    small = {name: folder / f"{name}.safetensors" for name in ("flow", "estimator")}
    for name, file in small.items():
        save_file({key: value.cpu() for key, value in networks[name].state_dict().items()}, file)
    crop = torch.rand(1, 3, 256, 256, device=device) * 2 - 1
    w, c = torch.randn(1, 18, 512, device=device), torch.rand(1, ATTRIBUTES, device=device)
    c_target = c.clone()
    c_target[:, 0] = 1 - c[:, 0]
    z = flow.encode(w, c, FINE)

    def read() -> list[nn.Module]:
        return [_filled(NETWORKS[name](), load_file(file)).to(device)
                for name, file in small.items()]  # fmt: skip

    steps = {
        "read_weights": read,
        "classify": lambda: networks["classifier"](crop),
        "encode": lambda: networks["e4e"](crop),
        "estimate": lambda: networks["estimator"](crop),
        "flow_with_divergence": lambda: flow(w, c, solver=ADAPTIVE),
        "flow_back": lambda: flow.decode(z, c_target, ADAPTIVE),
        "synthesis_float32": lambda: plain(w),
        "synthesis": lambda: fast(w),
        "synthesis_preview": lambda: fast(w, 512),
        "edit": lambda: edit(flow, w, z, c, c_target),
    }
    others = {name: Synthesis(generator, **how) for name, how in WAYS.items() if ways}
    return steps | {name: partial(other, w) for name, other in others.items()}


def drawn(name: str) -> nn.Module:
    """A network with random numbers: its own where it draws some, else normal ones."""
    torch.manual_seed(0)
    network = NETWORKS[name]().eval().requires_grad_(False)
    if name == "stylegan2":  # its parameters are scaled when it runs
        for tensor in network.state_dict().values():
            tensor.normal_()
        for key, tensor in network.named_buffers():
            if key.endswith("kernel"):
                tensor.fill_(0.25)
    return network


def run_once(name: str) -> None:
    """Runs one network, in float32, and prints this process's peak memory in MB."""
    network, crop = drawn(name), torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        if name == "stylegan2":
            Synthesis(network)(torch.randn(1, 18, 512))
        elif name == "flow":
            network.encode(torch.randn(1, 18, 512), torch.rand(1, ATTRIBUTES), FINE)
        else:
            network(crop)
    print(peak_memory())


def show(report: dict[str, Any]) -> str:
    """The report as a table for a person."""
    lines = [f"device: {report['device']}, threads: {report['threads']}, load: {report['load']}"]
    lines.append(f"{'step':<32}{'ms':>10}{'of the original':>18}")
    for name, step in report["steps"].items():
        lines.append(f"{name:<32}{step['ms']:>10.1f}{step['of_original']:>18.3f}")
    memory = ", ".join(f"{name} {mb}" for name, mb in report["peak_memory_mb"].items())
    return "\n".join([*lines, f"peak memory of a process that runs one of them, MB: {memory}"])


def _memory_of(name: str) -> float | None:
    code = f"from sdflow.bench_full_size import run_once; run_once({name!r})"
    printed = in_new_process(code).strip()
    return None if printed == "None" else float(printed)


def _filled(network: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    network.load_state_dict(state)
    return network.eval()
