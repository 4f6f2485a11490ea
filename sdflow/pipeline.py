"""All steps in order: photo → Face (align, invert, decompose), Face → Edited (edit, synthesis).

The only module that knows every step. Opening a face runs once; a slider runs `Editor.edit` alone.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from sdflow.align import crop_face, find_faces
from sdflow.attributes import ATTRIBUTES
from sdflow.decompose import decompose
from sdflow.edit import edit, parse_strengths, target_semantics
from sdflow.faces import NEW_FILE, Face, FaceFileError, encode_crop, is_face_file, load_face
from sdflow.images import open_photo, to_image, to_tensor
from sdflow.invert import STEPS, invert
from sdflow.models import ModelSet, load_models
from sdflow.networks.cnf import FINE

NETWORK_CROP, DISPLAY_CROP = 256, 1024  # pixels

Photo = str | Path | bytes | BinaryIO | Image.Image | np.ndarray
Seconds = dict[str, float]  # step → how long it took


@dataclass(frozen=True, eq=False)
class Edited:
    """One edit of a face.

    Attributes:
        image: the edited face, RGB.
        w: its latent code, (18, 512) float32.
        before, after: attribute → value of the face, and value asked for.
        seconds: in all; seconds_per_step: ``edit`` (the flow) and ``synthesis`` apart.
    """

    image: Image.Image
    w: np.ndarray
    before: dict[str, float]
    after: dict[str, float]
    seconds: float
    seconds_per_step: Seconds


class Editor:
    """Opens faces and edits them with one model set, by default the embedded one, loaded now.

    Raises:
        WeightsError: the weights cannot be had.
    """

    def __init__(self, models: ModelSet | None = None) -> None:
        self.models = models or load_models()
        self.attributes = tuple(ATTRIBUTES[name] for name in self.models.shipped)

    def open(
        self, photo: Photo | Face, face: int = 0, steps: int | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Face:
        """Opens one face of a photo; a face file or a Face is checked and taken as it is.

        Args:
            photo: whatever `images.open_photo` takes, a face file's path or bytes, or a Face.
            face: which of the photo's faces, 0 the largest.
            steps: of refinement; 0 is the encoder alone, None the default.
            on_step: told (steps done, steps in all) after each.

        Raises:
            BadImage: not an image that can be used.
            NoFaceFound: no face in it.
            FaceFileError: a face file that these models cannot use.
            ValueError: no such face, or steps below 0.
        """
        if isinstance(photo, Face):
            return self._check(photo)
        if is_face_file(photo):  # c is kept, z made again: the flow may have been trained further
            w, _, c = self._tensors(kept := self._check(load_face(photo)))
            again = self._decompose(w, {}, c)
            return replace(kept, z=again.z, round_trip_error=again.round_trip_error)
        steps = STEPS if steps is None else steps
        if steps < 0:
            raise ValueError(f"Got {steps} steps. Give 0 (the encoder alone) or more.")
        seconds: Seconds = {}
        with _timed(seconds, "align"):
            picture = open_photo(photo)
            found = find_faces(picture)
            if not 0 <= face < len(found):
                choice = "0, the only one" if len(found) == 1 else f"0 to {len(found) - 1}"
                raise ValueError(f"There is no face {face} in this photo. Choose {choice}.")
            crop, _ = crop_face(picture, found[face].landmarks, NETWORK_CROP)
            display, alignment = crop_face(picture, found[face].landmarks, DISPLAY_CROP)
            encoded = encode_crop(display)
        with _timed(seconds, "invert"):
            w = invert(self.models, to_tensor(crop, device=self.models.device), steps, on_step)
        opened = self._decompose(w, seconds)
        return replace(opened, alignment=alignment, crop=encoded, faces_found=len(found))

    def random(self, seed: int | None = None, psi: float = 0.7) -> Face:
        """A generated face.

        Args:
            seed: from 0 to 2^63 - 1: same seed, same face; None draws one.
            psi: 0 the mean face, 1 all the variety that the generator has.

        Raises:
            ValueError: one of them is out of range.
        """
        seed = secrets.randbelow(2**31) if seed is None else seed
        if not 0 <= seed < 2**63 or not 0 <= psi <= 1:
            raise ValueError(f"Got seed {seed}, psi {psi}. Give a seed from 0 and a psi in 0..1.")
        noise = np.random.default_rng(seed).standard_normal((1, 512)).astype(np.float32)
        seconds: Seconds = {}
        with torch.no_grad(), _timed(seconds, "synthesis"):
            w = self.models.generator.mapping(torch.from_numpy(noise).to(self.models.device))
            w = self.models.generator.truncate(w, psi)[:, None].repeat(1, 18, 1)  # (1, 18, 512)
        return replace(self._decompose(w, seconds), seed=seed)

    def edit(self, face: Face | Photo, strengths: Mapping[str, float], size: int = 1024) -> Edited:
        """Moves any number of attributes at once; none, or all at 0, gives the inversion.

        Args:
            face: an opened face; a face file's path or bytes, or a photo, is opened first.
            strengths: attribute → −1..1; −1 and +1 are the poles of its row in the table.
            size: of the image, 1024 or 512 pixels.

        Raises:
            UnknownAttribute, BadStrength: see `edit.parse_strengths`.
            FaceFileError: these models cannot use the face.
            ValueError: another size.
        """
        if size not in (512, 1024):
            raise ValueError(f"Got size {size}. Give 512 or 1024.")
        given = parse_strengths(strengths, self.models.shipped)
        face = self.open(face)
        w, z, c = self._tensors(face)
        moved = torch.tensor([[given.get(n, 0.0) for n in self.models.attributes]]).to(c)  # (1, A)
        seconds: Seconds = {}
        with torch.no_grad(), _timed(seconds, "edit"):
            c_target = target_semantics(c, moved, self.models.poles)
            w_edited = edit(self.models.flow, w, z, c, c_target, self.models.gates, FINE)
        with torch.no_grad(), _timed(seconds, "synthesis"):
            image = to_image(self.models.synthesis(w_edited, size))
        code, *values = (x[0].cpu().numpy() for x in (w_edited, c, c_target))
        before, after = map(self._shown, values)
        return Edited(image, code, before, after, sum(seconds.values()), seconds)

    def reconstruct(self, face: Face | Photo, size: int = 1024) -> Image.Image:
        """The inversion, as `edit` gives it with every strength at 0."""
        return self.edit(face, {}, size).image

    def read(self, face: Face | Photo) -> dict[str, float]:
        """Attribute → value of a face, about 0..1."""
        return self._shown(self.open(face).c)

    def _shown(self, c: np.ndarray) -> dict[str, float]:
        read = dict(zip(self.models.attributes, c.tolist(), strict=True))
        return {row.name: read[row.name] for row in self.attributes}

    def _decompose(self, w: torch.Tensor, seconds: Seconds, c: torch.Tensor | None = None) -> Face:
        """The Face of w (1, 18, 512); c, unless known, is read off the picture of w. Not off the
        photo: glasses that the inversion lost are not there, and a slider shall put them on."""
        models = self.models
        with torch.no_grad(), _timed(seconds, "decompose"):
            if c is None:
                picture = models.synthesis(w, 512).clamp(-1, 1)  # (1, 3, 512, 512)
                c = models.estimator(F.avg_pool2d(picture, 2))
            z, error = decompose(models.flow, w, c, FINE)
        arrays = [tensor[0].cpu().numpy() for tensor in (w, z, c)]
        return Face(*arrays, models.attributes, models.name, error, seconds_per_step=seconds)

    def _tensors(self, face: Face) -> list[torch.Tensor]:
        """w (1, 18, 512), z (1, 18, 512) and c (1, A)."""
        return [torch.from_numpy(a)[None].to(self.models.device) for a in (face.w, face.z, face.c)]

    def _check(self, face: Face) -> Face:
        """The face, if it was made with such models."""
        made, now = (face.model_set, *face.attributes), (self.models.name, *self.models.attributes)
        if made != now:
            raise FaceFileError(
                f"This face was made with the models and attributes {', '.join(made)}; loaded are "
                f"{', '.join(now)}. {NEW_FILE}"
            )
        return face


@contextmanager
def _timed(seconds: Seconds, step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start
