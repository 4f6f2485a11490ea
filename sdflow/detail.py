"""Step 5: what no latent code holds is carried over from the photo to the edited face.

Earrings, freckles, grain, a hand, the background. The photo, moved along by the landmarks, is the
base. Where inversion and edit show the same, their difference is added to it: the edit, and all of
the photo's detail. Where the edit draws something else, glasses or an open mouth, its picture
replaces the photo, in the photo's colours. Where photo and inversion disagree on what is there, at
the outline of the hair mostly, the photo stays, and so do the background and a hat. A photo that
is softer than the generator's pictures, or has no colours, makes them so first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow.align import crop_landmarks
from sdflow.images import to_image

TEXTURE, TONE = 0.16, 0.7  # differences, of 2, by which likeness falls to 1 / e
SMALL = 256  # pixels at which differences, classes and warps are computed
ANCHORS = 5  # fixed points a side of the crop
STIFFNESS = 0.02  # of the warp; landmarks are placed to a pixel or two
STILL = 0.006  # of the crop's side: what moves less counts as unmoved
SOFTNESS = (0.0, 0.6, 0.9, 1.3, 1.8, 2.5, 3.5, 5.0, 7.0)  # blurs to choose from, pixels of 1024
NECK, HAT = 4, 6  # classes
THIN, NEAR = 3, 12  # pixels of 256: half of a thin rim, and how far from outlines to look
COLOURLESS = 0.02  # of 2, mean distance of a photo's colours from grey
GRAIN = 0.03  # of 2, standard deviation above which noise is texture

@dataclass(frozen=True, eq=False)
class Carried:
    """An edited face with the photo's detail.

    Attributes:
        picture: (1, 3, S, S) in [-1, 1].
        photo: share of each pixel that is the photo's own, unmoved, (1, 1, S, S) in 0..1.
    """

    picture: Tensor
    photo: Tensor


@dataclass(frozen=True, eq=False)
class View:
    """A picture of the aligned face and what is seen in it.

    Attributes:
        picture: (1, 3, S, S) in [-1, 1].
        classes: probabilities of the parsing network's classes, (1, K, 256, 256).
    """

    picture: Tensor
    classes: Tensor


@torch.no_grad()
def carry(photo: View, inversion: View, edited: View, gone: Tensor | None = None) -> Carried:
    """Adds the residual between photo and inversion to the edit.

    Args:
        photo: the crop of the photo.
        inversion: the generator's picture of the unedited code, of the same size.
        edited: its picture of the edited code, of the same size.
        gone: where the photo's own pixels shall not stay, (1, 1, 256, 256) in 0..1, such as on
            glasses that are to go although the inversion never had them.
    """
    size = photo.picture.shape[-1]
    if float((photo.picture - grey(photo.picture)).abs().mean()) < COLOURLESS:
        inversion, edited = (View(grey(v.picture), v.classes) for v in (inversion, edited))
    sigma = softness(photo, inversion) * size / 1024
    before, after = blur(inversion.picture, sigma), blur(edited.picture, sigma)
    flow = displacement(inversion.picture, edited.picture).to(before)
    base, before = warp(photo.picture, flow), warp(before, flow)
    there, drawn = warp(photo.classes, flow), warp(inversion.classes, flow)
    small = [resize(x, SMALL) for x in (base, before, after)]

    same = alike(small[1], small[2], drawn, edited.classes)
    agreed = 1 - F.max_pool2d(unlike(there, drawn), 5, 1, 2)
    shift, settled = outlines(there, drawn, edited.classes)
    same, agreed = same * (1 - shift) * (1 - settled), torch.maximum(agreed, shift)
    agreed = agreed * (1 - settled)
    if gone is not None:
        going = warp(gone, flow)
        same, agreed = same * (1 - going), torch.maximum(agreed, going)
    background = surely(there[:, :1]) * surely(edited.classes[:, :1])
    hat = blur(F.max_pool2d(surely(there[:, HAT : HAT + 1]), 3, 1, 1), 1.0)
    free = (1 - background) * (1 - hat)
    replaced = (1 - same) * agreed * free  # by the edit's picture
    added = same * free  # the edit's difference
    # A face is as much lighter or redder as the inversion was; a background has the photo's tone.
    tone = spread(small[0] - small[2], there[:, :1], background, edited.classes[:, :1])
    tone = tone + spread(small[0] - small[1], there[:, 1:], same, edited.classes[:, 1:])

    still = torch.exp(-((flow.norm(dim=1, keepdim=True) / STILL) ** 2))
    own = (1 - replaced) * still
    replaced, added, tone, own = (resize(x, size) for x in (replaced, added, tone, own))
    picture = (1 - replaced) * base + replaced * (after + tone) + added * (after - before)
    grain = grain_of(photo.picture, before, resize(photo.classes[:, 1:2], size)) * replaced
    noise = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0)).to(grain)
    return Carried((picture + grain * noise).clamp(-1, 1), own)


def alike(first: Tensor, second: Tensor, classes: Tensor, others: Tensor) -> Tensor:
    """Where two pictures (1, 3, 256, 256) show the same, (1, 1, 256, 256) in 0..1: texture, tone
    and class."""
    low = [blur(x, 0.04 * SMALL) for x in (first, second)]
    tone = (low[0] - low[1]).abs().amax(1, keepdim=True)
    texture = ((first - low[0]) - (second - low[1])).abs().amax(1, keepdim=True)
    texture = blur(F.max_pool2d(texture, 5, 1, 2), 1.5)
    share = torch.exp(-((texture / TEXTURE) ** 2) - (tone / TONE) ** 2)
    return blur(share * (1 - unlike(classes, others)), 1.0)


def surely(share: Tensor) -> Tensor:
    """Probabilities with the doubtful ones moved towards 0 and 1."""
    return ((share - 0.25) / 0.5).clamp(0, 1)


def outlines(photo: Tensor, inversion: Tensor, edited: Tensor) -> tuple[Tensor, Tensor]:
    """Where an edit moves the outline of hair or head far, and where only a little.

    Inversion and photo seldom agree on an outline to the pixel. An edit that moves it far is drawn
    up to the photo's own outline, so that no rim of the old one is left; one that moves it less
    than they disagree leaves the photo's. Where the neck ends is the collar's matter, not the
    edit's.

    Args:
        photo: classes (1, 8, 256, 256), as are the others.

    Returns:
        Two masks (1, 1, 256, 256) of 0 and 1.
    """

    def parts(classes: Tensor) -> Tensor:
        """Background with neck, face with glasses, hair with hat, ears; an occluder is none."""
        background, face, hair, ears, neck, glasses, hat, _ = classes.split(1, 1)
        return torch.cat([background + neck, face + glasses, hair + hat, ears], 1)

    def grown(mask: Tensor, reach: int) -> Tensor:
        return F.max_pool2d(mask, 2 * reach + 1, 1, reach)

    there, drawn, wanted = (parts(classes) for classes in (photo, inversion, edited))
    change = (unlike(drawn, wanted) > 0.5).float()
    far = grown(1 - grown(1 - change, THIN), THIN + 1)  # thin rims are gone
    free = 1 - grown((photo[:, -1:] > 0.5).float(), 2)  # of what lies in front
    far = torch.maximum(far, grown(grown(far, NEAR) * (unlike(there, wanted) > 0.3), 5)) * free
    collar = (inversion[:, NECK] - edited[:, NECK]).abs() * torch.minimum(drawn, wanted)[:, 0]
    little = torch.maximum(grown(change, 2), grown((collar[:, None] > 0.3).float(), 3))
    little = little * (1 - grown(far, 1))
    return blur(far, 1.5), blur(little, 1.0)


def unlike(classes: Tensor, others: Tensor) -> Tensor:
    """Where the classes differ, (1, 1, 256, 256); small differences are the parser's."""
    differ = 0.5 * (blur(classes, 1.0) - blur(others, 1.0)).abs().sum(1, keepdim=True)
    return ((differ - 0.15) / 0.5).clamp(0, 1)


def spread(residual: Tensor, classes: Tensor, known: Tensor, wanted: Tensor) -> Tensor:
    """Low frequencies of a residual (1, 3, 256, 256), spread from where it is known.

    Each class has its own: the wall's colour does not run into the hair.

    Args:
        residual: photo less inversion.
        classes: the photo's, (1, K, 256, 256).
        known: where the photo stays, (1, 1, 256, 256).
        wanted: classes of the edited face.
    """
    few = [F.avg_pool2d(x, 4) for x in (residual, classes, known, wanted)]
    residual, classes, known, wanted = few  # (1, ., 64, 64)
    weight = classes * (known + 1e-3)  # (1, K, 64, 64)
    found = torch.zeros_like(residual)
    for k in range(classes.shape[1]):
        here = weight[:, k : k + 1]
        near = total = 0.0
        for sigma, trust in ((2.0, 1.0), (6.0, 1e-2), (20.0, 1e-4)):  # the nearest that is known
            near = near + trust * blur(residual * here, sigma)
            total = total + trust * blur(here, sigma)
        found = found + wanted[:, k : k + 1] * near / (total + 1e-6)
    return resize(found, SMALL)


def grey(picture: Tensor) -> Tensor:
    """(1, 3, S, S) without its colours."""
    return picture.mean(1, keepdim=True).expand_as(picture)


def softness(photo: View, inversion: View) -> float:
    """How much an inversion has to be blurred to be as soft as its photo; pixels of 1024."""
    face = photo.classes[:, 1:2]
    size = min(photo.picture.shape[-1], 1024)
    face = resize(face, size)
    pictures = [resize(view.picture.mean(1, keepdim=True), size) for view in (photo, inversion)]

    def edges(picture: Tensor) -> float:
        rise = (picture[..., 1:, 1:] - picture[..., :-1, :-1]).abs()
        return float((rise * face[..., 1:, 1:]).mean())

    wanted = edges(blur(pictures[0], 0.5))  # without its noise
    sigmas = [math.hypot(sigma * size / 1024, 0.5) for sigma in SOFTNESS]  # each one differs
    found = [edges(blur(pictures[1], sigma)) for sigma in sigmas]
    enough = [sigma for sigma, sharp in zip(SOFTNESS, found, strict=True) if sharp >= wanted]
    return enough[-1] if enough else 0.0


def grain_of(photo: Tensor, inversion: Tensor, face: Tensor) -> float:
    """Standard deviation of the noise that the photo has in the face and the inversion has not."""

    def noise(picture: Tensor) -> float:
        grey = picture.mean(1, keepdim=True)
        high = grey - blur(grey, 1.0)
        inside = high[face > 0.8]
        # The median passes over the few strong edges; .6745 makes a deviation of it.
        return float(inside.abs().median()) / 0.6745 if len(inside) else 0.0

    missing = noise(photo) ** 2 - noise(inversion) ** 2
    return min(max(missing, 0.0) ** 0.5, GRAIN)


def displacement(inversion: Tensor, edited: Tensor) -> Tensor:
    """Where each pixel of the edit lay in the inversion, less its own place: (1, 2, 256, 256), x
    and y in shares of the side; a thin-plate spline through dlib's landmarks."""
    side = min(inversion.shape[-1], 1024)
    source, target = (crop_landmarks(to_image(resize(x, side))) / side
                      for x in (inversion, edited))  # fmt: skip
    offset = source - target  # (68, 2)
    length = np.hypot(*offset.T)[:, None]
    if length.max() < STILL:
        return torch.zeros(1, 2, SMALL, SMALL)
    offset *= (1 - STILL / 2 / length.clip(STILL / 2)).clip(0)  # what is noise stays where it is
    edge = np.linspace(0, 1, ANCHORS)
    rim = np.array([(x, y) for x in edge for y in edge if {x, y} & {0.0, 1.0}])
    points = np.concatenate([target, rim])  # (P, 2)
    values = np.concatenate([offset, np.zeros_like(rim)])
    grid = (np.arange(64) + 0.5) / 64
    y, x = np.meshgrid(grid, grid, indexing="ij")
    field = thin_plate(points, values, np.stack([x, y], -1).reshape(-1, 2))
    field = torch.from_numpy(field.reshape(64, 64, 2)).float().permute(2, 0, 1)[None]
    return resize(field, SMALL)


def thin_plate(points: np.ndarray, values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The smoothed thin-plate spline through values (P, 2) at points (P, 2), at places (N, 2)."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        square = np.square(a[:, None] - b[None]).sum(-1)
        return 0.5 * square * np.log(square + 1e-12)

    def plane(a: np.ndarray) -> np.ndarray:
        return np.concatenate([np.ones((len(a), 1)), a], axis=1)  # (., 3)

    count = len(points)
    matrix = np.zeros((count + 3, count + 3))
    matrix[:count, :count] = kernel(points, points) + STIFFNESS * np.eye(count) / count
    matrix[:count, count:] = plane(points)
    matrix[count:, :count] = plane(points).T
    found = np.linalg.solve(matrix, np.concatenate([values, np.zeros((3, 2))]))
    return kernel(places, points) @ found[:count] + plane(places) @ found[count:]


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """picture (1, C, S, S) drawn so that each pixel comes from its place plus flow."""
    if not flow.any():
        return picture
    size = picture.shape[-1]
    flow = resize(flow, size)
    middle = (torch.arange(size, device=picture.device) + 0.5) * 2 / size - 1
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    grid = torch.stack([x + 2 * flow[0, 0], y + 2 * flow[0, 1]], -1)[None]  # (1, S, S, 2)
    return F.grid_sample(picture, grid, mode="bicubic" if picture.shape[1] == 3 else "bilinear",
                         padding_mode="border", align_corners=False)  # fmt: skip


def resize(picture: Tensor, size: int) -> Tensor:
    """(1, C, S, S) at another size, without aliasing."""
    if picture.shape[-1] == size:
        return picture
    return F.interpolate(picture, (size, size), mode="bilinear", antialias=True)


def blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian of (B, C, S, S); a wide one is computed on fewer pixels."""
    if sigma <= 0:
        return picture
    size = picture.shape[-1]
    if sigma > 8:
        factor = int(sigma / 4)
        few = resize(picture, max(size // factor, 8))
        return resize(blur(few, sigma * few.shape[-1] / size), size)
    radius = min(int(3 * sigma + 1), size - 1)
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1.0) / sigma) ** 2)
    taps = (taps / taps.sum()).to(picture).view(1, 1, 1, -1)
    b, c, h, w = picture.shape
    x = picture.reshape(b * c, 1, h, w)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), taps)
    x = F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), taps.transpose(2, 3))
    return x.view(b, c, h, w)
