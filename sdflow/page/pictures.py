"""What a visitor gets of a result: pictures to compare on the screen, files to take along."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sdflow import images
from sdflow.faces import Face
from sdflow.invert import Step
from sdflow.marking import source_of
from sdflow.page.files import Files
from sdflow.page.pasting import PastedPhoto, comparable, written
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
        preview = edited.image.width == PREVIEW
        quality = PREVIEW_QUALITY if preview else FULL_QUALITY
        return self.before(token, edited), self.shown(edited.image, token, quality)

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
        """A JPEG to look at."""
        file = self._files.new("edited.jpg", owner)
        images.save(image, file, quality, source_of(self._service.face(owner)))
        return file

    def download(
        self, image: Image.Image, face: Face, owner: str | None = None, suffix: str = ".png"
    ) -> Path:
        """Writes a picture under a name that suits a download folder.

        Args:
            image: to write.
            face: that it shows.
            owner: its token, if it is kept.
            suffix: one of `FORMATS`; WebP is lossless, JPEG has quality 95.

        Raises:
            ValueError: another suffix.
        """
        if suffix not in FORMATS:
            raise ValueError(f"Got the format {suffix!r:.20}. Choose .png, .webp or .jpg.")
        file = self._files.new(f"sdflow-edit{suffix}", owner)
        images.save(image, file, 100 if suffix == ".webp" else FULL_QUALITY, source_of(face))
        return file

    def download_photo(
        self, pasted: PastedPhoto, keep_metadata: bool = False
    ) -> tuple[Path, Path]:
        """Writes a pasted photo in its own format, and the mask of what was touched as PNG."""
        file = self._files.new(f"sdflow-edit{pasted.original.suffix}", pasted.token)
        return written(pasted, file, keep_metadata)

    def recipe(self, face: Face, strengths: dict[str, float], owner: str | None = None) -> Path:
        """Writes the recipe of an edit at full size."""
        recipe = make_recipe(self._service.editor.models, face, strengths, FULL)
        file = self._files.new("sdflow-recipe.json", owner)
        file.write_text(recipe_to_json(recipe), encoding="utf-8")
        return file
