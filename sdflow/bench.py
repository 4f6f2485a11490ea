"""The benchmark: generated faces through every step → milliseconds and memory of this machine.

Times of busy machines vary, so each step is also told as a multiple of the plain generator's time:
all steps run in turn, several times over, and the medians of the same rounds are compared.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from sdflow.align import crop_face, find_faces
from sdflow.decompose import decompose
from sdflow.edit import edit, target_semantics
from sdflow.images import to_image, to_tensor
from sdflow.invert import STEPS, invert
from sdflow.pipeline import Editor

PHOTO_SIZE = (1600, 1200)
PLAIN = "synthesis_plain"  # the yardstick
MOVED = 3  # sliders that the edit has moved; its time grows with them
SUMS = {  # what a person waits for, out of which steps
    "open_photo": ("align", "invert", "decompose"),
    "edit_at_1024": ("edit", "synthesis_fast"),
}


def benchmark(repeat: int = 5) -> dict[str, Any]:
    """Measure every step of the pipeline with the default settings.

    Args:
        repeat: rounds, 1 to 100; one more, not counted, comes before them.

    Returns:
        The machine; seconds from nothing to a loaded editor in a new process; for each step the
        median milliseconds and their ratio to the plain generator's; peak memory in MB.

    Raises:
        ValueError: repeat is out of range.
        WeightsError: the weights cannot be had.
    """
    if not 1 <= repeat <= 100:
        raise ValueError(f"Got {repeat} rounds. Give 1 to 100.")
    cold_start = time_cold_start()
    cold_memory = peak_memory(children=True)  # now: later children would start as large as we are
    steps = make_steps(Editor())
    rounds = [
        {name: _milliseconds(step) for name, step in steps.items()} for _ in range(repeat + 1)
    ]
    medians = {name: statistics.median(run[name] for run in rounds[1:]) for name in steps}
    medians |= {name: sum(medians[part] for part in parts) for name, parts in SUMS.items()}
    yardstick = medians[PLAIN]
    return {
        "machine": {
            "processor": platform.machine(),
            "processors": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "repeat": repeat,
        "refinement_steps": STEPS,
        "cold_start_seconds": round(cold_start, 3),
        "steps": {
            name: {"ms": round(value, 2), "of_plain": round(value / yardstick, 4)}
            for name, value in medians.items()
        },
        "peak_memory_mb": {"cold_start": cold_memory, "whole_benchmark": peak_memory()},
    }


def time_cold_start() -> float:
    """Seconds in which a new process imports everything and loads the models."""
    start = time.perf_counter()
    root = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(
        [sys.executable, "-c", "from sdflow.pipeline import Editor; Editor()"],
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    return time.perf_counter() - start


def make_steps(editor: Editor) -> dict[str, Callable[[], object]]:
    """Every step of the pipeline as a function without arguments, on generated faces."""
    models = editor.models
    photo = draw_photo(editor)
    crop = to_tensor(crop_face(photo, find_faces(photo)[0].landmarks)[0], device=models.device)
    w = invert(models, crop, steps=0)

    def read() -> torch.Tensor:
        return models.estimator(F.avg_pool2d(models.synthesis(w, 512).clamp(-1, 1), 2))

    c = torch.no_grad()(read)()
    z, _ = decompose(models.flow, w, c)
    moved = torch.zeros_like(c)
    moved[:, :MOVED] = 1
    c_target = target_semantics(c, moved, models.poles)

    def align() -> None:
        landmarks = find_faces(photo)[0].landmarks
        crop_face(photo, landmarks, 256)
        crop_face(photo, landmarks, 1024)

    steps: dict[str, Callable[[], object]] = {
        "align": align,
        "invert_encoder": lambda: invert(models, crop, steps=0),
        "invert": lambda: invert(models, crop, STEPS),
        "decompose": torch.no_grad()(lambda: decompose(models.flow, w, read())),
        "edit": lambda: edit(models.flow, w, z, c, c_target, models.gates),
        PLAIN: torch.no_grad()(lambda: to_image(models.generator(w))),
        "synthesis_fast": lambda: to_image(models.synthesis(w)),
        "synthesis_preview": lambda: to_image(models.synthesis(w, 512)),
    }
    return steps


def draw_photo(editor: Editor) -> Image.Image:
    """A photo with two generated faces, the second one smaller."""
    photo = Image.new("RGB", PHOTO_SIZE, (128, 132, 140))
    for seed, side, place in ((1, 800, (60, 200)), (2, 480, (1000, 400))):
        face = editor.reconstruct(editor.random(seed, psi=0.5))
        photo.paste(face.resize((side, side), Image.Resampling.LANCZOS), place)
    return photo


def peak_memory(children: bool = False) -> float | None:
    """Largest resident memory so far in MB, of this process or of its largest child."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has none
        return None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return round(usage.ru_maxrss / unit, 1)


def show(report: dict[str, Any]) -> str:
    """The report as a table for a person."""
    lines = [f"{name}: {value}" for name, value in report["machine"].items()]
    lines.append(f"cold start: {report['cold_start_seconds']:.1f} s")
    lines.append(f"{'step':<20}{'ms':>10}{'of plain':>10}")
    for name, step in report["steps"].items():
        lines.append(f"{name:<20}{step['ms']:>10.1f}{step['of_plain']:>10.2f}")
    memory = ", ".join(f"{name} {mb}" for name, mb in report["peak_memory_mb"].items())
    return "\n".join([*lines, f"peak memory in MB: {memory}"])


def _milliseconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)
