"""Edits for visitors who wait at the same time, made in one pass of the networks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdflow.edited import Edited

if TYPE_CHECKING:
    from sdflow.faces import Face
    from sdflow.networks.cnf import Solver
    from sdflow.page.turns import Turns
    from sdflow.pipeline import Editor


@dataclass(eq=False)
class _Wanted:
    """An edit that is waited for. `told`, it has its result or its error, or else its thread is
    the one that takes the next turn for all."""

    face: Face
    strengths: Mapping[str, float]
    alike: tuple[int, Solver, str]  # size, solver, mapping: only edits alike go together
    told: threading.Event = field(default_factory=threading.Event)
    edited: Edited | None = None
    error: Exception | None = None


class Together:
    """Gathers edits while they wait for the models.

    Whoever comes while nobody waits takes a turn; those who come until then are taken along, as
    many as the editor takes in one pass. The first one who is left over takes the next turn.

    Args:
        turns: of all that use the models.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._lock = threading.Lock()
        self._waiting: list[_Wanted] = []

    def edit(
        self,
        editor: Editor,
        face: Face,
        strengths: Mapping[str, float],
        size: int,
        solver: Solver,
        mapping: str,
    ) -> Edited:
        """One edit; arguments and errors as for `Editor.edit`."""
        if editor.batch == 1:
            with self._turns:
                return editor.edit(face, strengths, size, solver=solver, mapping=mapping)
        wanted = _Wanted(face, strengths, (size, solver, mapping))
        with self._lock:
            self._waiting.append(wanted)
            if len(self._waiting) == 1:
                wanted.told.set()
        wanted.told.wait()
        if wanted.edited is None and wanted.error is None:
            with self._turns:
                self._make(editor, self._those_with(wanted, editor.batch))
        try:
            if wanted.error:
                raise wanted.error
            return wanted.edited
        finally:  # or the error would hold itself, and with it what the pass had on the device
            del wanted

    def _those_with(self, first: _Wanted, most: int) -> list[_Wanted]:
        """Takes edits off the list that go through together; the next one left is told to lead."""
        with self._lock:
            taken = [each for each in self._waiting if each.alike == first.alike and each != first]
            taken = [first, *taken[: most - 1]]
            self._waiting = [each for each in self._waiting if each not in taken]
            if self._waiting:
                self._waiting[0].told.set()
        return taken

    @staticmethod
    def _make(editor: Editor, taken: list[_Wanted]) -> None:
        size, solver, mapping = taken[0].alike
        try:
            pairs = [(each.face, each.strengths) for each in taken]
            for each, edited in zip(
                taken, editor.edit_many(pairs, size, solver, mapping), strict=True
            ):
                each.edited = edited
        except Exception as error:
            if len(taken) > 1:  # one of them is at fault: each for itself
                for each in taken:
                    Together._make(editor, [each])
            else:
                taken[0].error = error
        for each in taken:
            each.told.set()
