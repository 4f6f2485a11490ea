"""What a visitor gets of a result: pictures to compare on the screen, files to take along."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sdflow import images
from sdflow.faces import Face, UnknownFace
from sdflow.invert import Step
from sdflow.marking import source_of
from sdflow.page.files import Files
from sdflow.page.pasting import PastedPhoto, comparable, written
from sdflow.page.scales import mapping_of
from sdflow.pipeline import Edited
from sdflow.recipes import make_recipe, recipe_to_json

if TYPE_CHECKING:
    from sdflow.page.service import Service

PREVIEW, FULL = 512, 1024  # pixels of an edited picture
PREVIEW_QUALITY, FULL_QUALITY = 90, 95  # JPEG
FORMATS = (".png", ".webp", ".jpg")  # of a face's picture, to take along


class Pictures:
    """Writes them for a service, as files of the face's token."""

    def __init__(self, service: Service, files: Files) -> None:
        self._service, self._files = service, files
        self._before: weakref.WeakKeyDictionary[Face, Path] = weakref.WeakKeyDictionary()

    def pair(self, token: str, edited: Edited) -> tuple[Path, Path]:
        """JPEGs to compare: the photo's crop, or a random face as it came, and its edit."""
        return self.before(token, edited), self.after(edited.image, token)

    def after(self, image: Image.Image, token: str) -> Path:
        """An edited face to look at, a preview or in full size."""
        preview = image.width == PREVIEW
        return self.shown(image, token, PREVIEW_QUALITY if preview else FULL_QUALITY)

    def pair_of_step(self, token: str, step: Step) -> tuple[Path, Path]:
        """JPEGs to compare while the likeness is worked on: the photo's crop, the best so far."""
        return self.before(token), self.shown(images.to_image(step.image), token, PREVIEW_QUALITY)

    def pair_in_photo(self, pasted: PastedPhoto) -> tuple[Path, Path]:
        """JPEGs to compare, of a size for the screen: the photo, and with its edited faces."""
        before = pasted.photo.shown
        if before is None or not before.exists():
            before = self.shown(comparable(pasted.original), pasted.token)
            pasted.photo.shown = before
        return before, self.shown(comparable(pasted.original, pasted.image), pasted.token)

    def before(self, token: str, edited: Edited | None = None) -> Path:
        """The unedited side, written once for each face."""
        face = self._service.face(token)
        file = self._before.get(face)
        if file is None or not file.exists():
            picture = face.picture
            if picture is None:  # a random face
                is_it = edited and edited.after == edited.before and edited.image.width == FULL
                picture = edited.image if is_it else self._service.edit(token, {}).image
            file = self._before[face] = self.shown(picture, token)
        return file

    def shown(self, image: Image.Image, owner: str, quality: int = FULL_QUALITY) -> Path:
        """A file to look at: a JPEG, or a WebP where the picture is partly transparent."""
        source = source_of(self._service.face(owner))
        suffix = ".webp" if image.mode == "RGBA" else ".jpg"
        with self._file(f"edited{suffix}", owner) as file:
            images.save(image, file, quality, source)
        return file

    def download(
        self, image: Image.Image, face: Face, owner: str | None = None, suffix: str = ".png"
    ) -> Path:
        """Writes a picture under a name that suits a download folder.

        Args:
            image: to write.
            face: that it shows.
            owner: its token, if it is kept.
            suffix: one of `FORMATS`; WebP is lossless, JPEG has quality 95 and puts what is
                transparent on white.

        Raises:
            ValueError: another suffix.
        """
        if suffix not in FORMATS:
            raise ValueError(f"Got the format {suffix!r:.20}. Choose .png, .webp or .jpg.")
        if suffix == ".jpg" and image.mode == "RGBA":
            image = images.flatten(image, None)
        with self._file(f"sdflow-edit{suffix}", owner) as file:
            images.save(image, file, 100 if suffix == ".webp" else FULL_QUALITY, source_of(face))
        return file

    def download_photo(
        self, pasted: PastedPhoto, keep_metadata: bool = False, suffix: str | None = None
    ) -> tuple[Path, Path]:
        """Writes a pasted photo, and the mask of what was touched as PNG.

        Args:
            pasted: to write.
            keep_metadata: whether the photo's own go with it.
            suffix: one of `FORMATS`; None for the photo's own.
        """
        name = f"sdflow-edit{suffix or pasted.original.suffix}"
        with self._file(name, pasted.token) as file:
            return written(pasted, file, keep_metadata)

    def recipe(self, face: Face, strengths: dict[str, float], owner: str | None = None) -> Path:
        """Writes the recipe of an edit at full size."""
        models, mapping = self._service.editor.models, mapping_of(strengths)
        recipe = make_recipe(models, face, strengths, FULL, mapping=mapping)
        with self._file("sdflow-recipe.json", owner) as file:
            file.write_text(recipe_to_json(recipe), encoding="utf-8")
        return file

    @contextmanager
    def _file(self, name: str, owner: str | None) -> Iterator[Path]:
        """Room for a file, which does not stay if its face is forgotten while it is written."""
        file = self._files.new(name, owner)
        try:
            yield file
            if owner:
                self._service.face(owner)
        except UnknownFace:
            shutil.rmtree(file.parent, ignore_errors=True)
            raise
