"""The command line: `python -m sdflow VERB`; its verbs stand in the tables of sdflow/commands.

Errors of known types are one line on stderr and exit status 2. `--json` prints one object, and
nothing else goes to stdout then. A report with `failures` was made in spite of them: status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from sdflow import __version__
from sdflow.commands import (
    Report,
    Verb,
    attributes,
    batch,
    faces,
    measurements,
    morphs,
    publishing,
    reading,
    sheets,
    weights,
)
from sdflow.commands.options import add_selection, take_selection
from sdflow.commands.progress import end_line
from sdflow.manifest import WeightsError

_TABLES = faces, reading, sheets, morphs, batch, attributes, measurements, weights, publishing
VERBS = tuple(verb for table in _TABLES for verb in table.VERBS)
GROUPS = {
    "weights": ("the networks' weights on this machine", ("weights status", "weights fetch")),
    "train": (
        "train the networks, step by step",
        ("train bank --faces 8000", "train labels", "train encoder", "train semantics"),
    ),
}
EPILOG = """\
exit status:
  0    all is done
  1    some photos failed and are listed; the others are done
  2    nothing is done: a wrong command, file or machine, told in one sentence
  130  interrupted by Ctrl-C; batch and train go on when started again

Progress is shown on a terminal only. Each verb has --json, and --help with examples."""


def make_parser(verbs: Sequence[Verb] = VERBS, training: bool = False) -> argparse.ArgumentParser:
    """The parser of all verbs; parsed arguments carry their verb's functions as `run` and `show`.

    Args:
        verbs: rows of the tables.
        training: also load the verbs below `train`, which need the packages of training.

    Raises:
        ValueError: these packages are not installed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sdflow", description="Edit faces in photos.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=__version__)
    levels = {"": parser.add_subparsers(metavar="VERB", required=True)}

    def add(group: str, name: str, text: str, examples: Sequence[str]) -> argparse.ArgumentParser:
        return levels[group].add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.",
            epilog="\n".join(["examples:", *(f"  python -m sdflow {each}" for each in examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    def add_group(name: str) -> None:
        grouped = add("", name, *GROUPS[name])
        levels[name] = grouped.add_subparsers(metavar="VERB", required=True)

    for verb in verbs:
        group, _, name = verb.name.rpartition(" ")
        if group not in levels:
            add_group(group)
        own = add(group, name, verb.help, verb.examples)
        verb.options(own)
        if group != "weights":
            add_selection(own)
        own.add_argument("--json", action="store_true", help="print one JSON object")
        own.set_defaults(run=verb.run, show=verb.show)
    add_group("train")
    if training:
        _training_commands().add_parser(levels["train"])
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status, see `EPILOG`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    report = None
    for stream in (sys.stdout, sys.stderr):  # names of files may be no text at all
        stream.reconfigure(errors="backslashreplace")
    try:
        arguments = take_selection(arguments)
        args = make_parser(training=arguments[:1] == ["train"]).parse_args(arguments)
        report = args.run(args)
        if report is not None:
            _print(report, args)
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}:{where}. Check the path, rights and free space.")
    except (WeightsError, ValueError) as error:  # a caller's or a machine's; others are our faults
        return _fail(" ".join(str(error).split()))
    except KeyboardInterrupt as interrupt:
        end_line()
        print(str(interrupt) or "Interrupted.", file=sys.stderr)
        return 130
    return 1 if report and report.get("failures") else 0


def _print(report: Report, args: argparse.Namespace) -> None:
    """The report on stdout, for a person with its warnings on stderr."""
    if getattr(args, "json", False):
        print(json.dumps(report, ensure_ascii=False), flush=True)
        return
    print(getattr(args, "show", _show_plainly)(report), flush=True)
    for sentence in report.get("warnings", ()):
        print(f"warning: {sentence}", file=sys.stderr)
    for failure in report.get("failures", ()):
        print(f"failed: {failure['photo']}: {failure['error']}", file=sys.stderr)


def _fail(sentence: str) -> int:
    end_line()
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def _show_plainly(report: Report) -> str:
    return "\n".join(f"{name}: {value}" for name, value in report.items())


def _training_commands() -> ModuleType:
    try:
        return import_module("sdflow.training.commands")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("sdflow"):
            raise
        raise ValueError(
            f"Training needs {error.name}. Run `pip install -r requirements-train.txt`."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
