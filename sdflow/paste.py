"""Step 6: the edited crop goes back to its place in the photo.

The mask covers face and hair as they were and as they are, feathered; what lies in front of the
face stays in front. Where the edit leaves a pixel as it was, the photo's own stays: only what the
edit adds is resampled. A pixel whose mask is 0 keeps its value bit for bit.

`paste_square` is the plain way, the whole crop with a feathered rim, as the reference has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sdflow.align import Alignment
from sdflow.detail import Carried, blur, resize

BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
PERSON = ("face", "hair", "ears", "neck", "glasses", "hat")  # classes that the mask covers
MARGIN, FEATHER = 0.035, 0.012  # of the crop's side: how far the mask goes beyond, and its blur
RIM = 0.04  # of the crop's side, over which the mask ends at the crop's edge
SMALLEST, LARGEST = 256, 2048  # pixels of the crop that is composed

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Pasted:
    """A photo with an edited face.

    Attributes:
        image: RGB, of the photo's size.
        mask: mode L, of the photo's size; where it is 0 the photo is untouched.
        notes: sentences on how it was made, see `sdflow.gpu`.
    """

    image: Image.Image
    mask: Image.Image
    notes: tuple[str, ...] = ()


def composing_size(alignment: Alignment) -> int:
    """Side of the crop in which a face is composed: as many pixels as the photo has there."""
    return min(max(math.ceil(_side(alignment) / 8) * 8, SMALLEST), LARGEST)


def person_mask(before: Tensor, after: Tensor, classes: tuple[str, ...]) -> Tensor:
    """Mask of a face and its hair, as they were and as they are, feathered.

    Args:
        before: probabilities of the photo's classes, (1, K, 256, 256).
        after: those of the edited face.
        classes: their names.

    Returns:
        (1, 1, 256, 256) in 0..1; 0 at the crop's edge and on what lies in front of the face.
    """
    side = before.shape[-1]
    rows = [classes.index(name) for name in PERSON]
    person = [view[:, rows].sum(1, keepdim=True) for view in (before, after)]
    union = torch.maximum(*person)
    reach = round(MARGIN * side)
    union = F.max_pool2d(union, 2 * reach + 1, 1, reach)
    mask = blur(union, FEATHER * side).clamp(0, 1)
    front = before[:, classes.index("occluder")][:, None]
    mask = mask * (1 - blur(F.max_pool2d((front > 0.5).float(), 3, 1, 1), 1.0))
    place = (torch.arange(side, device=mask.device) + 0.5) / side
    ramp = (torch.minimum(place, 1 - place) / RIM - 0.1).clamp(0, 1)
    mask = mask * torch.minimum(ramp[:, None], ramp[None])
    return torch.where(mask < 0.02, 0.0, mask)  # the feather's far ends would only cost pixels


def paste(
    photo: Image.Image, crop: Tensor, carried: Carried, mask: Tensor, alignment: Alignment
) -> Pasted:
    """Pastes an edited face into its photo.

    Args:
        photo: RGB, the one that the crop was cut from, in any colour space.
        crop: the photo's crop (1, 3, S, S) in [-1, 1], in the same colour space.
        carried: the edited face, of the same size and colour space.
        mask: (1, 1, H, H) in 0..1.
        alignment: the crop's place.

    Raises:
        ValueError: the photo has another size than the alignment's.
    """
    box = _region(photo, alignment)
    size = crop.shape[-1]
    mask = resize(mask, size)
    drawn = mask * (1 - carried.photo)  # share that is not the photo's own
    added = mask * ((carried.picture + 1) - carried.photo * (crop + 1)) * 127.5
    layers = torch.cat([added, drawn * 255], 1)[0].permute(1, 2, 0).cpu().numpy()  # (S, S, 4)
    layers = warp_to_photo(layers, alignment, box, BICUBIC)  # (h, w, 4)
    weight = warp_to_photo(mask[0].permute(1, 2, 0).cpu().numpy(), alignment, box, BILINEAR)
    pixels = np.asarray(photo.crop(box)).astype(np.float32)
    mixed = pixels * (1 - layers[..., 3:] / 255) + layers[..., :3]
    mixed = np.where(weight > 0, np.rint(mixed).clip(0, 255), pixels).astype(np.uint8)
    image, cover = photo.copy(), Image.new("L", photo.size)
    image.paste(Image.fromarray(mixed), box[:2])
    levels = np.ceil(weight[..., 0].clip(0, 1) * 255).astype(np.uint8)  # touched is at least 1
    cover.paste(Image.fromarray(levels), box[:2])
    return Pasted(image, cover)


def paste_square(photo: Image.Image, crop: Image.Image, alignment: Alignment) -> Pasted:
    """Pastes the whole crop with a feathered rim.

    Args:
        photo: RGB, the one that the crop was cut from.
        crop: RGB, square, of any size.
        alignment: the crop's place.

    Raises:
        ValueError: the photo has another size than the alignment's.
    """
    box = _region(photo, alignment)
    pixels = np.asarray(photo.crop(box)).astype(np.float32)
    # The reference counts the crop's pixels from their centres here, and from corners in cropping.
    half = (alignment.quad[2] - alignment.quad[0]) / (2 * crop.width)
    shifted = replace(alignment, quad=alignment.quad - half)
    warped = np.rint(warp_to_photo(np.asarray(crop, np.float32), shifted, box, BILINEAR))
    square = _erode(_square(alignment, box), 2)
    feather = int(math.sqrt(square.sum())) // 20
    mask = square if feather == 0 else _rim_blur(_erode(square, 2 * feather), feather)
    weight = mask[..., None]
    # what is whole but for a float's last bits stays
    mixed = np.floor(weight * warped * square[..., None] + (1 - weight) * pixels + 1e-3)
    image, cover = photo.copy(), Image.new("L", photo.size)
    image.paste(Image.fromarray(mixed.clip(0, 255).astype(np.uint8)), box[:2])
    cover.paste(Image.fromarray(np.ceil(mask.clip(0, 1) * 255).astype(np.uint8)), box[:2])
    return Pasted(image, cover)


def warp_to_photo(
    picture: np.ndarray, alignment: Alignment, box: Box, resample: Image.Resampling
) -> np.ndarray:
    """Draws a picture of the crop's square into a box of the photo; outside the square it is 0.

    Args:
        picture: (H, H, C) float32.
        alignment: where the square lies.
        box: left, top, right, bottom in photo pixels.
        resample: how, where the photo shows the picture larger.

    Returns:
        (h, w, C) float32.
    """
    bands = [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(picture, 2, 0)]
    side = round(_side(alignment))
    if picture.shape[0] > 1.5 * side:  # else fine detail would alias
        shape = max(side, 1), max(side, 1)
        bands = [band.resize(shape, Image.Resampling.LANCZOS) for band in bands]
    scale = alignment.size / bands[0].width
    forward = alignment.inverse * (scale, scale, 1)  # picture pixel → photo pixel
    back = np.linalg.inv(forward[:, :2])  # (2, 2)
    # Pillow counts from pixel corners, the alignment from pixel centres.
    shift = back @ (np.array(box[:2]) - forward[:, 2] - 0.5)
    rows = tuple(np.concatenate([back, shift[:, None]], axis=1).flatten())
    size = box[2] - box[0], box[3] - box[1]
    drawn = [band.transform(size, Image.Transform.AFFINE, rows, resample) for band in bands]
    return np.stack([np.asarray(band) for band in drawn], axis=2)


def _side(alignment: Alignment) -> float:
    """Side of the crop's square in photo pixels."""
    return float(np.hypot(*(alignment.quad[3] - alignment.quad[0])))


def _region(photo: Image.Image, alignment: Alignment) -> Box:
    """The part of the photo that the square touches, two pixels wider."""
    if photo.size != alignment.photo_size:
        raise ValueError(
            f"The photo has {photo.width} x {photo.height} pixels, but the face was cut from one "
            f"of {alignment.photo_size[0]} x {alignment.photo_size[1]}. Give the same photo."
        )
    low = np.floor(alignment.quad.min(axis=0)).astype(int) - 2
    high = np.ceil(alignment.quad.max(axis=0)).astype(int) + 3
    left, top = np.maximum(low, 0).tolist()
    right, bottom = np.minimum(high, photo.size).tolist()
    return left, top, right, bottom


def _square(alignment: Alignment, box: Box) -> np.ndarray:
    """The crop's square, drawn in a box of the photo as a bilinear warp of ones has it, (h, w)."""
    x, y = np.meshgrid(np.arange(box[0], box[2]), np.arange(box[1], box[3]))
    forward = alignment.inverse
    places = np.stack([x, y], -1) - forward[:, 2]
    places = places @ np.linalg.inv(forward[:, :2]).T  # (h, w, 2) crop pixels
    inside = np.clip(places + 1, 0, 1) * np.clip(alignment.size - places, 0, 1)
    return inside.prod(-1).astype(np.float32)


def _erode(mask: np.ndarray, side: int) -> np.ndarray:
    """Minimum of (h, w) over squares of an even side that reach side / 2 left and up of a pixel,
    one pixel less right and down; what lies beyond the edge does not count."""
    for _ in ("columns", "rows"):
        mask = np.pad(mask.T, ((side // 2, side - 1 - side // 2), (0, 0)), constant_values=1)
        span = 1
        while 2 * span <= side:  # minima over twice as many at each turn
            mask = np.minimum(mask[:-span], mask[span:])
            span *= 2
        if rest := side - span:
            mask = np.minimum(mask[:-rest], mask[rest:])
    return mask


def _rim_blur(mask: np.ndarray, radius: int) -> np.ndarray:
    """Gaussian of (h, w) over 2 radius + 1 pixels; the deviation is what OpenCV takes for them."""
    sigma = 0.3 * (radius - 1) + 0.8
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1.0) / sigma) ** 2)
    taps = (taps / taps.sum()).view(1, 1, -1, 1)
    x = torch.from_numpy(np.ascontiguousarray(mask))[None, None]
    mode = "reflect" if radius < min(mask.shape) else "replicate"
    x = F.conv2d(F.pad(x, (0, 0, radius, radius), mode=mode), taps)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode=mode), taps.transpose(2, 3))
    return x[0, 0].numpy()
