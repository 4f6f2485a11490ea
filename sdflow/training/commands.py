"""The verbs below `python -m sdflow train`: from nothing to the files in ``weights/``.

    python -m sdflow train bank --faces 8000 --photos lfw-dev   # codes, pictures, aligned photos
    python -m sdflow train labels                               # the teachers
    python -m sdflow train probes --hand-labels hand-labels.npz # the beard's teacher, judges
    python -m sdflow train bank --balanced 800                  # rare faces, found by the labels
    python -m sdflow train labels
    python -m sdflow train semantics --variant draft            # a first flow …
    python -m sdflow train bank --edited 4000                   # … makes rarer ones
    python -m sdflow train labels
    python -m sdflow train encoder
    python -m sdflow train corrector                            # a second look at the encoder's
    python -m sdflow train semantics
    python -m sdflow train semantics --variant paper            # and other variants to compare
    python -m sdflow train poles                                # where strengths end
    python -m sdflow train parsing                              # the face's mask, off BiSeNet
    python -m sdflow evaluate -o evaluation
    python -m sdflow train ship                                 # sliders for what is good enough

Each goes on where it was stopped; `--worker I --workers N` shares bank, labels, parsing's labels.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from sdflow import weights
from sdflow.attributes import ATTRIBUTES
from sdflow.commands import Report
from sdflow.manifest import manifest_path
from sdflow.models import load_flow, load_generator, load_semantics
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.training import bank, labels
from sdflow.training.balance import balanced_sampler, edited_sampler
from sdflow.training.corrector import train_corrector
from sdflow.training.encoder import train_encoder
from sdflow.training.export import export, storage_loss, store
from sdflow.training.parsing_report import train_parsing_and_export
from sdflow.training.probes import write_probes
from sdflow.training.recipe import RECIPES
from sdflow.training.sdflow import train_semantics

TRAINED = tuple(row.name for row in ATTRIBUTES.values() if row.teacher)
SHIP_ACCURACY, SHIP_PRESERVATION = 0.85, 0.93  # what an attribute needs to have a slider


def train_bank(args: argparse.Namespace) -> Report:
    """Renders missing shards of generated, balanced or edited faces and aligns photos."""
    folder = args.folder / "bank"
    generator = load_generator()
    synthesis = FastSynthesis(generator)
    share = {"worker": args.worker, "workers": args.workers}
    with torch.inference_mode():
        if args.faces:
            sample = partial(bank.sample_codes, generator)
            bank.render_shards(folder, synthesis, sample, args.faces, args.seed, **share)
        if args.balanced:
            sample = balanced_sampler(folder, generator)
            bank.render_shards(folder, synthesis, sample, args.balanced, args.seed + 1, "balanced",
                               **share)  # fmt: skip
        if args.edited:
            sample = edited_sampler(folder, args.folder / "variants" / "draft")
            bank.render_shards(folder, synthesis, sample, args.edited, args.seed + 2, "edited",
                               **share)  # fmt: skip
    if args.photos:
        photos = sorted(args.photos.rglob("p*_*.jpg"))
        if not photos:
            raise ValueError(f"No photos pPPPP_N.jpg below {args.photos}. Unpack lfw-dev there.")
        bank.align_shards(folder, photos, bank.held_out_people(photos, seed=args.seed))
    return {"shards": len(list(folder.glob("*.safetensors"))), "folder": str(folder)}


def train_labels(args: argparse.Namespace) -> Report:
    """Measures what the teachers have not measured yet on every shard; writes the index."""
    labels.label_shards(args.folder / "bank", args.worker, args.workers)
    return {"index": str(labels.write_index(args.folder / "bank"))}


def train_probes(args: argparse.Namespace) -> Report:
    """Fits the beard's teacher and the judges' probes and stores them under ``weights/``."""
    return write_probes(args.folder / "bank", args.hand_labels)


def train_encoder_and_export(args: argparse.Namespace) -> Report:
    """Trains the encoder and stores it under ``weights/``."""
    encoder = train_encoder(
        args.folder / "bank", args.folder / "encoder", latent_steps=args.latent_steps,
        image_steps=args.image_steps, batch=args.batch, rendered=args.rendered, seed=args.seed,
        precision=args.precision,
    )  # fmt: skip
    return {"files": [str(path) for path in export("encoder", encoder)]}


def train_corrector_and_export(args: argparse.Namespace) -> Report:
    """Trains the corrector and stores it under ``weights/``."""
    corrector = train_corrector(
        args.folder / "bank", args.folder / "corrector", steps=args.steps, batch=args.batch,
        seed=args.seed, precision=args.precision,
    )  # fmt: skip
    return {"files": [str(path) for path in export("corrector", corrector)]}


def train_semantics_and_export(args: argparse.Namespace) -> Report:
    """Trains estimator and flow; ``ours`` goes to ``weights/``, a variant beside the bank."""
    trained = train_semantics(
        args.folder / "bank", args.folder / "semantics", TRAINED, args.variant,
        RECIPES[args.variant], estimator_steps=args.estimator_steps,
        warm_up_steps=args.warm_up_steps, joint_steps=args.joint_steps, batch=args.batch,
        tokens=args.tokens, rendered=args.rendered, seed=args.seed, precision=args.precision,
    )  # fmt: skip
    settings = {
        "attributes": TRAINED,
        "shipped": TRAINED,  # until `train ship` has read the scores
        "poles": {name: ATTRIBUTES[name].poles for name in TRAINED},
        "gates": {name: [round(share, 3) for share in row.tolist()]
                  for name, row in zip(TRAINED, trained.gates, strict=True)},
        "hidden": [512] * 5,
    }  # fmt: skip
    write = export if args.variant == "ours" else partial(
        store, args.folder / "variants" / args.variant
    )  # fmt: skip
    files = [] if trained.estimator is None else write("estimator", trained.estimator)
    files += write("flow", trained.flow, settings)
    report = {"files": [str(path) for path in files]}
    if trained.estimator is not None:
        faces = bank.read_arrays(bank.shards(args.folder / "bank", "generated", True)[:1],
                                 ("image", "w"))  # fmt: skip
        estimator, flow, _ = load_semantics(folder=files[0].parent)
        crops = faces["image"][:64].float() / 127.5 - 1
        networks = trained.estimator.eval().cpu(), trained.flow.eval().cpu()
        report["float16"] = storage_loss(networks, (estimator, flow), crops, faces["w"][:64])
    return report


def tune_poles(args: argparse.Namespace) -> Report:
    """Moves the ends of all strengths to where flips saturate on faces of the bank.

    The table in ``sdflow/attributes.py`` is then given the same poles; a test compares them.
    """
    from sdflow.evaluation.stages import tune_ours
    from sdflow.evaluation.workbench import Settings, Workbench

    poles = tune_ours(Workbench(Settings(workers=max(args.workers, 1))))
    flow, settings = load_flow()
    export("flow", flow, settings | {"poles": poles})
    return {"poles": poles}


def ship(args: argparse.Namespace) -> Report:
    """Writes into the flow's file which attributes have a slider; all else in it stays.

    Raises:
        ValueError: the scores are of none of the flow's attributes.
    """
    scores = json.loads(args.scores.read_text())
    flow, settings = load_flow()
    if not {*settings["attributes"]} & {*scores}:
        raise ValueError(f"{args.scores} has no scores of attributes. Run evaluate first.")
    chosen = choose_sliders(settings["attributes"], scores)
    export("flow", flow, settings | {"shipped": chosen["shipped"]})
    return chosen


def choose_sliders(names: Sequence[str], scores: dict) -> dict[str, list[str]]:
    """Which attributes have a slider: the good ones and, since nobody wants an editor without
    them, the target attributes even where they are below the bar, which the README then says."""
    from sdflow.evaluation.protocol import TARGETS

    good = good_enough(scores)
    shipped = [name for name in names if name in good or name in TARGETS]
    return {
        "shipped": shipped,
        "below the bar": [name for name in shipped if name not in good],
        "dropped": [name for name in names if name not in shipped],
    }


def good_enough(scores: dict) -> set[str]:
    """The attributes whose scores, as `evaluate` writes them, earn a slider; None earns none."""
    return {
        name for name, found in scores.items()
        if name in ATTRIBUTES and (found["accuracy"] or 0) >= SHIP_ACCURACY
        and (found["preservation"] or 0) >= SHIP_PRESERVATION
    }  # fmt: skip


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds the verbs to the group's parsers."""

    def add(name: str, run: Callable[[argparse.Namespace], Report], text: str,
            numbers: dict[str, tuple[int, str]]) -> argparse.ArgumentParser:  # fmt: skip
        raw = argparse.RawDescriptionHelpFormatter
        lines = [line for line in __doc__.splitlines() if f" train {name} " in f"{line} "]
        parser = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.",
                                  epilog="\n".join(["examples:", *dict.fromkeys(lines)]),
                                  formatter_class=raw)  # fmt: skip
        parser.add_argument("--folder", type=Path, default=weights.cache_dir() / "training",
                            help="for bank and checkpoints; default: %(default)s")  # fmt: skip
        for option, (default, meaning) in {"seed": (0, "of every draw"), **numbers}.items():
            parser.add_argument(f"--{option.replace('_', '-')}", type=_count, default=default,
                                metavar="N", help=f"{meaning}; default: %(default)s")  # fmt: skip
        parser.add_argument("--threads", type=_count, default=0, metavar="N",
                            help="of PyTorch; default: its own choice")  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.set_defaults(run=partial(_run, run))
        return parser

    precision = {"choices": ("bf16", "no"), "default": "bf16",
                 "help": "of the convolutions; default: %(default)s"}  # fmt: skip
    sharing = {"worker": (0, "which of the processes this is"), "workers": (1, "how many")}
    parser = add("bank", train_bank, "render faces with known codes, align real photos", {
        "faces": (0, "random faces, W and mixed W+"), "balanced": (0, "rare faces, by the labels"),
        "edited": (0, "rare faces, by edits of the draft variant"), **sharing,
    })  # fmt: skip
    parser.add_argument("--photos", type=Path, help="folder of lfw-dev: pPPPP_N.jpg")
    add("labels", train_labels, "label the bank with the teachers", sharing)
    parser = add("probes", train_probes, "fit linear probes: the beard's teacher, judges", {})
    parser.add_argument("--hand-labels", type=Path, required=True,
                        help="npz, faces labelled by eye: w, beard, glasses")  # fmt: skip
    parser = add("corrector", train_corrector_and_export, "train the corrector of the encoder", {
        "steps": (700, "in all"), "batch": (6, "rendered faces a step")})  # fmt: skip
    parser.add_argument("--precision", **precision)
    parser = add("parsing", train_parsing_and_export, "train the face parser, off BiSeNet", {
        "faces": (600, "of each kind, beside all photos"), "steps": (2800, "in all"),
        "batch": (16, "crops a step"), **sharing})  # fmt: skip
    parser.add_argument("--precision", **precision)
    add("poles", tune_poles, "set the poles where edits flip the most faces of the bank",
        {"workers": (1, "processes")})  # fmt: skip
    parser = add("ship", ship, "give sliders to the attributes that evaluation found good", {})
    parser.add_argument("--scores", type=Path, default=manifest_path().parent / "scores.json",
                        help="written by evaluate; default: %(default)s")  # fmt: skip
    shared = {"batch": (32, "crops a step"), "rendered": (4, "rendered faces a step")}
    for name, run, text, stages in (
        ("encoder", train_encoder_and_export, "train the encoder, image to w", {
            "latent_steps": (1600, "steps on codes alone"),
            "image_steps": (700, "steps with rendered pictures as well"),
        }),
        ("semantics", train_semantics_and_export, "train the estimator and the flow", {
            "estimator_steps": (3000, "steps of the estimator alone"),
            "warm_up_steps": (1500, "steps of the flow with mi on codes"),
            "joint_steps": (1000, "steps of both with mi through the image"),
            "tokens": (128, "codes a step of the warm-up"),
        }),
    ):  # fmt: skip
        parser = add(name, run, text, {**stages, **shared})
        if name == "semantics":
            parser.add_argument("--variant", choices=RECIPES, default="ours",
                                help="recipe; default: %(default)s")  # fmt: skip
        parser.add_argument("--precision", **precision)


def _run(run: Callable[[argparse.Namespace], Report], args: argparse.Namespace) -> Report:
    if args.threads:
        torch.set_num_threads(args.threads)
    return run(args)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0.")
    return int(text)
