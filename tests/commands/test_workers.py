"""Several processes: all items, in spite of one that kills its process."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest

from sdflow.commands.workers import Died, work_through


def prepare(deadly: int) -> Callable[[int], tuple[int, int]]:
    """Work for the processes; must be importable there."""

    def work(number: int) -> tuple[int, int]:
        if number == deadly:
            os._exit(9)
        return number**2, os.getpid()

    return work


def refuse() -> Callable[[int], int]:
    raise ValueError("No weights. Fetch them.")


def test_one_worker_is_this_process() -> None:
    done = list(work_through([1, 2], partial(prepare, -1), 1))
    assert done == [(1, (1, os.getpid())), (2, (4, os.getpid()))]


def test_a_worker_that_dies_takes_one_item_with_it() -> None:
    results = dict(work_through(range(6), partial(prepare, 2), 2))
    assert isinstance(results.pop(2), Died)
    assert {number: result[0] for number, result in results.items()} == {
        0: 0, 1: 1, 3: 9, 4: 16, 5: 25
    }  # fmt: skip
    pids = {pid for _, pid in results.values()}
    assert os.getpid() not in pids and 2 <= len(pids) <= 3


def test_what_cannot_start_is_told() -> None:
    with pytest.raises(ValueError, match="Fetch them"):
        list(work_through([1, 2], refuse, 2))


def test_leaving_early_ends_the_processes() -> None:
    with closing(work_through(range(100), partial(prepare, -1), 2)) as results:
        pids = {next(results)[1][1] for _ in range(8)}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
