"""Work that goes in steps, in a thread: its steps are seen on the way, and it can be stopped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

SEEN_EVERY = 0.4  # seconds
Stage = TypeVar("Stage")  # what the work tells of a step
Result = TypeVar("Result")


class Abandoned(Exception):  # noqa: N818 - no error
    """Raised inside of work whose result nobody wants any more."""


class Work(Generic[Stage, Result]):
    """Starts work in a thread.

    Args:
        function: the work; it is given what to call after each step.
        on_step: called too, in the thread, such as a progress bar.
    """

    def __init__(
        self,
        function: Callable[[Callable[[Stage], bool]], Result],
        on_step: Callable[[Stage], object] | None = None,
    ) -> None:
        self._on_step = on_step
        self._latest: Stage | None = None
        self._stopped, self._abandoned = threading.Event(), threading.Event()
        self._task = asyncio.create_task(asyncio.to_thread(function, self._tell))
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def stop(self) -> None:
        """Ends it after the step that it is at, with the best so far for a result;
        work that has none by then raises `Abandoned`."""
        self._stopped.set()

    def abandon(self) -> None:
        """Ends it after the step that it is at, without a result; harmless when it is done."""
        self._abandoned.set()

    async def steps(self) -> AsyncIterator[Stage]:
        """The latest step, every now and then, until the work is done."""
        seen = None
        while not self._task.done():
            await asyncio.wait([self._task], timeout=SEEN_EVERY)
            if self._latest is not seen:
                seen = self._latest
                yield seen

    async def result(self) -> Result:
        """What the work gave; raises what it raised."""
        return await asyncio.shield(self._task)

    def _tell(self, step: Stage) -> bool:
        if self._abandoned.is_set():
            raise Abandoned
        self._latest = step
        if self._on_step:
            self._on_step(step)
        return self._stopped.is_set()


async def finish(
    function: Callable[[Callable[[Stage], bool]], Result], on_step: Callable[[Stage], object]
) -> Result:
    """Does the work and waits for it; being cancelled ends the work too."""
    work = Work(function, on_step)
    try:
        return await work.result()
    finally:
        work.abandon()
