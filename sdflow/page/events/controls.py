"""Moving many sliders at once: undo, redo, reset, presets, settings as JSON."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from sdflow.edit import parse_strengths
from sdflow.page.errors import told
from sdflow.page.layout import Parts
from sdflow.page.service import NO_FACE, Service
from sdflow.page.updates import QUIETLY, Changes, Updates
from sdflow.page.visit import Visit
from sdflow.presets import Preset


def add_controls(service: Service, parts: Parts, updates: Updates) -> None:
    """Connects the buttons; where sliders move, their change does the rest."""
    session, view, controls = parts.session, parts.view, parts.controls
    sliders = controls.sliders

    def undo(visit: Visit, **strengths: float) -> Changes:
        return travel(visit, strengths, "undo")

    def redo(visit: Visit, **strengths: float) -> Changes:
        return travel(visit, strengths, "redo")

    @told
    def travel(visit: Visit, strengths: dict[str, float], way: str) -> Changes:
        if visit.chosen is None:
            raise ValueError(NO_FACE)
        moved = {name: strength for name, strength in strengths.items() if strength}
        state = getattr(visit.chosen.history, way)(moved)
        return updates.sliders(state) | updates.state(visit, state)

    def reset() -> Changes:
        return updates.sliders({})

    def follow(preset: Preset) -> Changes:
        return {sliders[name]: strength for name, strength in preset.strengths.items()}

    @told
    def apply(visit: Visit, settings: str) -> Changes:
        return updates.sliders(read_settings(visit, settings, [*sliders]))

    quickly = {"queue": False, **QUIETLY}
    outputs = [*sliders.values()]
    for button, function in ((view.undo, undo), (view.redo, redo)):
        button.click(
            function,
            [session],
            [*outputs, *updates.states],
            inputs_kwargs=sliders,
            trigger_mode="multiple",
            **quickly,
        )
    view.reset.click(reset, None, outputs, **quickly)
    for preset, button in controls.presets.items():
        named = [sliders[name] for name in preset.strengths]
        button.click(partial(follow, preset), None, named, **quickly)
    controls.apply.click(  # in the queue, without which errors are not told
        apply, [session, controls.settings], outputs, concurrency_limit=None, **QUIETLY
    )


def read_settings(visit: Visit, settings: str, names: list[str]) -> dict[str, float]:
    """Strengths from the JSON of settings, or of anything that holds them, such as a recipe.

    Raises:
        ValueError: it is something else; see `edit.parse_strengths` for the rest.
    """
    try:
        fields: Any = json.loads(settings)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        fields = fields.get("strengths", fields)
    if not isinstance(fields, dict):
        raise ValueError(visit.say("settings.bad"))
    return parse_strengths(fields, names)
