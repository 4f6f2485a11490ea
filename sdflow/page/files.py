"""Files that visitors see and download: in private folders, gone after a time or when told."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import defaultdict
from pathlib import Path

SWEEP_EVERY = 600  # seconds


class Files:
    """Makes room for files.

    Args:
        folder: private; each file gets a folder in it whose name cannot be guessed.
        seconds: that a file stays.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.seconds = folder, seconds
        self._of: defaultdict[str, list[Path]] = defaultdict(list)  # owner → folders
        self._lock = threading.Lock()
        self._swept = time.monotonic()

    def new(self, name: str, owner: str | None = None) -> Path:
        """A path for a new file.

        Args:
            name: as a download folder shall show it.
            owner: token of the face that it shows, with which it can be forgotten.
        """
        if time.monotonic() - self._swept > SWEEP_EVERY:
            self.tidy()
        folder = self.folder / secrets.token_urlsafe(24)
        folder.mkdir(parents=True, mode=0o700)
        if owner:
            with self._lock:
                self._of[owner].append(folder)
        return folder / name

    def forget(self, owner: str) -> None:
        """Removes an owner's files; one that has none is no error."""
        with self._lock:
            folders = self._of.pop(owner, [])
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    def tidy(self) -> None:
        """Removes what is old."""
        self._swept = time.monotonic()
        remove_old(self.folder, self.seconds)
        with self._lock:
            for owner, folders in list(self._of.items()):
                self._of[owner] = [folder for folder in folders if folder.exists()]
                if not self._of[owner]:
                    del self._of[owner]


def remove_old(folder: Path, seconds: float) -> None:
    """Removes the files below a folder that are older, and the folders that are left empty."""
    oldest = time.time() - seconds
    for path in sorted(folder.rglob("*"), reverse=True):  # what is inside a folder comes first
        try:
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()
            elif path.is_dir() and path.stat().st_mtime < oldest:
                path.rmdir()
        except OSError:  # in use, not empty, or removed by another thread
            continue
