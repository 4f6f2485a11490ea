"""The editor, loaded in the background while the page is up already."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future

from sdflow.manifest import WeightsError
from sdflow.pipeline import Editor

NOT_LOADED = (
    "The networks could not be loaded here; the reason stands in the server's log. Try again in "
    "a minute."
)


class Loading:
    """Loads an editor once; after a failure the next request loads again.

    Args:
        load: makes the editor, in a thread of its own.
    """

    def __init__(self, load: Callable[[], Editor]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._editor: Future[Editor] | None = None

    @property
    def status(self) -> str:
        """`ready`, `loading` or `failed`."""
        future = self._editor
        if future is None or not future.done():
            return "loading"
        return "failed" if future.exception() else "ready"

    def start(self) -> Future[Editor]:
        """Loads in the background, unless that is done or under way."""
        with self._lock:
            if self._editor is None or self.status == "failed":
                self._editor = Future()
                threading.Thread(target=self._fill, args=(self._editor,), daemon=True).start()
            return self._editor

    def wait(self) -> Editor:
        """The loaded editor.

        Raises:
            WeightsError: it cannot be had. The sentence is for visitors and names no path.
        """
        try:
            return self.start().result()
        except Exception as error:
            raise WeightsError(NOT_LOADED) from error

    def _fill(self, future: Future[Editor]) -> None:
        try:
            future.set_result(self._load())
        except Exception as error:  # kept for whoever waits
            print(f"The models could not be loaded: {error}", file=sys.stderr, flush=True)
            future.set_exception(error)
