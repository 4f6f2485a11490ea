"""Work through a list in several processes, one of which may die without harm to the others."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

Work = Callable[[Any], Any]  # an item → its result


class Died:
    """The result of an item in whose midst its process ended."""


def work_through(
    items: Iterable[Any], start: Callable[[], Work], workers: int
) -> Iterator[tuple[Any, Any]]:
    """Every item and its result, in the order in which they are done.

    Close the iterator if you leave it early: that ends the processes.

    Args:
        items: to work on; in several processes, they and their results are pickled.
        start: called once in each process; returns what does the work, and must be pickled too.
        workers: how many processes; 1 is this one.

    Raises:
        Exception: what `start` raises, or in this one process also the work.
    """
    if workers == 1:
        work = start()
        for item in items:
            yield item, work(item)
        return
    waiting = deque(items)
    busy: dict[Connection, tuple[BaseProcess, Any]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                ours, process = _hire(start)
                busy[ours] = process, None
                _give(busy, ours, waiting.popleft())
            for ours in wait(list(busy)):
                item = busy[ours][1]
                try:
                    result = ours.recv()
                except EOFError:  # killed, most likely for want of memory
                    busy.pop(ours)[0].join()
                    result = Died()
                if isinstance(result, Exception):
                    raise result
                if ours in busy and waiting:
                    _give(busy, ours, waiting.popleft())
                elif ours in busy:
                    ours.close()  # which tells it to leave
                    busy.pop(ours)[0].join()
                yield item, result
    finally:
        for process, _ in busy.values():
            process.terminate()
            process.join()


def _hire(start: Callable[[], Work]) -> tuple[Connection, BaseProcess]:
    """A new process and our end of the line to it.

    It ignores Ctrl-C, which is ours to handle, from its first instant on.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy PyTorch's locks
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, start), daemon=True)
    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if here else None
    try:
        process.start()
    finally:
        if here:
            signal.signal(signal.SIGINT, before)
    theirs.close()
    return ours, process


def _give(busy: dict[Connection, tuple[BaseProcess, Any]], ours: Connection, item: object) -> None:
    busy[ours] = busy[ours][0], item
    with suppress(OSError):  # it is dead, which the next look at it will show
        ours.send(item)


def _serve(theirs: Connection, start: Callable[[], Work]) -> None:
    """A process: does what it is given until the line ends."""
    try:
        work = start()
    except Exception as error:
        theirs.send(error)
        return
    try:
        while True:
            theirs.send(work(theirs.recv()))
    except (EOFError, ConnectionError):  # no more work, or nobody to work for
        return
