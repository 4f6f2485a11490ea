"""The one place where errors, and notes on how something was made, become what a visitor of the
page or a client of the API is told."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from functools import wraps
from html import escape
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from sdflow.manifest import WeightsError
from sdflow.page.texts import DEFAULT, language_of
from sdflow.page.texts.sentences import all_translated, translated
from sdflow.page.visit import Visit
from sdflow.page.work import Abandoned

OURS = (
    "This failed because of a fault on our side, which is now in the server's log. Try again, or"
    " try another photo."
)
ENDED = "This was ended before it was done. Start it again."


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """A handler whose errors reach the visitor as one sentence and never as a traceback.

    The sentence is in the visitor's language if one of the arguments is the `Visit`.
    """
    if inspect.isasyncgenfunction(function):

        @wraps(function)
        async def handler(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: ANN401
            try:
                async for value in function(*args, **kwargs):
                    yield value
            except Exception as error:
                raise as_sentence(error, language_in(args)) from None

    elif inspect.iscoroutinefunction(function):

        @wraps(function)
        async def handler(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                return await function(*args, **kwargs)
            except Exception as error:
                raise as_sentence(error, language_in(args)) from None

    else:

        @wraps(function)
        def handler(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                return function(*args, **kwargs)
            except Exception as error:
                raise as_sentence(error, language_in(args)) from None

    return handler


def language_in(args: Iterable[object]) -> str:
    """That of the visit among a handler's arguments; clients of the API read English."""
    return next((visit.language for visit in args if isinstance(visit, Visit)), DEFAULT)


def as_sentence(error: Exception, language: str = DEFAULT) -> gr.Error:
    """What a visitor is told: an error of ours says it itself, of others the log knows more."""
    if isinstance(error, gr.Error):
        return error
    sentence = str(error)
    if isinstance(error, Abandoned):
        sentence = ENDED
    elif not isinstance(error, (ValueError, LookupError, WeightsError)) or isinstance(
        error, (KeyError, IndexError)
    ):
        traceback.print_exception(error, file=sys.stderr)
        sentence = OURS
    sentence = escape(translated(language, sentence), quote=False)  # the page shows it as HTML
    return gr.Error(sentence, print_exception=False)


class Notes:
    """Tells whoever waits for an event of notes on how its result was made, of each once."""

    def __init__(self) -> None:
        self._told: deque[tuple[str, str]] = deque(maxlen=100)  # event and note

    def __call__(self, notes: Iterable[str]) -> None:
        """Shows notes; called in the thread of the event."""
        event = LocalContext.event_id.get(None)
        for note in notes if event else ():
            if (event, note) not in self._told:
                self._told.append((event, note))
                headers = getattr(LocalContext.request.get(None), "headers", {})
                gr.Warning(escape(all_translated(language_of(headers), note), quote=False))
