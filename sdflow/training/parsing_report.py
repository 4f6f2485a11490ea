"""The verb `python -m sdflow train parsing`: teacher's maps, training, ``weights/``, scores."""

from __future__ import annotations

import argparse
import json
import sys
import time

from sdflow.commands import Report
from sdflow.manifest import manifest_path
from sdflow.models import load_parsing
from sdflow.training.export import export
from sdflow.training.parsing import train_parsing
from sdflow.training.parsing_labels import chosen_shards, held_out_shards, parse_shards


def train_parsing_and_export(args: argparse.Namespace) -> Report:
    """Parses faces with BiSeNet, trains our parser on them, stores it and its scores under
    ``weights/``; one of several workers only parses its share."""
    from sdflow.evaluation.parsing import milliseconds, score_parsing

    start, folder = time.monotonic(), args.folder / "bank"
    chosen = chosen_shards(folder, args.faces)
    parse_shards(chosen + held_out_shards(folder), args.worker, args.workers)
    if args.workers > 1:
        return {"parsed": len(chosen), "folder": str(folder / "parsing")}
    network = train_parsing(folder, args.folder / "parsing", args.faces, args.steps, args.batch,
                            seed=args.seed, precision=args.precision)  # fmt: skip
    seconds = time.monotonic() - start
    files = export("parsing", network)
    stored = load_parsing()
    report = {
        "files": [path.name for path in files],
        "command": " ".join(["python -m sdflow", *sys.argv[1:]]),
        "seed": args.seed,
        "data": [path.stem for path in chosen],
        "parameters": sum(p.numel() for p in stored.parameters()),
        "seconds": round(seconds),
        "speed": milliseconds(stored),
        "intersection over union": score_parsing(stored, folder, args.seed),
    }
    text = json.dumps(report, indent=1)
    (manifest_path().parent / "parsing.json").write_text(text + "\n")
    return report
