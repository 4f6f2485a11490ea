"""Progress of long work: one line that says how far it is and how long it will still take."""

from __future__ import annotations

import sys
import time


class Progress:
    """Prints ``what: done/total, rate, time left`` at most every few seconds on stderr.

    Args:
        what: what is counted.
        total: how many there will be.
        every: seconds between lines; in a terminal the line is rewritten in place.
    """

    def __init__(self, what: str, total: int, every: float = 10.0) -> None:
        self.what, self.total, self.every = what, total, every
        self.done = 0
        self.start = self.last = time.monotonic()

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counts n more; ``note`` (losses, say) ends the line."""
        self.done += n
        now = time.monotonic()
        if now - self.last < self.every and self.done < self.total:
            return
        self.last = now
        rate = self.done / max(now - self.start, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        end = "\r" if sys.stderr.isatty() and self.done < self.total else "\n"
        print(
            f"{self.what}: {self.done}/{self.total}, {rate:.2f}/s, "
            f"{left / 60:.1f} min left {note}".rstrip(),
            end=end,
            file=sys.stderr,
            flush=True,
        )
