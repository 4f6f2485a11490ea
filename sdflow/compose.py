"""Steps 5 and 6 together: photo, inversion and edit of a face → the photo with the edited face."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from PIL import Image, ImageChops
from torch import Tensor

from sdflow.align import Alignment, crop_square
from sdflow.detail import Carried, View, blur, carry, resize
from sdflow.edited import Edited
from sdflow.faces import Face
from sdflow.images import to_image, to_tensor
from sdflow.models import ModelSet
from sdflow.originals import Original
from sdflow.paste import Pasted, composing_size, paste, paste_square, person_mask

GONE = {"eyeglasses": "glasses"}  # attribute → the class that goes when it is turned down
SURELY = 0.1  # by how much


def gone_classes(before: dict[str, float], after: dict[str, float]) -> tuple[str, ...]:
    """The classes that an edit takes away."""
    return tuple(shown for name, shown in GONE.items()
                 if name in after and after[name] < before[name] - SURELY)  # fmt: skip


def with_detail(
    models: ModelSet,
    photo: Image.Image,
    inversion: Image.Image,
    edited: Image.Image,
    gone: tuple[str, ...] = (),
) -> tuple[Carried, View, View]:
    """The edited face with the photo's detail, and the views of photo and edit that it took.

    Args:
        models: with the parsing network.
        photo: aligned crop, RGB, square.
        inversion: the generator's picture of its code.
        edited: its picture of the edited code.
        gone: classes of the photo that shall not stay.
    """
    size = photo.width
    pictures = [resize(to_tensor(image, device=models.device), size)
                for image in (photo, inversion, edited)]  # fmt: skip
    views = [View(picture, parse(models, picture)) for picture in pictures]
    away = None
    if gone:
        rows = [models.classes.index(name) for name in gone]
        away = views[0].classes[:, rows].sum(1, keepdim=True)
        away = (3 * blur(away, 3.0)).clamp(0, 1)
    return carry(*views, away), views[0], views[2]


@torch.no_grad()
def parse(models: ModelSet, picture: Tensor) -> Tensor:
    """Probabilities of the classes (1, K, 256, 256) in an aligned face (1, 3, S, S)."""
    return models.parser(resize(picture, 256)).softmax(1)


def compose(
    models: ModelSet,
    original: Original,
    alignment: Alignment,
    inversion: Image.Image,
    edited: Image.Image,
    gone: tuple[str, ...] = (),
) -> Pasted:
    """Pastes an edited face into its photo, in the photo's own size and colours.

    Args:
        models: with the parsing network.
        original: the photo.
        alignment: where the crop lies in the photo's working copy.
        inversion: the generator's picture of the face, 1024 px.
        edited: the same of the edited face.
        gone: classes of the photo that shall not stay.

    Raises:
        ValueError: the face was cut from another photo.
    """
    alignment = original.scaled(alignment)
    size = composing_size(alignment)
    crop, alignment = crop_square(original.image, alignment.quad, size)
    plain = original.profile is None and not original.grey
    seen = crop if plain else original.to_standard_colours(crop)
    carried, before, after = with_detail(models, seen, inversion, edited, gone)
    mask = person_mask(before.classes, after.classes, models.classes)
    own = to_tensor(crop, device=models.device)
    if not plain:  # both ways alike, so that what is not edited cancels
        own = to_tensor(original.to_own_colours(seen), device=models.device)
        picture = original.to_own_colours(to_image(carried.picture))
        carried = Carried(to_tensor(picture, device=models.device), carried.photo)
    return paste(original.image, own, carried, mask, alignment)


def paste_faces(
    models: ModelSet,
    original: Original,
    edits: Iterable[tuple[Face, Edited, Image.Image | None]],
) -> Pasted:
    """Pastes edited faces into their photo, one after the other.

    Args:
        models: with the parsing network.
        original: the photo.
        edits: faces, their edits, and the generator's picture of each as it was, 1024 px; without
            that one the whole crop is pasted with a feathered rim.

    Raises:
        ValueError: a random face, or one of another photo.
    """
    pasted = Pasted(original.image, Image.new("L", original.image.size))
    for face, edited, inversion in edits:
        if face.alignment is None:
            raise ValueError("A random face has no place in a photo. Open a photo first.")
        if inversion is None:
            picture = original.to_own_colours(edited.image)
            now = paste_square(pasted.image, picture, original.scaled(face.alignment))
        else:
            so_far = replace(original, image=pasted.image)
            gone = gone_classes(edited.before, edited.after)
            now = compose(models, so_far, face.alignment, inversion, edited.image, gone)
        pasted = Pasted(now.image, ImageChops.lighter(pasted.mask, now.mask))
    return pasted
