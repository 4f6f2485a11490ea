"""The verbs that measure: bench (time, memory) and evaluate (flips, strengths, likeness)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sdflow.commands import Report, Verb


def bench(repeat: int) -> Report:
    """Measures each step; see `sdflow.bench.benchmark`."""
    from sdflow.bench import benchmark

    return benchmark(repeat)


def evaluate(args: argparse.Namespace) -> Report:
    """Judges edits of held-out faces; see `sdflow.evaluation.evaluate`.

    Raises:
        ValueError: a package of requirements-train.txt is missing, an option is out of range, or
            a file is not there.
    """
    try:
        from sdflow.evaluation.evaluate import evaluate as run
        from sdflow.evaluation.workbench import Settings
    except ModuleNotFoundError as error:
        raise ValueError(
            f"Evaluation needs {error.name}. Run `pip install -r requirements-train.txt`."
        ) from error
    if args.directions and not args.directions.exists():
        raise ValueError(f"There is no file {args.directions}. Leave --directions out, or fix it.")
    for option in ("faces", "people", "trial"):
        if getattr(args, option) < 0:
            raise ValueError(f"--{option} is {getattr(args, option)}. Give 0 or more.")
    settings = Settings(
        faces=args.faces,
        people=args.people,
        attributes=tuple(args.attributes or ()),
        per_target=args.per_attribute,
        per_person=args.per_attribute_people,
        variants=tuple(args.variant),
        linear=not args.no_linear,
        published=args.directions,
        trial=args.trial,
        workers=args.workers,
    )
    return run(settings, args.output, stated_command(args))


def stated_command(args: argparse.Namespace) -> str:
    """The command line that gives the same figures on another machine: no paths of this one."""
    counts = ("faces", "people", "per_attribute", "per_attribute_people", "trial")
    words = ["python -m sdflow evaluate"]
    words += [f"--{name.replace('_', '-')} {getattr(args, name)}" for name in counts]
    words += [f"--variant {name}" for name in args.variant]
    words += [f"--directions {args.directions.name}"] if args.directions else []
    words += ["--no-linear"] if args.no_linear else []
    words += [f"--attributes {' '.join(args.attributes)}"] if args.attributes else []
    return " ".join(words)


def _show_bench(report: Report) -> str:
    from sdflow.bench import show

    return show(report)


def _bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repeat", type=int, default=5, metavar="N", help="runs of each step, 1 to 100; default 5"
    )


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    def count(flag: str, default: int, what: str) -> None:
        parser.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{what}; default %(default)s"
        )

    count("--faces", 500, "generated faces, 0 for none")
    count("--people", 200, "held-out people of the bank, 0 for none")
    count("--per-attribute", 60, "faces on which a target attribute is flipped; others: half")
    count("--per-attribute-people", 24, "the same among the people")
    count("--trial", 100, "faces for the trials of age and of five attributes at once")
    count("--workers", 1, "processes; each takes one core and some 2 GB")
    parser.add_argument("--attributes", nargs="+", metavar="NAME", help="to flip; default all")
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME",
        help="another training to compare with, or ungated; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--directions", type=Path, metavar="FILE",
        help="npz of published directions: smile, age, pose",
    )  # fmt: skip
    parser.add_argument(
        "--no-linear", action="store_true", help="leave our own linear directions out"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FOLDER", help="for report, scores, plots and sheets"
    )


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
        evaluate,
        lambda report: json.dumps(report["targets"], indent=1, ensure_ascii=False),
    ),
)
