"""How far long work is, on a terminal and nowhere else; Ctrl-C that ends steps without loss."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from sdflow.invert import Step
    from sdflow.media import Render

WIDTH = 20  # characters of the bar itself
_open_line = False  # a bar stands on the terminal's last line


class Bar:
    """One line on stderr that is written again and again; silent unless that is a terminal.

    Args:
        what: is done, such as "morph".
        total: how many steps there will be; without any there is nothing to show.
    """

    def __init__(self, what: str, total: int) -> None:
        self.done, self.total = 0, total
        self._what = what
        self._start = time.monotonic()
        self.show(0)

    def advance(self, note: str = "") -> None:
        """One more step is done."""
        self.show(self.done + 1, note)

    def show(self, done: int, note: str = "") -> None:
        """So many steps are done; the last one ends the line."""
        global _open_line
        self.done = done
        if not (self.total and sys.stderr.isatty()):
            return
        filled = WIDTH * done // self.total
        words = [f"{self._what} [{'#' * filled}{'.' * (WIDTH - filled)}] {done} of {self.total}"]
        words += [note] if note else []
        if 0 < done < self.total:
            left = (time.monotonic() - self._start) / done * (self.total - done)
            words.append(f"{duration(left)} left")
        line = ", ".join(words)[: shutil.get_terminal_size().columns - 1]  # or it would wrap
        _open_line = done < self.total
        end = "" if _open_line else "\n"
        print(f"\r{line}\x1b[K", end=end, file=sys.stderr, flush=True)

    def counting(self, render: Render) -> Render:
        """The same function, which counts a step whenever it has rendered."""

        def counted(strengths: dict[str, float]) -> Image.Image:
            picture = render(strengths)
            self.advance()
            return picture

        return counted


def end_line() -> None:
    """Leave the line of a bar that was not finished, before other words are written."""
    global _open_line
    if _open_line:
        print(file=sys.stderr, flush=True)
    _open_line = False


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Interruption:
    """Keeps the first Ctrl-C within it for those who ask; the next one interrupts as ever.

    Args:
        keep: False leaves Ctrl-C alone.
    """

    def __init__(self, keep: bool) -> None:
        self.asked = False
        self._keep = keep

    def __enter__(self) -> Interruption:
        self._keep = (
            self._keep
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler  # or it is ignored
        )
        if self._keep:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self._keep:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, *which: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Steps:
    """Told after each step of refinement or tuning; shows it, and ends them after a Ctrl-C.

    Args:
        what: is done.
        total: how many steps.
        interruption: may ask for the end.
        shown: False keeps the terminal clear.

    Attributes:
        distance: after the last step, see `invert.Step`; None before the first.
        ended: there were more steps to take.
    """

    def __init__(
        self, what: str, total: int, interruption: Interruption, shown: bool = True
    ) -> None:
        self.distance: float | None = None
        self.ended = False
        self._what = what
        self._interruption = interruption
        self._bar = Bar(what, total if shown else 0)

    def __call__(self, step: Step) -> bool:
        asked = self._interruption.asked  # looked at once: it may come while we write
        self.distance = step.distance
        self.ended = asked and step.done < step.steps
        self._bar.show(step.done, f"distance {step.distance:.3f}")
        if self.ended:
            end_line()
            print(f"Stopped {self._what} after step {step.done} of {step.steps}, going on with "
                  "the best so far. Press Ctrl-C again to give up.",
                  file=sys.stderr, flush=True)  # fmt: skip
        return asked
