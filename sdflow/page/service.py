"""What the page's handlers call: models loaded in the background, faces by token, files to show.

One `Service` serves all visitors of a process. It knows nothing of Gradio.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from PIL import Image

from sdflow import weights, zerogpu
from sdflow.attributes import Attribute
from sdflow.faces import Face, FaceStore, UnknownFace, face_to_bytes, is_face_file, load_face
from sdflow.gpu import load_editor
from sdflow.images import BadImage
from sdflow.invert import REFINED, OnStep, Step
from sdflow.media import Render
from sdflow.networks.cnf import DRAFT, FINE, Solver
from sdflow.originals import check_same_photo, open_original
from sdflow.page.checks import check_steps
from sdflow.page.files import SWEEP_EVERY, Files
from sdflow.page.loading import Loading
from sdflow.page.pasting import PastedPhoto
from sdflow.page.photos import KeptPhoto, Photos
from sdflow.page.pictures import FULL, PREVIEW, Pictures
from sdflow.page.scales import mapping_of, to_sliders
from sdflow.page.together import Together
from sdflow.page.turns import Turns
from sdflow.pipeline import Edited, Editor
from sdflow.selection import Decided, classifies, decide, shipped_attributes

KEPT = 7200  # seconds that a written file stays, and a face that nobody uses

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
        load: makes the editor, in a thread of its own; default that of `decided`.
        steps: of refinement when a photo is opened; None is the editor's default.
        refined: steps when more likeness is asked for.
        store: keeps the faces.
        decided: which models run, and why; default what the environment asks for.
        tell: is told, in the thread that asks for something, of notes on how it was made.

    Attributes:
        classifies: whether the released classifier is loaded too, with all that it makes possible.
    """

    def __init__(
        self,
        folder: Path,
        load: Callable[[], Editor] | None = None,
        steps: int | None = None,
        refined: int = REFINED,
        store: FaceStore | None = None,
        decided: Decided | None = None,
        tell: Callable[[Iterable[str]], object] = tuple,
    ) -> None:
        self.decided = decided or decide()
        self.classifies = classifies(self.decided.selection)
        self.files = Files(folder, KEPT)
        self.pictures = Pictures(self, self.files)
        self.steps, self.refined = steps, refined
        self.store = store or FaceStore(KEPT)
        self.photos = Photos(folder / "photos")
        self._photo_of: weakref.WeakKeyDictionary[Face, KeptPhoto] = weakref.WeakKeyDictionary()
        self._loading = Loading(load or partial(load_editor, self.decided.selection, warm=True))
        self._tell = tell
        self._models = Turns(zerogpu.AT_ONCE if zerogpu.IS_HERE else 1)
        self._together = Together(self._models)

    # ---- loading

    @cached_property
    def attributes(self) -> tuple[Attribute, ...]:
        """The attributes of the model set, known before its networks are loaded.

        Raises:
            WeightsError: the flow's file is missing or damaged.
        """
        return shipped_attributes(self.decided.selection)

    @property
    def status(self) -> str:
        """`ready`, `loading` or `failed`; after a failure the next request loads again."""
        return self._loading.status

    @property
    def fetching(self) -> str | None:
        """The file that is being downloaded now, with its size."""
        return weights.fetching()

    def start(self) -> Future[Editor]:
        """Loads the models in the background, unless that is done or under way."""
        return self._loading.start()

    @property
    def can_tune(self) -> bool:
        """Whether the generator can be changed for one face; waits for it."""
        return self.editor.models.can_tune

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

    def open_file(self, face_file: str | Path, photo: str | Path | None = None) -> Opened:
        """Opens a face file and nothing else, and keeps the photo that it is from, if given.

        Raises:
            FaceFileError: it is none.
            BadImage: the photo cannot be used.
            ValueError: it is another photo.
        """
        face, editor = load_face(face_file), self.editor
        if photo:
            if face.alignment is None:
                raise ValueError(NO_PLACE)
            check_same_photo(face, open_original(photo))
        with self._models:
            opened = editor.open(face_file)
        if photo:
            self._photo_of[opened] = self.photos.keep(photo)
        return self._keep(opened)

    def open_face(self, face: Face) -> Opened:
        """Keeps a face of these models that comes from elsewhere, such as a recipe, bit for bit.

        Raises:
            FaceFileError: it is of other models.
        """
        return self._keep(self.editor.open(face))

    def again(self, token: str | None) -> Opened:
        """A kept face as it was opened.

        Raises:
            UnknownFace: the token is not, or no longer, known.
            ValueError: no token.
        """
        return self._shown(self.face(token), token)

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
        face, editor = self.face(token), self.editor
        with self._models:
            refined = editor.refine(face, steps, tune, self._fair(on_step))
        if photo := self._photo_of.get(face):
            self._photo_of[refined] = photo
        return self._keep(refined)

    def forget(self, tokens: Iterable[str]) -> None:
        """Forgets faces now: their codes, their photo unless another kept face is of it, and all
        files that were made of them; tokens that are not kept are no error."""
        photos = set()
        for token in tokens:
            with suppress(UnknownFace):
                photos.add(self._photo_of.pop(self.store.get(token), None))
            self.store.discard(token)
            self.files.forget(token)
        for photo in photos.difference([None, *self._photo_of.values()]):
            photo.remove()  # now, and not when the last of those who work with it is done

    def forget_photo(self, token: str) -> None:
        """Forgets a kept face's photo, not the face; errors as for `again`."""
        self._photo_of.pop(self.face(token), None)

    def has_photo(self, token: str | None) -> bool:
        """Whether a kept face has a photo to be pasted into; errors as for `again`."""
        return self.face(token) in self._photo_of

    def random(self, seed: int | None = None) -> Opened:
        """A generated face; the same seed gives the same face."""
        editor = self.editor
        with self._models:
            return self._keep(editor.random(seed))

    def edit(self, token: str | None, strengths: Mapping[str, float], size: int = FULL) -> Edited:
        """Edits a kept face; wherever strengths are taken, `scales.Scales` are too.

        Raises:
            UnknownFace: the token is not, or no longer, known.
            ValueError: no token; see `Editor.edit` for the others.
        """
        return self.edit_face(self.face(token), strengths, size)

    def edit_face(
        self, face: Face, strengths: Mapping[str, float], size: int = FULL, solver: Solver = FINE
    ) -> Edited:
        """Edits a face that need not be kept; errors as for `Editor.edit`."""
        mapping = mapping_of(strengths)
        edited = self._together.edit(self.editor, face, strengths, size, solver, mapping)
        self._tell(edited.notes)
        return edited

    def preview(self, token: str | None, strengths: Mapping[str, float]) -> Edited:
        """A draft of what `edit` gives, sooner."""
        return self.edit_face(self.face(token), strengths, PREVIEW, DRAFT)

    def celeba(
        self, face: Face, strengths: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, float] | None]:
        """CelebA's attributes of a face and, if moved, of its edit; see `Editor.classify`."""
        edited = self.edit_face(face, strengths, PREVIEW) if strengths else None
        with self._models:
            return self.editor.classify(face), edited and self.editor.classify(edited)

    def cut_out(self, picture: Image.Image) -> Image.Image:
        """An edited face without its background, see `sdflow.cutout`."""
        editor = self.editor
        with self._models:
            return editor.cut_out(picture)

    def renderer(self, face: Face, size: int = PREVIEW) -> Render:
        """Strengths → picture; each picture waits for a turn, so that a long job of many lets
        others in between."""
        return lambda strengths: self.edit_face(face, strengths, size).image

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
                done.append((face, editor.edit(face, strengths, mapping=mapping_of(strengths))))
        edited = tuple(edit for _, edit in done)
        # a face that nothing moves stays the photo's own, but for the plain way
        moved = [pair for pair, (_, given) in zip(done, edits, strict=True)
                 if plain or to_sliders(given)]  # fmt: skip
        with self._models:
            start = time.perf_counter()
            pasted = editor.paste(original, *moved, plain=plain)
            seconds = time.perf_counter() - start + sum(edit.seconds for edit in edited)
        notes = tuple(dict.fromkeys(note for made in (*edited, pasted) for note in made.notes))
        self._tell(notes)
        return PastedPhoto(original, pasted.image, pasted.mask, edited, photos[0], edits[-1][0],
                           seconds, notes)  # fmt: skip

    def keep_tidy(self) -> None:
        """Forgets what is old, for as long as the process lives; also when nobody calls."""
        while True:
            time.sleep(SWEEP_EVERY)
            len(self.store)  # it forgets old faces when it is asked for anything
            self.files.tidy()

    def _fair(self, on_step: OnStep | None) -> OnStep:
        """Told after each step of work that holds the models: lets those who wait go first."""

        def between(step: Step) -> bool:
            stopped = bool(on_step and on_step(step))
            if not stopped and not zerogpu.IS_HERE:  # there its own process goes on meanwhile
                self._models.give_way()
            return stopped

        return between

    def face(self, token: str | None, face_file: str | Path | None = None) -> Face:
        """A kept face or, without a token, that of a face file, which is not kept.

        Raises:
            UnknownFace: the token is not, or no longer, known.
            FaceFileError: the file is none.
            ValueError: neither is given.
        """
        if face_file and not token:
            _, editor = load_face(face_file), self.editor  # a photo is no face file
            with self._models:
                opened = editor.open(face_file)
            self._tell(opened.notes)
            return opened
        if not token:
            raise ValueError(NO_FACE)
        face = self.store.get(token)
        if photo := self._photo_of.get(face):
            photo.touch()  # it stays as long as the face
        return face

    def _with_photo(self, token: str | None) -> tuple[Face, KeptPhoto]:
        face = self.face(token)
        photo = self._photo_of.get(face)
        if photo is None:
            raise ValueError(NO_PLACE)
        return face, photo

    def _keep(self, face: Face) -> Opened:
        self._tell(face.notes)
        return self._shown(face, self.store.add(face))

    def _shown(self, face: Face, token: str) -> Opened:
        file = self.files.new("sdflow-face.safetensors", token)
        file.write_bytes(face_to_bytes(face))
        return Opened(token, face, file)
