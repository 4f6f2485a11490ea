"""What the sliders say: strengths between the poles, or scales of the original's editing.

In the original's way a slider is that of its demo: 0.14 is the attribute as the classifier sees
it, 0.86 its opposite. Here it goes on below 0, and what stands at 0 is not edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdflow.edit import ORIGINAL, POLES
from sdflow.selection import CELEBA

Strengths = Mapping[str, float]  # plain, or `Scales`


class Scales(dict[str, float]):
    """Scales of the attributes to edit, see `released.edit_as_original`, in the place of
    strengths. Empty ones edit nothing, as empty strengths do, and equal them."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self, other) is True and (not self or isinstance(other, Scales))

    def __ne__(self, other: object) -> bool:
        return not self == other


def mapping_of(edit: Strengths) -> str:
    """How `Editor.edit` is to take an edit."""
    return ORIGINAL if isinstance(edit, Scales) and edit else POLES


def edit_of(strengths: Strengths, mapping: str) -> dict[str, float]:
    """Strengths or, by the other mapping, scales."""
    return Scales(strengths) if mapping == ORIGINAL else dict(strengths)


def from_sliders(positions: Mapping[str, float], mapping: str) -> dict[str, float]:
    """The edit that sliders say, by the names of those that are not at 0; in the original's way
    only of those that its classifier knows."""
    moved = {name: position for name, position in positions.items() if position}
    if mapping == ORIGINAL:
        known = {name: moved[name] for name in moved if name in CELEBA.values()}
        return Scales({name: round(1.4 * at - 1.2, 6) + 0.0 for name, at in known.items()})
    return moved


def to_sliders(edit: Strengths) -> dict[str, float]:
    """Where sliders say an edit, by the names of those that are not at 0."""
    if isinstance(edit, Scales):
        return {name: round((scale + 1.2) / 1.4, 6) + 0.0 for name, scale in edit.items()}
    return {name: strength for name, strength in edit.items() if strength}


def with_sliders(edit: Strengths, **positions: float) -> dict[str, float]:
    """An edit with some sliders elsewhere."""
    mapping = ORIGINAL if isinstance(edit, Scales) else POLES
    return from_sliders(to_sliders(edit) | positions, mapping)


def to_settings(edit: Strengths) -> dict[str, Any]:
    """An edit as the page's settings have it: strengths, or what else a recipe has too."""
    strengths = dict(edit)
    if mapping_of(edit) == ORIGINAL:
        return {"mapping": ORIGINAL, "strengths": strengths}
    return strengths
