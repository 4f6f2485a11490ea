"""What is told of a job: steps of refinement and of tuning as of one count, and seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sdflow import tuning
from sdflow.invert import OnStep, Step

Seconds = dict[str, float]  # step → how long it took


class Teller:
    """Tells of all steps of a job, and remembers whether it was stopped.

    Args:
        on_step: told after each step; True stops and keeps the best so far.
        steps: of refinement.
        tune: whether tuning follows.
    """

    def __init__(self, on_step: OnStep | None, steps: int, tune: bool) -> None:
        self.tune, self.stopped = tune, False
        self._on_step, self._steps = on_step, steps
        self._total = steps + (tuning.STEPS if tune else 0)

    def refining(self, step: Step) -> bool:
        """Told by `invert.refine`."""
        return self._tell(step, 0)

    def tuning(self, step: Step) -> bool:
        """Told by `tuning.tune`."""
        return self._tell(step, self._steps)

    def _tell(self, step: Step, before: int) -> bool:
        if self._on_step:
            step = replace(step, done=before + step.done, steps=self._total)
            self.stopped = bool(self._on_step(step))
        return self.stopped


@contextmanager
def timed(seconds: Seconds, step: str) -> Iterator[None]:
    """Writes down how long a step takes."""
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start
