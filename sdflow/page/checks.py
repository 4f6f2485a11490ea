"""What clients of the API may send: each check gives the value back, or says what to give."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Collection, Mapping
from typing import Any

from sdflow.page.guard import is_upload

MOST_STEPS = 300  # of refinement
NO_FILE = "The {} is no uploaded file. Upload it first, as the client's handle_file does."


def within(value: object, least: float, most: float, what: str, whole: bool = False) -> Any:  # noqa: ANN401
    """A number from least to most; with `whole` an int.

    Raises:
        ValueError: it is none (nor is a bool, nan, or None), or out of range.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or (whole and value != math.floor(value)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(
            f"Got {reprlib.repr(value)} {what}. Give {kind} from {least:g} to {most:g}."
        )
    return int(value) if whole else value


def one_of(value: object, choices: Collection[Any], what: str) -> Any:  # noqa: ANN401
    """One of some strings or numbers.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(value, bool) or value not in tuple(choices):
        allowed = ", ".join(map(str, choices))
        raise ValueError(f"Got {what} {reprlib.repr(value)}. Choose one of: {allowed}.")
    return value


def yes_or_no(value: object, what: str) -> bool:
    """A bool.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, bool):
        raise ValueError(f"Got {reprlib.repr(value)} for {what}. Give true or false.")
    return value


def token_of(value: object) -> str:
    """A face's token; "" if there is none.

    Raises:
        ValueError: it is no text.
    """
    if not isinstance(value, str | None):
        raise ValueError("The token is no text. Give the one that invert or random returned.")
    return value or ""


def path_of(value: object, what: str) -> str | None:
    """The path of an uploaded file; None if there is none.

    Args:
        value: as gradio's clients send files.
        what: that the file is.

    Raises:
        ValueError: it is no file, or none that was uploaded here.
    """
    if value is None:
        return None
    path = value.get("path") if isinstance(value, Mapping) else None
    if not isinstance(path, str) or not is_upload(path):
        raise ValueError(NO_FILE.format(what))
    return path


def edits_by_token(value: object) -> list[tuple[str, Mapping[str, float]]]:
    """Edits of a client's JSON, token → attribute → strength; the service looks into the rest.

    Raises:
        ValueError: it has another form.
    """
    if not value:
        return []
    if not isinstance(value, Mapping) or not all(isinstance(s, Mapping) for s in value.values()):
        raise ValueError(
            "The other faces cannot be read. Give an object of tokens, each with an object of"
            " attributes and strengths."
        )
    return list(value.items())


def check_steps(steps: int | None) -> int | None:
    """Steps of refinement that may be asked for; None is the default.

    Raises:
        ValueError: out of range.
    """
    if steps is not None and not 0 <= steps <= MOST_STEPS:
        raise ValueError(f"Got {steps:.0f} steps of refinement. Give 0 to {MOST_STEPS}.")
    return None if steps is None else int(steps)
