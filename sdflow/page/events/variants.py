"""Variants: one attribute swept, a grid of two, what was tried; a click returns to the edit."""

from __future__ import annotations

import gradio as gr

from sdflow.page import tiles
from sdflow.page.boards import grid_board, states_of, sweep_board
from sdflow.page.errors import told
from sdflow.page.events.returning import AT_ONCE, add_return
from sdflow.page.events.showing import Showing
from sdflow.page.layout import Parts
from sdflow.page.panels import Variants
from sdflow.page.service import NO_FACE, Service
from sdflow.page.updates import QUIETLY, Changes, Updates
from sdflow.page.visit import Visit

# Pictures are made between those that others ask for; two visitors are served at a time.
BOARDS = {"concurrency_id": "boards", "concurrency_limit": 2}


def add_variants(service: Service, parts: Parts, updates: Updates, panel: Variants) -> None:
    """Connects the tab."""
    session = parts.session

    showing = Showing(service, panel, lambda visit: visit.trials, "variants")
    shown, outputs = showing.shown, showing.outputs

    def follow(visit: Visit) -> Changes:
        return shown(visit) | {
            panel.tried: tiles.strip(visit.language, visit.trials.tried, visit.strengths),
            panel.make: gr.update(interactive=visit.chosen is not None),
        }

    @told
    def ask(
        visit: Visit, kind: str, across: str, down: str, columns: int, size: int
    ) -> Changes:
        if visit.chosen is None:
            raise ValueError(NO_FACE)
        token, base = visit.chosen.token, visit.strengths
        if kind == "two":
            board = grid_board(token, base, across, down, size)
        else:
            board = sweep_board(token, base, across, columns)
        stop(visit)
        visit.trials.board = board
        return shown(visit)

    def stop(visit: Visit) -> Changes:
        if visit.trials.board:
            visit.trials.board.stopped = True
        return shown(visit)

    asked = panel.make.click(
        ask,
        [session, panel.kind, panel.across, panel.down, panel.columns, panel.size],
        outputs,
        trigger_mode="multiple",
        **AT_ONCE,
    )
    asked.success(showing.make, [session], outputs, **BOARDS, **QUIETLY)
    panel.stop.click(stop, [session], outputs, queue=False, **QUIETLY)
    add_return(parts, updates, panel.board, lambda visit: states_of(visit.trials.board))
    add_return(parts, updates, panel.tried, lambda visit: visit.trials.tried)
    parts.looked.change(
        follow,
        [session],
        [*outputs, panel.tried, panel.make],
        trigger_mode="always_last",
        queue=False,
        **QUIETLY,
    )
