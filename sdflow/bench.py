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

from sdflow import doubts, tuning
from sdflow.align import crop_face, find_faces
from sdflow.compose import gone_classes, parse, with_detail
from sdflow.decompose import decompose
from sdflow.edit import edit, target_semantics
from sdflow.images import to_image, to_tensor
from sdflow.invert import REFINED, STEPS, invert, refine
from sdflow.originals import open_original
from sdflow.pipeline import Editor

PHOTO_SIZE = (1600, 1200)
LARGE_PHOTO = (4000, 3000)  # of 12 megapixels, to paste into
LARGE_CROP = 1600  # side of its face's crop there; the face is half as wide
PLAIN = "synthesis_plain"  # the yardstick
MOVED = 3  # sliders that the edit has moved; its time grows with them
TUNED = 5  # steps of tuning in a run
SUMS = {  # what a person waits for, out of how many of which steps
    "open_photo": {"align": 1, "invert": 1, "doubts": 1, "decompose": 1},
    "open_refined": {
        "align": 1, "invert_forward": 1, "refine_step": REFINED, "doubts": 1, "decompose": 1
    },
    "open_tuned": {"open_refined": 1, "tune_step": tuning.STEPS, "doubts": 1, "decompose": 1},
    "edit_at_1024": {"edit": 1, "synthesis_fast": 1},
    "edit_and_paste": {"edit_at_1024": 1, "paste": 1},
}  # fmt: skip


def benchmark(repeat: int = 5) -> dict[str, Any]:
    """Measure every step of the pipeline with the default settings.

    Args:
        repeat: rounds, 1 to 100; one more, not counted, comes before them.

    Returns:
        The machine; seconds from nothing to a loaded editor in a new process; for each step the
        median milliseconds and their ratio to the plain generator's; peak memory in MB. A step of
        refinement or tuning is its share of a run of several; `SUMS` are sums of medians.

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
        {name: milliseconds(step) for name, step in steps.items()} for _ in range(repeat + 1)
    ]
    medians = {name: statistics.median(run[name] for run in rounds[1:]) for name in steps}
    medians["refine_step"] /= STEPS
    medians["tune_step"] /= TUNED
    for name, parts in SUMS.items():
        medians[name] = sum(times * medians[part] for part, times in parts.items())
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
        "paste_photo": {"size": list(LARGE_PHOTO), "crop": LARGE_CROP},
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
    in_new_process("from sdflow.pipeline import Editor; Editor()")
    return time.perf_counter() - start


def in_new_process(code: str) -> str:
    """What a process prints that runs this code with our package at hand."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ).stdout  # fmt: skip


def make_steps(editor: Editor) -> dict[str, Callable[[], object]]:
    """Every step of the pipeline as a function without arguments, on generated faces."""
    models = editor.models
    photo = draw_photo(editor)
    small, alignment = crop_face(photo, find_faces(photo)[0].landmarks)
    crop = to_tensor(small, device=models.device)
    w = invert(models, crop, steps=0)
    inversion = models.synthesis(w, 512)

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

    def doubt() -> None:
        sure = doubts.confidence(models, crop, inversion)
        doubts.warnings(models, crop, alignment, sure)

    original = open_original(draw_large_photo(editor))
    face = editor.open(original.working(), steps=0)
    edited = editor.edit(face, dict.fromkeys(models.shipped[:MOVED], 1.0))
    unmoved, gone = editor.reconstruct(face), gone_classes(edited.before, edited.after)
    sharp = to_tensor(face.picture, 512, models.device)

    steps: dict[str, Callable[[], object]] = {
        "align": align,
        "parse": lambda: parse(models, crop),
        "invert_encoder": torch.no_grad()(lambda: models.encoder(crop)),
        "invert_forward": lambda: invert(models, crop, steps=0),
        "invert": lambda: invert(models, crop, STEPS),
        "refine_step": lambda: refine(models, crop, w, STEPS),
        "tune_step": lambda: tuning.tune(models, sharp, w, TUNED),
        "doubts": doubt,
        "decompose": torch.no_grad()(lambda: decompose(models.flow, w, read())),
        "edit": lambda: edit(models.flow, w, z, c, c_target, models.gates),
        PLAIN: torch.no_grad()(lambda: to_image(models.generator(w))),
        "synthesis_fast": lambda: to_image(models.synthesis(w)),
        "synthesis_preview": lambda: to_image(models.synthesis(w, 512)),
        "detail": lambda: with_detail(models, face.picture, unmoved, edited.image, gone),
        "paste": lambda: editor.paste(original, (face, edited)),
    }
    return steps


def draw_photo(editor: Editor) -> Image.Image:
    """A photo with two generated faces, the second one smaller."""
    photo = Image.new("RGB", PHOTO_SIZE, (128, 132, 140))
    for seed, side, place in ((1, 800, (60, 200)), (2, 480, (1000, 400))):
        face = editor.reconstruct(editor.random(seed, psi=0.5))
        photo.paste(face.resize((side, side), Image.Resampling.LANCZOS), place)
    return photo


def draw_large_photo(editor: Editor) -> Image.Image:
    """A photo of 12 megapixels with one generated face."""
    photo = Image.new("RGB", LARGE_PHOTO, (128, 132, 140))
    face = editor.reconstruct(editor.random(1, psi=0.5))
    photo.paste(face.resize((LARGE_CROP,) * 2, Image.Resampling.LANCZOS), (1200, 700))
    return photo


def peak_memory(children: bool = False) -> float | None:
    """Largest resident memory so far in MB, of this process or of its largest child."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has none
        return None
    status = Path("/proc/self/status")
    if not children and status.exists():  # ru_maxrss begins with what the parent had
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(peak.split()[1]) / 2**10, 1)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return round(usage.ru_maxrss / unit, 1)


def show(report: dict[str, Any]) -> str:
    """The report as a table for a person."""
    lines = [f"{name}: {value}" for name, value in report["machine"].items()]
    lines.append(f"cold start: {report['cold_start_seconds']:.1f} s")
    width, height = report["paste_photo"]["size"]
    lines.append(f"paste: {width} x {height} pixels, the crop {report['paste_photo']['crop']}")
    lines.append(f"{'step':<20}{'ms':>10}{'of plain':>10}")
    for name, step in report["steps"].items():
        lines.append(f"{name:<20}{step['ms']:>10.1f}{step['of_plain']:>10.2f}")
    memory = ", ".join(f"{name} {mb}" for name, mb in report["peak_memory_mb"].items())
    return "\n".join([*lines, f"peak memory in MB: {memory}"])


def milliseconds(step: Callable[[], object]) -> float:
    """How long a step takes, on a GPU until it is done."""
    start = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)
