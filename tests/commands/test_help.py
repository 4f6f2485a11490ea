"""What the command line says of itself, and how its parser is put together."""

from __future__ import annotations

import shlex
import sys
import types

import pytest

from sdflow import __main__ as command_line
from sdflow.__main__ import main, make_parser
from sdflow.commands import measurements


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    steps = "bank labels probes encoder corrector semantics poles parsing ship".split()
    words = [*(verb.name for verb in command_line.VERBS), *(f"train {name}" for name in steps)]
    words += ["weights", "train"]
    for verb in words:
        with pytest.raises(SystemExit) as caught:
            make_parser(training=verb.startswith("train")).parse_args([*verb.split(), "--help"])
        told = capsys.readouterr().out
        assert caught.value.code == 0 and f"usage: python -m sdflow {verb}" in told
        assert f"python -m sdflow {verb}" in told.partition("examples:\n")[2]
        assert "--json" in told or verb in command_line.GROUPS


def test_help_tells_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    for line in ("0    all", "1    some photos failed", "2    nothing", "130  interrupted"):
        assert line in told


def test_examples_in_the_help_can_be_run() -> None:
    assert all(verb.examples for verb in command_line.VERBS)
    for text in (text for verb in command_line.VERBS for text in verb.examples):
        make_parser().parse_args(shlex.split(text, comments=True))


def test_the_stated_command_of_an_evaluation_repeats_it() -> None:
    asked = ["evaluate", "--faces", "7", "--per-attribute", "3", "--trial", "5", "--no-linear"]
    asked += ["--variant", "no_mi", "--attributes", "young", "yaw"]
    args = make_parser().parse_args(asked)
    words = measurements.stated_command(args).split()
    assert words[:3] == ["python", "-m", "sdflow"]
    assert vars(make_parser().parse_args(words[3:])) == vars(args)


def test_training_verbs_are_loaded_when_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = types.ModuleType("sdflow.training.commands")

    def add_parser(subparsers: object) -> None:
        parser = subparsers.add_parser("bank")
        parser.add_argument("--faces", type=int)
        parser.set_defaults(run=lambda args: {"faces": args.faces})

    commands.add_parser = add_parser
    monkeypatch.setitem(sys.modules, "sdflow.training.commands", commands)
    assert main(["train", "bank", "--faces", "7"]) == 0
    assert capsys.readouterr().out == "faces: 7\n"
