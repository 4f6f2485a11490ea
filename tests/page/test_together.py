"""Edits of visitors who wait at the same time go through the networks in one pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from sdflow.edit import UnknownAttribute
from sdflow.edited import Edited
from sdflow.faces import Face
from sdflow.networks.cnf import DRAFT, FINE, Solver
from sdflow.page.together import Together
from sdflow.page.turns import Turns
from sdflow.pipeline import Editor


class Batching(Editor):
    """Takes several edits in one pass, and writes down how many it was given each time."""

    def __init__(self, editor: Editor, batch: int) -> None:
        super().__init__(editor.models)
        self.batch, self.passes = batch, []

    def edit_many(self, edits: Sequence[Any], *rest: Any) -> list[Edited]:  # noqa: ANN401
        self.passes.append(len(edits))
        return super().edit_many(edits, *rest)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def edited_at_once(
    editor: Batching, wanted: Sequence[tuple[Face, dict[str, float], Solver]]
) -> list[Future[Edited]]:
    """All of them asked for while the models are busy, in this order."""
    turns = Turns()
    together = Together(turns)
    with ThreadPoolExecutor(len(wanted)) as pool:
        with turns:
            asked = []
            for face, strengths, solver in wanted:
                asked.append(
                    pool.submit(together.edit, editor, face, strengths, 512, solver, "poles")
                )
                wait_for(lambda: len(together._waiting) == len(asked))
    return asked


def test_those_who_wait_are_served_together(editor: Editor) -> None:
    faces = [editor.random(seed) for seed in range(4)]
    wanted = [(face, {"smiling": 0.25 * i}, FINE) for i, face in enumerate(faces)]
    batching = Batching(editor, 3)
    done = edited_at_once(batching, wanted)
    assert batching.passes == [3, 1]
    for (face, strengths, _), future in zip(wanted, done, strict=True):
        expected = editor.edit(face, strengths, 512)
        np.testing.assert_allclose(future.result().w, expected.w, atol=2e-5)


def test_drafts_and_full_edits_do_not_mix(editor: Editor, opened: Face) -> None:
    wanted = [(opened, {"young": 0.5}, solver) for solver in (FINE, DRAFT, FINE, DRAFT)]
    batching = Batching(editor, 8)
    fine, draft, again, _ = (future.result() for future in edited_at_once(batching, wanted))
    assert batching.passes == [2, 2]
    np.testing.assert_allclose(again.w, fine.w, atol=2e-5)
    assert np.abs(draft.w - fine.w).max() > 1e-4


def test_one_mistake_is_told_to_whom_it_belongs(editor: Editor, opened: Face) -> None:
    wanted = [(opened, {"smiling": 1.0}, FINE), (opened, {"nose": 1.0}, FINE), (opened, {}, FINE)]
    good, bad, plain = edited_at_once(Batching(editor, 8), wanted)
    with pytest.raises(UnknownAttribute):
        bad.result()
    assert good.result().after["smiling"] > plain.result().after["smiling"]


def test_whoever_comes_during_a_pass_gets_the_next(editor: Editor, opened: Face) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Batching):
        def edit_many(self, edits: Sequence[Any], *rest: Any) -> list[Edited]:  # noqa: ANN401
            begun.set()
            assert go_on.wait(20)
            return super().edit_many(edits, *rest)

    slow, together = Slow(editor, 8), Together(Turns())
    with ThreadPoolExecutor(3) as pool:

        def ask() -> Future[Edited]:
            return pool.submit(together.edit, slow, opened, {"smiling": 1.0}, 512, DRAFT, "poles")

        first = ask()
        assert begun.wait(20)
        later = [ask(), ask()]
        wait_for(lambda: len(together._waiting) == 2)
        go_on.set()
        results = [future.result(20) for future in (first, *later)]
    assert slow.passes == [1, 2]
    for result in results[1:]:
        np.testing.assert_allclose(result.w, results[0].w, atol=2e-5)
