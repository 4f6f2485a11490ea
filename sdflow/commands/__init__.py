"""The verbs of the command line: one row each, in a table a module.

A row names a function that declares the options, one that does the work and returns a report, and
one that writes the report for a person. `--json` prints the report itself, as one object; else the
sentences of its `warnings` go to stderr.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Report = dict[str, Any]  # what --json prints


@dataclass(frozen=True)
class Verb:
    """One verb of the command line; a name of two words is a verb within a group."""

    name: str
    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Report]
    show: Callable[[Report], str]
    examples: tuple[str, ...] = ()  # for --help, without `python -m sdflow`
