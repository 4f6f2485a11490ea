"""A face on its way through a list of edits, picture by picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from PIL import Image

from sdflow.media import Render


def morph(
    render: Render, stops: Sequence[Mapping[str, float]], frames: int
) -> Iterator[Image.Image]:
    """Pictures of a face from the first stop to the last, slower near each.

    Strengths are what moves, not pixels: every picture is an edit of its own.

    Args:
        render: makes the picture of some strengths.
        stops: strengths to pass, two or more; the first is {} for the face as it is.
        frames: pictures in all, at least one a stop.

    Raises:
        ValueError: too few stops or frames.
    """
    if len(stops) < 2:
        raise ValueError(f"Got {len(stops)} stops of a morph. Give two or more.")
    if frames < len(stops):
        raise ValueError(f"Got {frames} pictures for {len(stops)} stops. Give at least as many.")
    return _walk(render, stops, frames)


def _walk(
    render: Render, stops: Sequence[Mapping[str, float]], frames: int
) -> Iterator[Image.Image]:
    legs = len(stops) - 1
    for frame in range(frames):
        place = frame * legs / (frames - 1)
        leg = min(int(place), legs - 1)
        share = 0.5 - 0.5 * math.cos(math.pi * (place - leg))  # rests at the stops
        yield render(between(stops[leg], stops[leg + 1], share))


def between(
    start: Mapping[str, float], end: Mapping[str, float], share: float
) -> dict[str, float]:
    """Strengths a share of the way from one edit to another; what one does not name is 0."""
    names = dict.fromkeys([*start, *end])
    return {
        name: (1 - share) * start.get(name, 0.0) + share * end.get(name, 0.0) for name in names
    }
