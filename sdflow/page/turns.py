"""Whose turn it is with the models: one at a time, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A fair lock, as a context manager: it goes to whoever has waited longest.

    Args:
        most: how many hold it at a time.

    A plain lock that is released and taken again at once would stay with a long job; `give_way`
    lets all those go first who wait by then.
    """

    def __init__(self, most: int = 1) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._free = most

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Event()
            self._waiting.append(turn)
        turn.wait()  # it is then handed over, and was never free in between

    def __exit__(self, *error: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1

    def give_way(self) -> None:
        """Called by the holder: lets those who wait go first, then holds again."""
        self.__exit__()
        self.__enter__()
