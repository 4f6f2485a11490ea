"""The board of a tab: shown as far as it is made, and made picture by picture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import gradio as gr

from sdflow.page import tiles
from sdflow.page.boards import fill
from sdflow.page.errors import told
from sdflow.page.panels import Comparing, Variants
from sdflow.page.service import Service
from sdflow.page.tried import Gathered, Trials
from sdflow.page.updates import Changes
from sdflow.page.visit import Visit


class Showing:
    """Handlers of one tab's board.

    Args:
        service: renders.
        panel: the tab.
        keeper: what of a visit keeps the board.
        words: first part of the tab's texts.

    Attributes:
        outputs: the components that change.
    """

    def __init__(
        self,
        service: Service,
        panel: Variants | Comparing,
        keeper: Callable[[Visit], Trials | Gathered],
        words: str,
    ) -> None:
        self._service, self._panel, self._keeper, self._words = service, panel, keeper, words
        self.outputs = [panel.board, panel.working, panel.sheet]

    def shown(self, visit: Visit) -> Changes:
        """The board as far as it is made."""
        panel, board = self._panel, self._keeper(visit).board
        if board is None:
            return {
                panel.board: tiles.empty(visit.say(f"{self._words}.empty")),
                panel.working: "",
                panel.sheet: gr.update(value=None, interactive=False),
            }
        name, progress = visit.say(f"{self._words}.board"), f"{self._words}.progress"
        return {
            panel.board: tiles.board_tiles(visit.language, board, visit.strengths, name),
            panel.working: tiles.board_status(visit.language, board, progress),
            panel.sheet: gr.update(value=board.sheet, interactive=board.sheet is not None),
        }

    @told
    async def make(self, visit: Visit) -> AsyncIterator[Changes]:
        """Fills the board; ends when it is stopped, or another one or nobody wants it."""
        keeper = self._keeper(visit)
        board = keeper.board
        yield self.shown(visit)
        if board is None or board.done:
            return

        def wanted() -> bool:
            return self._keeper(visit) is keeper and keeper.board is board and board.busy

        try:
            async for _ in fill(self._service, board, wanted):
                yield self.shown(visit)
        except Exception:
            board.stopped = True
            yield self.shown(visit)
            raise
        finally:
            board.stopped = board.sheet is None
        yield self.shown(visit)  # also when stopped: a picture may have overtaken that
