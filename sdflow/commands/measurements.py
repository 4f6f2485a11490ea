"""The verbs that measure: bench (time, memory) and evaluate (flips, strengths, likeness)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sdflow import weights
from sdflow.commands import Report, Verb


def bench(repeat: int) -> Report:
    """Measures each step; see `sdflow.bench.benchmark`."""
    from sdflow.bench import benchmark

    return benchmark(repeat)


def evaluate(faces: int, people: int, curves: int, output: Path | None) -> Report:
    """Judges edits of held-out generated faces and inversions of held-out people.

    Args:
        faces: generated faces to draw; at most 100 of them are flipped each way.
        people: of ``lfw-dev``, from the bank's held-out shards; 0 leaves likeness out.
        curves: faces whose scores are followed over nine strengths; 0 leaves that out.
        output: JSON file for the report.

    Raises:
        ValueError: a package of requirements-train.txt is missing.
    """
    try:
        from sdflow.evaluation.flips import draw_faces, measure_flips, measure_monotony
        from sdflow.evaluation.likeness import measure_likeness
    except ModuleNotFoundError as error:
        raise ValueError(
            f"Evaluation needs {error.name}. Run `pip install -r requirements-train.txt`."
        ) from error
    from sdflow.models import load_models

    models = load_models()
    report: Report = {}
    if faces:
        held_out = draw_faces(models, faces)
        report["flips"] = measure_flips(models, held_out)
        if curves:
            report["strengths"] = measure_monotony(models, held_out, min(curves, faces))
    if people:
        bank = weights.cache_dir() / "training" / "bank"
        report["likeness"] = measure_likeness(models, bank, people)
    if output:
        output.write_text(json.dumps(report, indent=1) + "\n")
    return report


def _show_bench(report: Report) -> str:
    from sdflow.bench import show

    return show(report)


def _bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repeat", type=int, default=5, metavar="N", help="runs of each step, 1 to 100; default 5"
    )


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", type=int, default=400, help="generated; default: %(default)s")
    parser.add_argument("--people", type=int, default=200, help="held out; default: %(default)s")
    parser.add_argument("--curves", type=int, default=50, help="faces; default: %(default)s")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the report")


VERBS = (
    Verb(
        "bench",
        "measure time and memory",
        _bench_options,
        lambda args: bench(args.repeat),
        _show_bench,
    ),
    Verb(
        "evaluate",
        "judge edits and inversions of held-out faces",
        _evaluate_options,
        lambda args: evaluate(args.faces, args.people, args.curves, args.output),
        lambda report: json.dumps(report, indent=1),
    ),
)
