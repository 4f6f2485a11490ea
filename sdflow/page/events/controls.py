"""Moving many sliders at once: undo, redo, reset, presets, settings as JSON."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from sdflow.edit import MAPPINGS, ORIGINAL, POLES, parse_strengths
from sdflow.page.errors import told
from sdflow.page.layout import Parts
from sdflow.page.scales import edit_of, from_sliders, mapping_of
from sdflow.page.service import NO_FACE, Service
from sdflow.page.updates import QUIETLY, Changes, Updates
from sdflow.page.visit import Visit
from sdflow.presets import Preset
from sdflow.released import NEEDED


def add_controls(service: Service, parts: Parts, updates: Updates) -> None:
    """Connects the buttons; where sliders move, their change does the rest."""
    session, view, controls = parts.session, parts.view, parts.controls
    sliders = controls.sliders

    def undo(visit: Visit, mapping: str, **strengths: float) -> Changes:
        return travel(visit, from_sliders(strengths, mapping), "undo")

    def redo(visit: Visit, mapping: str, **strengths: float) -> Changes:
        return travel(visit, from_sliders(strengths, mapping), "redo")

    @told
    def travel(visit: Visit, moved: dict[str, float], way: str) -> Changes:
        if visit.chosen is None:
            raise ValueError(NO_FACE)
        state = getattr(visit.chosen.history, way)(moved)
        return updates.sliders(state) | updates.state(visit, state)

    def reset() -> Changes:
        return updates.sliders({})

    def follow(preset: Preset) -> Changes:
        return {sliders[name]: strength for name, strength in preset.strengths.items()}

    @told
    def apply(visit: Visit, settings: str) -> Changes:
        edit = read_settings(visit, settings, [*sliders])
        if mapping_of(edit) == ORIGINAL and not service.classifies:
            raise ValueError(NEEDED)
        return updates.sliders(edit)

    quickly = {"queue": False, **QUIETLY}
    outputs = [*sliders.values(), controls.mapping]
    for button, function in ((view.undo, undo), (view.redo, redo)):
        button.click(
            function,
            [session, controls.mapping],
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
    """The edit in the JSON of settings, or of anything that holds them, such as a recipe.

    Raises:
        ValueError: it is something else; see `edit.parse_strengths` for the rest.
    """
    try:
        fields: Any = json.loads(settings)
    except (ValueError, RecursionError):
        fields = None
    mapping = POLES
    if isinstance(fields, dict) and "strengths" in fields:
        fields, mapping = fields["strengths"], fields.get("mapping", POLES)
    if not isinstance(fields, dict) or mapping not in MAPPINGS:
        raise ValueError(visit.say("settings.bad"))
    return edit_of(parse_strengths(fields, names, mapping), mapping)
