"""What the page's handlers call: models loaded in the background, faces by token, files to show.

One `Service` serves all visitors of a process. It knows nothing of Gradio.
"""

from __future__ import annotations

import hashlib
import secrets
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sdflow.align import crop_face, find_faces
from sdflow.attributes import Attribute, shipped_attributes
from sdflow.faces import Face, FaceStore, face_to_bytes, is_face_file, load_face
from sdflow.images import BadImage, open_photo, save, to_image
from sdflow.invert import REFINED, OnStep, Step
from sdflow.originals import open_original
from sdflow.page.loading import Loading
from sdflow.page.pasting import PastedPhoto, comparable, written
from sdflow.page.photos import KeptPhoto, Photos
from sdflow.page.turns import Turns
from sdflow.pipeline import Edited, Editor

PREVIEW, FULL = 512, 1024  # pixels of an edited picture
THUMBNAIL = 160  # pixels of a face to pick
PREVIEW_QUALITY, FULL_QUALITY = 90, 95  # JPEG
MOST_THUMBNAILS = 24  # faces of a photo to pick from
MOST_STEPS = 300  # of refinement
KEPT = 7200  # seconds that a written file stays, and a face that nobody uses
SWEEP_EVERY = 600  # seconds

NO_PHOTO = "There is no photo yet. Upload one, choose an example, or take a random face."
NO_FACE = "There is no face yet. Open a photo or take a random face first."
NO_PLACE = "This face came without a photo to go back to. Open a photo first."
OTHER_PHOTO = "These faces are of different photos. Paste those of one photo at a time."
Edits = tuple[str, Mapping[str, float]]  # a face's token, and its strengths


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
        refined: steps when more likeness is asked for.
        store: keeps the faces.
    """

    def __init__(
        self,
        folder: Path,
        load: Callable[[], Editor] = Editor,
        steps: int | None = None,
        refined: int = REFINED,
        store: FaceStore | None = None,
    ) -> None:
        self.folder = folder
        self.steps, self.refined = steps, refined
        self.store = store or FaceStore(KEPT)
        self.photos = Photos(folder / "photos")
        self._photo_of: weakref.WeakKeyDictionary[Face, KeptPhoto] = weakref.WeakKeyDictionary()
        self._loading = Loading(load)
        self._models = Turns()
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
        return self._loading.status

    def start(self) -> Future[Editor]:
        """Loads the models in the background, unless that is done or under way."""
        return self._loading.start()

    @property
    def editor(self) -> Editor:
        """The loaded editor; waits for it; errors as for `Loading.wait`."""
        return self._loading.wait()

    # ---- faces

    def open(
        self,
        photo: str | Path | None,
        face: int = 0,
        steps: int | None = None,
        tune: bool = False,
        on_step: OnStep | None = None,
    ) -> Opened:
        """Opens one face of a photo, of which a private copy is kept as long as the face.

        Raises:
            ValueError: steps out of range; see `Editor.open` for the others.
        """
        if not photo:
            raise BadImage(NO_PHOTO)
        return self._open(photo, None, face, steps, tune, on_step)

    def open_beside(self, token: str | None, face: int, on_step: OnStep | None = None) -> Opened:
        """Opens another face of a kept face's photo; errors as for `paste` and `open`."""
        _, photo = self._with_photo(token)
        return self._open(photo.path, photo, face, None, False, on_step)

    def _open(
        self,
        source: str | Path,
        kept: KeptPhoto | None,
        face: int,
        steps: int | None,
        tune: bool,
        on_step: OnStep | None,
    ) -> Opened:
        steps = check_steps(self.steps if steps is None else steps)
        editor = self.editor
        with self._models:
            opened = editor.open(source, face, steps, tune, self._fair(on_step))
        if not is_face_file(source):
            self._photo_of[opened] = kept or self.photos.keep(source)
        return self._keep(opened)

    def open_file(self, face_file: str | Path) -> Opened:
        """Opens a face file and nothing else.

        Raises:
            FaceFileError: it is none.
        """
        face, editor = load_face(face_file), self.editor
        with self._models:
            return self._keep(editor.open(face))

    def again(self, token: str | None) -> Opened:
        """A kept face as it was opened.

        Raises:
            UnknownFace: the token is not, or no longer, known.
            ValueError: no token.
        """
        return self._shown(self._face(token), token)

    def refine(
        self,
        token: str | None,
        steps: int | None = None,
        tune: bool = False,
        on_step: OnStep | None = None,
    ) -> Opened:
        """Works on the likeness of a kept face, which stays: the result has a token of its own.

        Between two steps others have their turn with the models.

        Args:
            token: of a face that came from a photo.
            steps: of refinement, 0 to 300; None is the usual number.
            tune: whether the generator is changed for this face, see `sdflow.tuning`.
            on_step: told after each step; True stops and keeps the best so far.

        Raises:
            UnknownFace: the token is not, or no longer, known.
            ValueError: steps out of range, a random face, no token.
        """
        steps = check_steps(self.refined if steps is None else steps)
        face, editor = self._face(token), self.editor
        with self._models:
            refined = editor.refine(face, steps, tune, self._fair(on_step))
        if photo := self._photo_of.get(face):
            self._photo_of[refined] = photo
        return self._keep(refined)

    def has_photo(self, token: str | None) -> bool:
        """Whether a kept face has a photo to be pasted into; errors as for `again`."""
        return self._face(token) in self._photo_of

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
        face, editor = self._face(token), self.editor
        with self._models:
            return editor.edit(face, strengths, size)

    def edit_file(self, face_file: str | Path, strengths: Mapping[str, float]) -> Edited:
        """Edits the face of a face file, without keeping it; errors as for `open_file`."""
        face, editor = load_face(face_file), self.editor
        with self._models:
            return editor.edit(editor.open(face), strengths)

    def paste(self, *edits: Edits, plain: bool = False) -> PastedPhoto:
        """Puts edited faces of one photo back into it.

        Args:
            edits: tokens with strengths, one after the other.
            plain: paste whole crops with a feathered rim.

        Raises:
            UnknownFace: a token is not, or no longer, known.
            LookupError: the photo is not kept any more.
            ValueError: faces of several photos, or without any; see `Editor.edit` for the others.
        """
        if not edits:
            raise ValueError(NO_FACE)
        faces, photos = zip(*(self._with_photo(token) for token, _ in edits), strict=True)
        if any(photo.digest != photos[0].digest for photo in photos):
            raise ValueError(OTHER_PHOTO)
        editor = self.editor
        done: list[tuple[Face, Edited]] = []
        original = open_original(photos[0].path)
        for face, (_, strengths) in zip(faces, edits, strict=True):
            with self._models:
                done.append((face, editor.edit(face, strengths)))
        edited = tuple(edit for _, edit in done)
        # a face that nothing moves stays the photo's own, but for the plain way
        moved = [pair for pair, (_, given) in zip(done, edits, strict=True)
                 if plain or any(given.values())]  # fmt: skip
        with self._models:
            start = time.perf_counter()
            pasted = editor.paste(original, *moved, plain=plain)
            seconds = time.perf_counter() - start + sum(edit.seconds for edit in edited)
        return PastedPhoto(original, pasted.image, pasted.mask, edited, photos[0], seconds)

    def pair(self, token: str, edited: Edited) -> tuple[Path, Path]:
        """JPEGs to compare: the photo's crop, or a random face as it came, and its edit."""
        preview = edited.image.width == PREVIEW
        after = self._write(edited.image, PREVIEW_QUALITY if preview else FULL_QUALITY)
        return self._before(token, edited), after

    def pair_of_step(self, token: str, step: Step) -> tuple[Path, Path]:
        """JPEGs to compare while the likeness is worked on: the photo's crop, the best so far."""
        picture = self._face(token).picture
        if picture is None:
            raise ValueError(NO_PLACE)
        return self._before(token), self._write(to_image(step.image), PREVIEW_QUALITY)

    def pair_in_photo(self, pasted: PastedPhoto) -> tuple[Path, Path]:
        """JPEGs to compare, of a size for the screen: the photo, and with its edited faces."""
        shown = pasted.photo.shown
        if shown is None or not shown.exists():
            shown = self._write(comparable(pasted.original), FULL_QUALITY)
            pasted.photo.shown = shown
        picture = comparable(pasted.original, pasted.image)
        return shown, self._write(picture, FULL_QUALITY)

    def download(self, image: Image.Image) -> Path:
        """Writes a picture as PNG under a name that suits a download folder."""
        file = self._new_file("sdflow-edit.png")
        save(image, file)
        return file

    def download_photo(
        self, pasted: PastedPhoto, keep_metadata: bool = False
    ) -> tuple[Path, Path]:
        """Writes a pasted photo in its own format, and the mask of what was touched as PNG."""
        file = self._new_file(f"sdflow-edit{pasted.original.suffix}")
        return written(pasted, file, keep_metadata)

    def keep_tidy(self) -> None:
        """Forgets what is old, for as long as the process lives; also when nobody calls."""
        while True:
            time.sleep(SWEEP_EVERY)
            len(self.store)  # it forgets old faces when it is asked for anything
            remove_old(self.folder, KEPT)

    def _fair(self, on_step: OnStep | None) -> OnStep:
        """Told after each step of work that holds the models: lets those who wait go first."""

        def between(step: Step) -> bool:
            if on_step and on_step(step):
                return True
            self._models.give_way()
            return False

        return between

    def _face(self, token: str | None) -> Face:
        if not token:
            raise ValueError(NO_FACE)
        face = self.store.get(token)
        if photo := self._photo_of.get(face):
            photo.touch()  # it stays as long as the face
        return face

    def _with_photo(self, token: str | None) -> tuple[Face, KeptPhoto]:
        face = self._face(token)
        photo = self._photo_of.get(face)
        if photo is None:
            raise ValueError(NO_PLACE)
        return face, photo

    def _keep(self, face: Face) -> Opened:
        return self._shown(face, self.store.add(face))

    def _shown(self, face: Face, token: str) -> Opened:
        file = self._new_file("sdflow-face.safetensors")
        file.write_bytes(face_to_bytes(face))
        return Opened(token, face, file)

    def _before(self, token: str, edited: Edited | None = None) -> Path:
        """The unedited side, written once for each token, under a name that does not tell it."""
        file = self.folder / f"{hashlib.sha256(token.encode()).hexdigest()}.jpg"
        if not file.exists():
            picture = self._face(token).picture
            if picture is None:  # a random face
                is_it = edited and edited.after == edited.before and edited.image.width == FULL
                picture = edited.image if is_it else self.edit(token, {}).image
            save(picture, file, FULL_QUALITY)
        return file

    def _write(self, image: Image.Image, quality: int) -> Path:
        """A JPEG to show."""
        file = self._new_file("edited.jpg")
        save(image, file, quality)
        return file

    def _new_file(self, name: str) -> Path:
        """A path in a folder of its own whose name cannot be guessed; old ones are removed."""
        if time.monotonic() - self._swept > SWEEP_EVERY:
            self._swept = time.monotonic()
            remove_old(self.folder, KEPT)
        folder = self.folder / secrets.token_urlsafe(24)
        folder.mkdir(parents=True, mode=0o700)
        return folder / name


def check_steps(steps: int | None) -> int | None:
    """Steps of refinement that may be asked for; None is the default.

    Raises:
        ValueError: out of range.
    """
    if steps is not None and not 0 <= steps <= MOST_STEPS:
        raise ValueError(f"Got {steps:.0f} steps of refinement. Give 0 to {MOST_STEPS}.")
    return None if steps is None else int(steps)


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
