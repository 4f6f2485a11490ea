"""All steps in order: photo → Face (align, invert, decompose), Face → Edited (edit, synthesis)
→ photo (detail, paste).

The only module that knows every step. Opening a face runs once; a slider runs `Editor.edit` alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from sdflow import doubts, tuning
from sdflow.align import FoundFace, crop_face, find_faces
from sdflow.attributes import ATTRIBUTES
from sdflow.compose import gone_classes, paste_faces, with_detail
from sdflow.cutout import cut_out
from sdflow.decompose import decompose
from sdflow.edit import MAPPINGS, edit, parse_strengths, target_semantics
from sdflow.edited import Edited
from sdflow.faces import (
    NEW_FILE,
    READ_AGAIN,
    UNTUNED,
    Face,
    FaceFileError,
    check_models,
    encode_crop,
    is_face_file,
    load_face,
)
from sdflow.images import open_photo, to_image, to_tensor
from sdflow.invert import REFINED, STEPS, OnStep, invert, refine
from sdflow.models import ModelSet, is_full, load_models
from sdflow.networks.cnf import FINE, Solver
from sdflow.originals import Original, open_original
from sdflow.paste import Pasted
from sdflow.released import classify, edit_as_original
from sdflow.telling import Seconds, Teller, timed

NETWORK_CROP, TUNING_CROP, DISPLAY_CROP = 256, 512, 1024  # pixels
BATCH = 8  # edits that go through a GPU together; a CPU takes one at a time

Photo = str | Path | bytes | BinaryIO | Image.Image | np.ndarray


class Editor:
    """Opens faces and edits them with one model set.

    Args:
        models: default those that the environment asks for, see `sdflow.selection`, loaded now.

    Attributes:
        batch: how many edits go through the networks together, see `edit_many`.

    Raises:
        ValueError: it asks for what there is not.
        WeightsError: the weights cannot be had.
    """

    def __init__(self, models: ModelSet | None = None) -> None:
        self.models = models or load_models()
        self.attributes = tuple(ATTRIBUTES[name] for name in self.models.shipped)
        self.batch = 1 if self.models.device.type == "cpu" else BATCH

    def open(
        self,
        photo: Photo | Face,
        face: int = 0,
        steps: int | None = None,
        tune: bool = False,
        on_step: OnStep | None = None,
        found: Sequence[FoundFace] | None = None,
    ) -> Face:
        """Opens one face of a photo; a face file or a Face is checked and taken as it is.

        Args:
            photo: whatever `images.open_photo` takes, a face file's path or bytes, or a Face.
            face: which of the photo's faces, 0 the largest.
            steps: of refinement; 0 is feed-forward, None the default: few, or with `tune` many.
            tune: whether to change the generator for this face, see `sdflow.tuning`.
            on_step: told after each step, see `invert.Step`; True stops and keeps the best so far.
            found: what `align.find_faces` found in this very photo, not to be looked for again.

        Raises:
            BadImage: not an image that can be used.
            NoFaceFound: no face in it.
            FaceFileError: no face file, or a face of other models.
            ValueError: no such face, or steps below 0.
        """
        if isinstance(photo, Face):
            return self._check(photo)
        if is_face_file(photo):
            return self._reopen(load_face(photo))
        steps = (REFINED if tune else STEPS) if steps is None else steps
        if steps < 0:
            raise ValueError(f"Got {steps} steps. Give 0 (feed-forward) or more.")
        if tune:
            tuning.check(self.models)
        seconds: Seconds = {}
        with timed(seconds, "align"):
            picture = open_photo(photo)
            found = find_faces(picture) if found is None else found
            if not 0 <= face < len(found):
                choice = "0, the only one" if len(found) == 1 else f"0 to {len(found) - 1}"
                raise ValueError(f"There is no face {face} in this photo. Choose {choice}.")
            crop, _ = crop_face(picture, found[face].landmarks, NETWORK_CROP)
            display, alignment = crop_face(picture, found[face].landmarks, DISPLAY_CROP)
            encoded = encode_crop(display)
        target = to_tensor(crop, device=self.models.device)
        teller = Teller(on_step, steps, tune)
        with timed(seconds, "invert"):
            w = invert(self.models, target, steps, teller.refining)
        opened = Face(w[0].cpu().numpy(), alignment=alignment, crop=encoded,
                      faces_found=len(found))  # fmt: skip
        return self._finish(self._tune(opened, teller, seconds), seconds, target)

    def refine(
        self, face: Face, steps: int = REFINED, tune: bool = False, on_step: OnStep | None = None
    ) -> Face:
        """Works on the likeness of an opened face, from where it stands.

        Args:
            face: of a photo; its tuning, if it has one, is made anew or dropped.
            steps: of refinement.
            tune: whether to change the generator for this face, see `sdflow.tuning`.
            on_step: told after each step; True stops and keeps the best so far.

        Raises:
            ValueError: a random face, which has no photo to resemble, or steps below 0.
        """
        if face.picture is None or steps < 0:
            raise ValueError(
                "A random face has no photo to resemble. Open a photo first." if steps >= 0
                else f"Got {steps} steps. Give 0 or more."
            )  # fmt: skip
        if tune:
            tuning.check(self.models)
        seconds: Seconds = dict(face.seconds_per_step)
        target = to_tensor(face.picture, NETWORK_CROP, self.models.device)
        teller = Teller(on_step, steps, tune)
        w = torch.from_numpy(face.w)[None].to(target)
        with timed(seconds, "refine"):
            if steps:
                w = refine(self.models, target, w, steps, teller.refining)
        refined = replace(face, w=w[0].cpu().numpy(), tuning=None, notes=())
        return self._finish(self._tune(refined, teller, seconds), seconds, target)

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
        with torch.no_grad(), timed(seconds, "synthesis"):
            w = self.models.generator.mapping(torch.from_numpy(noise).to(self.models.device))
            w = self.models.generator.truncate(w, psi)[:, None].repeat(1, 18, 1)  # (1, 18, 512)
        return self._decompose(Face(w[0].cpu().numpy(), seed=seed), seconds)

    def from_code(self, w: np.ndarray) -> Face:
        """The face of a latent code, (18, 512) float32, that comes from elsewhere."""
        return self._decompose(Face(w), {})

    def edit(
        self,
        face: Face | Photo,
        strengths: Mapping[str, float],
        size: int = 1024,
        detail: bool = False,
        solver: Solver = FINE,
        mapping: str = "poles",
    ) -> Edited:
        """Moves any number of attributes at once; none, or all at 0, gives the inversion.

        Args:
            face: an opened face; a face file's path or bytes, or a photo, is opened first.
            strengths: attribute → −1..1; −1 and +1 are the poles of its row in the table.
            size: of the image, 1024 or 512 pixels.
            detail: whether detail of the photo that no code holds is carried over, see
                `sdflow.detail`; with no strengths that gives the photo's crop itself.
            solver: of the flow; `cnf.DRAFT` takes less time, and is off by less than a level.
            mapping: ``poles``, or ``original``, which needs the released classifier: strengths
                are then scales of the attributes to edit, see `released.edit_as_original`.

        Raises:
            UnknownAttribute, BadStrength: see `edit.parse_strengths`.
            FaceFileError: these models cannot use the face.
            ValueError: another size or mapping, or no classifier for the latter.
        """
        face = self.open(face)
        (edited,) = self.edit_many([(face, strengths)], size, solver, mapping)
        if not detail or face.picture is None:
            return edited
        seconds = dict(edited.seconds_per_step)
        with torch.no_grad(), timed(seconds, "detail"):
            inversion = self.reconstruct(face, size)
            photo = face.picture.resize((size, size), Image.Resampling.LANCZOS)
            carried = with_detail(self.models, photo, inversion, edited.image,
                                  gone_classes(edited.before, edited.after))[0]  # fmt: skip
            image = to_image(carried.picture)
        return replace(edited, image=image, seconds=sum(seconds.values()),
                       seconds_per_step=seconds)  # fmt: skip

    def edit_many(
        self,
        edits: Sequence[tuple[Face | Photo, Mapping[str, float]]],
        size: int = 1024,
        solver: Solver = FINE,
        mapping: str = "poles",
    ) -> list[Edited]:
        """Faces with the strengths of each, `batch` of them in one pass, fewer where the device's
        memory does not hold as many; arguments and errors as for `edit`.

        Raises:
            torch.OutOfMemoryError: the memory does not hold one.
        """
        if size not in (512, 1024):
            raise ValueError(f"Got size {size}. Give 512 or 1024.")
        if mapping not in MAPPINGS:
            raise ValueError(f"Got the mapping {mapping!r}. Choose {' or '.join(MAPPINGS)}.")
        strengths = [parse_strengths(given, self.models.shipped, mapping) for _, given in edits]
        todo = list(zip([self.open(face) for face, _ in edits], strengths, strict=True))
        done: list[Edited] = []
        together = 1 if mapping == "original" else self.batch
        while len(done) < len(todo):
            some = todo[len(done) : len(done) + together]
            try:
                done += self._edit(some, size, solver, mapping)
            except RuntimeError as error:
                if len(some) == 1 or not is_full(error):
                    raise
                together = len(some) // 2
        return done

    def _edit(
        self, edits: list[tuple[Face, dict[str, float]]], size: int, solver: Solver, mapping: str
    ) -> list[Edited]:
        """Edits in one pass of the flow; by the original's mapping one at a time."""
        models = self.models
        tensors = zip(*(self._tensors(face) for face, _ in edits), strict=True)
        w, z, c = (torch.cat(each) for each in tensors)
        seconds: Seconds = {}
        with torch.no_grad(), timed(seconds, "edit"):
            if mapping == "original":
                ((face, given),) = edits
                w_edited, c, c_target = edit_as_original(models, w, self._crop(face), given)
            else:
                moved = [[given.get(n, 0.0) for n in models.attributes] for _, given in edits]
                c_target = target_semantics(c, torch.tensor(moved).to(c), models.poles)  # (B, A)
                w_edited = edit(models.flow, w, z, c, c_target, models.gates, solver)
        with torch.no_grad(), timed(seconds, "synthesis"):
            images = [to_image(self._synthesize(face, code[None], size))
                      for (face, _), code in zip(edits, w_edited, strict=True)]  # fmt: skip
        share = {step: taken / len(edits) for step, taken in seconds.items()}
        codes, before, after = (x.cpu().numpy() for x in (w_edited, c, c_target))
        return [
            Edited(image, code, self._shown(was), self._shown(asked), sum(share.values()), share)
            for image, code, was, asked in zip(images, codes, before, after, strict=True)
        ]

    def paste(
        self, photo: Photo | Original, *edits: tuple[Face, Edited], plain: bool = False
    ) -> Pasted:
        """Puts edited faces back into their photo, one after the other.

        Args:
            photo: the one that the faces were opened from, or what `originals.open_original` made
                of it, whose `save` writes the result as the photo was.
            edits: faces with their edits, 1024 px, without detail.
            plain: paste whole crops with a feathered rim instead.

        Returns:
            The photo in its full size and its own colours, and the mask of what was touched.

        Raises:
            BadImage: not an image that can be used.
            ValueError: a random face, or one of another photo.
        """
        original = photo if isinstance(photo, Original) else open_original(photo)
        inverted = ((face, edited, None if plain else self.reconstruct(face))
                    for face, edited in edits)  # fmt: skip
        return paste_faces(self.models, original, inverted)

    def reconstruct(self, face: Face | Photo, size: int = 1024) -> Image.Image:
        """The inversion, as `edit` gives it with every strength at 0."""
        face = self.open(face)
        with torch.no_grad():
            return to_image(self._synthesize(face, self._tensors(face)[0], size))

    def cut_out(self, picture: Image.Image) -> Image.Image:
        """An aligned face without its background, RGBA, see `sdflow.cutout`."""
        return cut_out(self.models, picture)

    def read(self, face: Face | Photo) -> dict[str, float]:
        """Attribute → value of a face, about 0..1."""
        return self._shown(self.open(face).c)

    def classify(self, face: Face | Photo | Edited) -> dict[str, float]:
        """CelebA's attributes of a face as it is, or of an edit, see `released.classify`.

        Raises:
            ValueError: the released classifier is not loaded.
        """
        if isinstance(face, Edited):
            crop = to_tensor(face.image, NETWORK_CROP, self.models.device)
        else:
            crop = self._crop(self.open(face))
        return classify(self.models, crop)

    def _crop(self, face: Face) -> torch.Tensor:
        """What the networks see of a face (1, 3, 256, 256): its photo, or else its rendering."""
        picture = face.picture or self.reconstruct(face, 512)
        return to_tensor(picture, NETWORK_CROP, self.models.device)

    def _shown(self, c: np.ndarray) -> dict[str, float]:
        read = dict(zip(self.models.attributes, c.tolist(), strict=True))
        return {row.name: read[row.name] for row in self.attributes}

    def _reopen(self, kept: Face) -> Face:
        """The face of a file. All models share W+, so that those of other ones keep their code."""
        if (kept.model_set, kept.attributes) == (self.models.name, self.models.attributes):
            # c stays, z is made again: the flow may have been trained further
            again = self._decompose(self._check(kept), {}, keep_c=True)
            return replace(kept, z=again.z, round_trip_error=again.round_trip_error)
        notes = (READ_AGAIN,)
        if kept.tuning is not None and not tuning.fits(self.models, kept.tuning):
            kept, notes = replace(kept, tuning=None), (READ_AGAIN, UNTUNED)
        kept = replace(kept, notes=notes)
        if kept.picture is None:
            return self._decompose(kept, {})
        return self._finish(kept, {}, self._crop(kept))

    def _tune(self, face: Face, teller: Teller, seconds: Seconds) -> Face:
        """The face with the generator changed for it, where that was asked for and not stopped."""
        if not teller.tune or teller.stopped:
            return face
        device = self.models.device
        with timed(seconds, "tune"):
            photo = to_tensor(face.picture, TUNING_CROP, device)
            pivot = torch.from_numpy(face.w)[None].to(device)
            tuned = tuning.tune(self.models, photo, pivot, tuning.STEPS, teller.tuning)
        return replace(face, tuning=tuning.to_arrays(tuned))

    def _finish(self, face: Face, seconds: Seconds, target: torch.Tensor) -> Face:
        """A face of a photo with everything that follows from its code; target is its crop."""
        with torch.no_grad(), timed(seconds, "doubts"):
            picture = self._synthesize(face, torch.from_numpy(face.w)[None].to(target), 512)
            sure = doubts.confidence(self.models, target, picture)
            told = doubts.warnings(self.models, target, face.alignment, sure)
        return self._decompose(replace(face, confidence=sure, warnings=told), seconds, picture)

    def _decompose(self, face: Face, seconds: Seconds, drawn: torch.Tensor | None = None,
                   keep_c: bool = False) -> Face:  # fmt: skip
        """The face with c and z of its code. c, unless kept, is read off the picture of w, not off
        the photo: glasses that the inversion lost, a slider shall put on."""
        models = self.models
        w = torch.from_numpy(face.w)[None].to(models.device)
        with torch.no_grad(), timed(seconds, "decompose"):
            if keep_c:
                c = torch.from_numpy(face.c)[None].to(models.device)
            else:
                picture = self._synthesize(face, w, 512) if drawn is None else drawn
                c = models.estimator(F.avg_pool2d(picture.clamp(-1, 1), 2))  # of (1, 3, 512, 512)
            z, error = decompose(models.flow, w, c, FINE)
        return replace(
            face, z=z[0].cpu().numpy(), c=c[0].cpu().numpy(), attributes=models.attributes,
            model_set=models.name, round_trip_error=error, seconds_per_step=seconds,
        )  # fmt: skip

    def _synthesize(self, face: Face, w: torch.Tensor, size: int) -> torch.Tensor:
        """The picture (1, 3, size, size) of a code, by the generator as the face has it."""
        tuned = tuning.to_tensors(face.tuning, self.models.device)
        return self.models.synthesis(w, size, tuned)

    def _tensors(self, face: Face) -> list[torch.Tensor]:
        """w (1, 18, 512), z (1, 18, 512) and c (1, A)."""
        return [torch.from_numpy(a)[None].to(self.models.device) for a in (face.w, face.z, face.c)]

    def _check(self, face: Face) -> Face:
        """The face, if it was made with such models."""
        check_models(face, self.models.name, self.models.attributes)
        if face.tuning is not None and not tuning.fits(self.models, face.tuning):
            raise FaceFileError(f"This face was tuned for another generator. {NEW_FILE}")
        return face
