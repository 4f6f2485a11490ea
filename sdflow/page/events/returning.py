"""A click on a small picture returns to its edit: the sliders move, and what they do follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import gradio as gr

from sdflow.page.errors import told
from sdflow.page.layout import Parts
from sdflow.page.tried import Tried
from sdflow.page.updates import QUIETLY, Changes, Updates
from sdflow.page.visit import Visit

Item = TypeVar("Item")

# Outside of the queue nothing would be told of errors.
AT_ONCE = {"concurrency_limit": None, **QUIETLY}
GONE = "This picture is not there any more. Choose another."


def add_return(
    parts: Parts, updates: Updates, pictures: gr.HTML, states: Callable[[Visit], Sequence[Tried]]
) -> None:
    """Connects a board, strip or list of pictures, whose buttons send `select` with an index.

    Args:
        parts: of the page.
        updates: of the page.
        pictures: to click.
        states: that a visit has there.
    """

    @told
    def restore(visit: Visit, event: gr.EventData) -> Changes:
        return updates.sliders(at(states(visit), event.index).strengths)

    outputs = [*parts.sliders.values(), parts.controls.mapping]
    pictures.select(restore, [parts.session], outputs, **AT_ONCE)


def at(items: Sequence[Item], index: object) -> Item:
    """What stands at an index that a browser has sent.

    Raises:
        ValueError: nothing does.
    """
    if index not in range(len(items)):
        raise ValueError(GONE)
    return items[int(index)]
