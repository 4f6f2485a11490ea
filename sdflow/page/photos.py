"""The visitors' photos: their faces, and a private copy for as long as a face of it is kept."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
import weakref
from pathlib import Path

from PIL import Image

from sdflow.align import crop_face, find_faces
from sdflow.images import open_photo

THUMBNAIL = 160  # pixels of a face to pick
MOST_THUMBNAILS = 24  # faces of a photo to pick from
GONE = "The photo of this face is not kept any more. Open the photo again."


def thumbnails(photo: str | Path) -> list[Image.Image]:
    """Small crops of a photo's faces, in the order in which `Editor.open` counts them."""
    picture = open_photo(photo)
    found = find_faces(picture)[:MOST_THUMBNAILS]
    return [crop_face(picture, face.landmarks, THUMBNAIL)[0] for face in found]


class KeptPhoto:
    """The copy of one photo; its file goes when nothing refers to it any more.

    Attributes:
        nbytes: of the file.
        digest: of its content, the same for the same file given twice.
        shown: the picture of it that the page compares with, once there is one.
    """

    def __init__(self, source: str | Path, folder: Path) -> None:
        folder.mkdir(parents=True, mode=0o700)
        self._file = folder / "photo"
        self.remove = weakref.finalize(self, shutil.rmtree, folder, True)
        content = Path(source).read_bytes()
        self._file.write_bytes(content)
        self.nbytes, self.digest = len(content), hashlib.sha256(content).digest()
        self.shown: Path | None = None

    @property
    def path(self) -> Path:
        """The file, which now counts as used.

        Raises:
            LookupError: it is gone.
        """
        if not self.touch():
            raise LookupError(GONE)
        return self._file

    def touch(self) -> bool:
        """Counts the file as used; False if it is gone."""
        try:
            os.utime(self._file)
        except OSError:
            return False
        return True

    @property
    def used(self) -> float:
        """When it was last used, by the file system's clock; 0 if it is gone."""
        try:
            return self._file.stat().st_mtime
        except OSError:
            return 0.0


class Photos:
    """Keeps photos in a folder; beyond a size of them all, the longest unused go.

    Args:
        folder: private; inside it each photo has a folder whose name cannot be guessed.
        largest_bytes: of all photos together.
    """

    def __init__(self, folder: Path, largest_bytes: int = 2_000_000_000) -> None:
        self.folder = folder
        self.largest_bytes = largest_bytes
        self._kept: weakref.WeakSet[KeptPhoto] = weakref.WeakSet()
        self._lock = threading.Lock()

    def keep(self, source: str | Path) -> KeptPhoto:
        """Copies a photo's file."""
        photo = KeptPhoto(source, self.folder / secrets.token_urlsafe(24))
        with self._lock:
            others = sorted(self._kept, key=lambda kept: kept.used)
            total = photo.nbytes + sum(kept.nbytes for kept in others)
            for kept in others:
                if total <= self.largest_bytes:
                    break
                kept.remove()
                self._kept.discard(kept)
                total -= kept.nbytes
            self._kept.add(photo)
        return photo
