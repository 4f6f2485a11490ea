"""The verbs that measure: bench (time, memory), evaluate (flips, likeness), pasting (seams)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sdflow.commands import Report, Verb


def bench(repeat: int, full_size: bool = False, ways: bool = False) -> Report:
    """Measures each step; see `bench.benchmark` and `bench_full_size.benchmark_full_size`."""
    if full_size or ways:
        from sdflow.bench_full_size import benchmark_full_size

        return benchmark_full_size(repeat, ways=ways)
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
    if args.portraits and not args.portraits.is_dir():
        raise ValueError(f"There is no folder {args.portraits}. Leave --portraits out, or fix it.")
    for option in ("faces", "people", "opened", "refined", "tuned", "trial"):
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
        opened=args.opened,
        refined=args.refined,
        tuned=args.tuned,
        portraits=args.portraits,
        published=args.directions,
        trial=args.trial,
        workers=args.workers,
    )
    return run(settings, args.output, stated_command(args))


def stated_command(args: argparse.Namespace) -> str:
    """The command line that gives the same figures on another machine: no paths of this one."""
    counts = ("faces", "people", "opened", "refined", "tuned", "per_attribute",
              "per_attribute_people", "trial")  # fmt: skip
    words = ["python -m sdflow evaluate"]
    words += [f"--{name.replace('_', '-')} {getattr(args, name)}" for name in counts]
    words += [f"--variant {name}" for name in args.variant]
    words += [f"--portraits {args.portraits.name}"] if args.portraits else []
    words += [f"--directions {args.directions.name}"] if args.directions else []
    words += ["--no-linear"] if args.no_linear else []
    words += [f"--attributes {' '.join(args.attributes)}"] if args.attributes else []
    return " ".join(words)


def _show_bench(report: Report) -> str:
    from sdflow import bench, bench_full_size

    return (bench if "machine" in report else bench_full_size).show(report)


def _bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repeat", type=int, default=5, metavar="N", help="runs of each step, 1 to 100; default 5"
    )
    parser.add_argument(
        "--full-size", action="store_true",
        help="time the full-size networks instead, as we run them and as the original does",
    )  # fmt: skip
    parser.add_argument(
        "--ways", action="store_true",
        help="of these also StyleGAN2 in other precisions and memory formats, and compiled",
    )  # fmt: skip


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    def count(flag: str, default: int, what: str) -> None:
        parser.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{what}; default %(default)s"
        )

    count("--faces", 500, "generated faces, 0 for none")
    count("--people", 200, "held-out people of the bank, 0 for none")
    count("--opened", 200, "people inverted as when a photo is opened; others: feed-forward")
    count("--refined", 0, "people whose inversions are refined too, and edited at each stage")
    count("--tuned", 0, "how many of these are tuned too")
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
        "--portraits", type=Path, metavar="FOLDER", help="photos to invert besides, in all stages"
    )
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


def pasting(folder: Path | None, photos: int, faces: int) -> Report:
    """Measures pasted faces; see `sdflow.evaluation.pasting.measure`.

    Raises:
        ValueError: no such folder, fewer photos in it, or a package is missing.
    """
    try:
        from sdflow.evaluation.pasting import measure
    except ModuleNotFoundError as error:
        raise ValueError(
            f"This needs {error.name}. Run `pip install -r requirements-train.txt`."
        ) from error
    from sdflow.pipeline import Editor

    files = sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png")) if folder else []
    chosen = files[:: max(len(files) // max(photos, 1), 1)][:photos]
    return measure(Editor(), chosen, faces)


def _pasting_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="whole photos, with faces")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="photos; default 20")
    parser.add_argument(
        "--faces", type=int, default=10, metavar="N", help="generated faces in scenes; default 10"
    )


VERBS = (
    Verb(
        "bench",
        "measure time and memory",
        _bench_options,
        lambda args: bench(args.repeat, args.full_size, args.ways),
        _show_bench,
        ("bench", "bench --repeat 20 --json", "bench --full-size --repeat 3"),
    ),
    Verb(
        "evaluate",
        "judge edits and inversions of held-out faces",
        _evaluate_options,
        evaluate,
        lambda report: json.dumps(report["targets"], indent=1, ensure_ascii=False),
        (
            "evaluate -o evaluation --workers 2",
            "evaluate --faces 50 --people 20 --opened 20 --attributes smiling young  # quick",
        ),
    ),
    Verb(
        "pasting",
        "measure seams, coverage and composites of pasted faces",
        _pasting_options,
        lambda args: pasting(args.photos, args.count, args.faces),
        lambda report: json.dumps(report, indent=1, ensure_ascii=False),
        ("pasting --photos photos --count 5",),
    ),
)
