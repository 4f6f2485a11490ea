"""What the page's handlers call: models loaded in the background, faces by token, files to show.

One `Service` serves all visitors of a process. It knows nothing of Gradio.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sdflow.align import crop_face, find_faces
from sdflow.attributes import Attribute, shipped_attributes
from sdflow.faces import Face, FaceStore, face_to_bytes, load_face
from sdflow.images import BadImage, open_photo, save
from sdflow.manifest import WeightsError
from sdflow.pipeline import Edited, Editor

PREVIEW, FULL = 512, 1024  # pixels of an edited picture
THUMBNAIL = 160  # pixels of a face to pick
PREVIEW_QUALITY, FULL_QUALITY = 90, 95  # JPEG
MOST_THUMBNAILS = 24  # faces of a photo to pick from
KEPT = 7200  # seconds that a written file stays, and a face that nobody uses
SWEEP_EVERY = 600  # seconds

NO_PHOTO = "There is no photo yet. Upload one, choose an example, or take a random face."
NO_FACE = "There is no face yet. Open a photo or take a random face first."
NOT_LOADED = (
    "The networks could not be loaded here; the reason stands in the server's log. Try again in "
    "a minute."
)


@dataclass(frozen=True, eq=False)
class Opened:
    """A face that was just opened, with what a visitor gets to see of it.

    Attributes:
        token: under which the service keeps the face.
        face: the face itself.
        face_file: its face file, to download.
    """

    token: str
    face: Face
    face_file: Path


class Service:
    """Opens and edits faces for many visitors; the models run for one of them at a time.

    Args:
        folder: private folder for pictures and downloads, which stay for `KEPT` seconds.
        load: makes the editor, in a thread of its own.
        steps: of refinement when a photo is opened; None is the editor's default.
        store: keeps the faces.
    """

    def __init__(
        self,
        folder: Path,
        load: Callable[[], Editor] = Editor,
        steps: int | None = None,
        store: FaceStore | None = None,
    ) -> None:
        self.folder = folder
        self.steps = steps
        self.store = store or FaceStore(KEPT)
        self._load = load
        self._loading = threading.Lock()
        self._editor: Future[Editor] | None = None
        self._models = threading.Lock()
        self._swept = time.monotonic()

    # ---- loading

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The attributes of the model set, known before its networks are loaded.

        Raises:
            WeightsError: the flow's file is missing or damaged.
        """
        return shipped_attributes()

    @property
    def status(self) -> str:
        """`ready`, `loading` or `failed`; after a failure the next request loads again."""
        future = self._editor
        if future is None or not future.done():
            return "loading"
        return "failed" if future.exception() else "ready"

    def start(self) -> Future[Editor]:
        """Loads the models in the background, unless that is done or under way."""
        with self._loading:
            if self._editor is None or self.status == "failed":
                self._editor = Future()
                threading.Thread(target=self._fill, args=(self._editor,), daemon=True).start()
            return self._editor

    def _fill(self, future: Future[Editor]) -> None:
        try:
            future.set_result(self._load())
        except Exception as error:  # kept for whoever waits
            print(f"The models could not be loaded: {error}", file=sys.stderr, flush=True)
            future.set_exception(error)

    @property
    def editor(self) -> Editor:
        """The loaded editor; waits for it.

        Raises:
            WeightsError: it cannot be had. The sentence is for visitors and names no path.
        """
        try:
            return self.start().result()
        except Exception as error:
            raise WeightsError(NOT_LOADED) from error

    # ---- faces

    def open(
        self,
        photo: str | Path | None,
        face: int = 0,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Opened:
        """Opens one face of a photo, or a face file; see `Editor.open` for errors."""
        if not photo:
            raise BadImage(NO_PHOTO)
        editor = self.editor
        with self._models:
            return self._keep(editor.open(photo, face, self.steps, on_step))

    def open_file(self, face_file: str | Path) -> Opened:
        """Opens a face file and nothing else.

        Raises:
            FaceFileError: it is none.
        """
        face, editor = load_face(face_file), self.editor
        with self._models:
            return self._keep(editor.open(face))

    def random(self, seed: int | None = None) -> Opened:
        """A generated face; the same seed gives the same face."""
        editor = self.editor
        with self._models:
            return self._keep(editor.random(seed))

    def thumbnails(self, photo: str | Path) -> list[Image.Image]:
        """Small crops of a photo's faces, in the order in which `open` counts them."""
        picture = open_photo(photo)
        found = find_faces(picture)[:MOST_THUMBNAILS]
        return [crop_face(picture, face.landmarks, THUMBNAIL)[0] for face in found]

    def edit(self, token: str | None, strengths: Mapping[str, float], size: int = FULL) -> Edited:
        """Edits a kept face.

        Raises:
            UnknownFace: the token is not, or no longer, known.
            ValueError: no token; see `Editor.edit` for the others.
        """
        if not token:
            raise ValueError(NO_FACE)
        face, editor = self.store.get(token), self.editor
        with self._models:
            return editor.edit(face, strengths, size)

    def edit_file(self, face_file: str | Path, strengths: Mapping[str, float]) -> Edited:
        """Edits the face of a face file, without keeping it; errors as for `open_file`."""
        face, editor = load_face(face_file), self.editor
        with self._models:
            return editor.edit(editor.open(face), strengths)

    def pair(self, token: str, edited: Edited) -> tuple[Path, Path]:
        """JPEGs to compare: the photo's crop, or a random face as it came, and its edit."""
        after = self._new_file("edited.jpg")
        preview = edited.image.width == PREVIEW
        save(edited.image, after, PREVIEW_QUALITY if preview else FULL_QUALITY)
        return self._before(token, edited), after

    def download(self, image: Image.Image) -> Path:
        """Writes a picture as PNG under a name that suits a download folder."""
        file = self._new_file("sdflow-edit.png")
        save(image, file)
        return file

    def _keep(self, face: Face) -> Opened:
        file = self._new_file("sdflow-face.safetensors")
        file.write_bytes(face_to_bytes(face))
        return Opened(self.store.add(face), face, file)

    def _before(self, token: str, edited: Edited) -> Path:
        """The unedited side, written once for each token, under a name that does not tell it."""
        file = self.folder / f"{hashlib.sha256(token.encode()).hexdigest()}.jpg"
        if not file.exists():
            picture = self.store.get(token).picture
            if picture is None:  # a random face
                is_it = edited.after == edited.before and edited.image.width == FULL
                picture = edited.image if is_it else self.edit(token, {}).image
            save(picture, file, FULL_QUALITY)
        return file

    def _new_file(self, name: str) -> Path:
        """A path in a folder of its own whose name cannot be guessed; old ones are removed."""
        if time.monotonic() - self._swept > SWEEP_EVERY:
            self._swept = time.monotonic()
            remove_old(self.folder, KEPT)
        folder = self.folder / secrets.token_urlsafe(24)
        folder.mkdir(parents=True, mode=0o700)
        return folder / name


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
