"""Edits of several attributes at once that people ask for by one name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Preset:
    """One of them.

    Attributes:
        name: key.
        label: what a page calls it.
        strengths: attribute → −1..1; other attributes stay where they are.
    """

    name: str
    label: str
    strengths: Mapping[str, float]


# Chosen by eye on five faces, a real photo among them: seen at once, and still the same person.
PRESETS: tuple[Preset, ...] = (
    Preset("big_smile", "Big smile", {"smiling": 1.0, "mouth_open": 0.4, "open_eyes": -0.2}),
    Preset("thoughtful", "Thoughtful", {"smiling": -0.8, "mouth_open": -0.4, "pitch": -0.15}),
    Preset("surprised", "Surprised", {"open_eyes": 0.9, "mouth_open": 1.0, "smiling": -0.3}),
    Preset("younger", "Younger", {"young": 0.5, "dark_hair": 0.15}),
    Preset("older", "Older", {"young": -0.5, "dark_hair": -0.35}),
    Preset("blond", "Summer blond", {"dark_hair": -0.6, "smiling": 0.2}),
    Preset("bookish", "Bookish", {"eyeglasses": 0.7, "young": -0.35, "dark_hair": -0.2}),
    Preset("aside", "Turned aside", {"yaw": -0.6, "pitch": 0.1, "smiling": 0.2}),
)


def shipped_presets(names: Collection[str]) -> tuple[Preset, ...]:
    """The presets that a model set with these attributes can follow."""
    return tuple(preset for preset in PRESETS if preset.strengths.keys() <= set(names))
