"""Variants: one attribute swept, a grid of two, what was tried; a click returns to the edit."""

from __future__ import annotations

from collections.abc import AsyncIterator

import gradio as gr

from sdflow.page import tiles
from sdflow.page.boards import fill, grid_board, states_of, sweep_board
from sdflow.page.errors import told
from sdflow.page.events.returning import AT_ONCE, add_return
from sdflow.page.layout import Parts
from sdflow.page.panels import Variants
from sdflow.page.service import NO_FACE, Service
from sdflow.page.updates import QUIETLY, Changes
from sdflow.page.visit import Visit

# Pictures are made between those that others ask for; two visitors are served at a time.
BOARDS = {"concurrency_id": "boards", "concurrency_limit": 2}


def add_variants(service: Service, parts: Parts, panel: Variants) -> None:
    """Connects the tab."""
    session = parts.session

    def shown(visit: Visit) -> Changes:
        """The board as far as it is made."""
        board = visit.trials.board
        if board is None:
            return {
                panel.board: tiles.empty(visit.say("variants.empty")),
                panel.working: "",
                panel.sheet: gr.update(value=None, interactive=False),
            }
        name = visit.say("variants.board")
        return {
            panel.board: tiles.board_tiles(visit.language, board, visit.strengths, name),
            panel.working: tiles.board_status(visit.language, board, "variants.progress"),
            panel.sheet: gr.update(value=board.sheet, interactive=board.sheet is not None),
        }

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

    @told
    async def make(visit: Visit) -> AsyncIterator[Changes]:
        trials = visit.trials
        board = trials.board
        yield shown(visit)
        if board is None or board.done:
            return

        def wanted() -> bool:
            return visit.trials is trials and trials.board is board and board.busy

        try:
            async for _ in fill(service, board, wanted):
                yield shown(visit)
        except Exception:
            board.stopped = True
            yield shown(visit)
            raise
        finally:
            board.stopped = board.sheet is None
        yield shown(visit)  # also when stopped: a picture may have overtaken that

    outputs = [panel.board, panel.working, panel.sheet]
    asked = panel.make.click(
        ask,
        [session, panel.kind, panel.across, panel.down, panel.columns, panel.size],
        outputs,
        trigger_mode="multiple",
        **AT_ONCE,
    )
    asked.success(make, [session], outputs, **BOARDS, **QUIETLY)
    panel.stop.click(stop, [session], outputs, queue=False, **QUIETLY)
    add_return(parts, panel.board, lambda visit: states_of(visit.trials.board))
    add_return(parts, panel.tried, lambda visit: visit.trials.tried)
    parts.looked.change(
        follow,
        [session],
        [*outputs, panel.tried, panel.make],
        trigger_mode="always_last",
        queue=False,
        **QUIETLY,
    )
