"""Part of step 1: fill what an FFHQ crop shows beyond the photo's edge, as FFHQ's authors did."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

EXACT_SIGMA = 11.0  # pixels; a wider blur is computed on a smaller copy
BLOCK = 32  # rows worked on at a time; they fit the processor's cache
BILINEAR = Image.Resampling.BILINEAR
Box = tuple[int, int, int, int]


def pad_region(
    region: Image.Image, pad: np.ndarray, blur: float, quad: np.ndarray
) -> tuple[Image.Image, np.ndarray]:
    """Mirror the region outwards by `pad` (left, top, right, bottom) and fade what is outside.

    The blur is exact up to `EXACT_SIGMA`; a wider one, and the median colour, come from a copy
    reduced by a whole factor, where they differ by a few of 255 levels at most.

    Args:
        region: part of the photo around the quad.
        pad: pixels added on each side.
        blur: sigma in pixels.
        quad: (4, 2) in the padded picture.

    Returns:
        The part of the padded picture that the quad needs, and the quad within it.
    """
    size = region.width + int(pad[0] + pad[2]), region.height + int(pad[1] + pad[3])
    factor = math.ceil(blur / EXACT_SIGMA)
    reduced_pad = np.rint(pad / factor).astype(int)
    reduced = _mirror(np.asarray(region.reduce(factor)), reduced_pad).astype(np.float32)
    blurred = _gaussian_blur(reduced, blur / factor)
    columns = (np.arange(reduced.shape[1]) - reduced_pad[0] + 0.5) * factor - 0.5 + pad[0]
    rows = (np.arange(reduced.shape[0]) - reduced_pad[1] + 0.5) * factor - 0.5 + pad[1]
    fade = _fade(rows, columns, pad, size)
    median = np.median(reduced + (blurred - reduced) * np.clip(3 * fade + 1, 0, 1), axis=(0, 1))

    left, top = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 2, 0).tolist()
    right, bottom = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 3, size).tolist()
    kept = _mirror(np.asarray(region), pad - (left, top, size[0] - right, size[1] - bottom))
    small = Image.fromarray(np.rint(blurred).astype(np.uint8))
    for box in _fading_boxes(pad, size, (left, top, right, bottom)):
        part = kept[box[1] - top : box[3] - top, box[0] - left : box[2] - left]  # a view
        if factor == 1:
            soft = blurred[box[1] : box[3], box[0] : box[2]].copy()
        else:
            source = (np.reshape(box, (2, 2)) - pad[:2]) / factor + reduced_pad[:2]
            wide = small.resize(part.shape[1::-1], BILINEAR, box=tuple(source.flatten()))
            soft = np.asarray(wide).astype(np.float32)
        fade = _fade(np.arange(box[1], box[3]), np.arange(box[0], box[2]), pad, size)
        soft -= part
        soft *= np.clip(3 * fade + 1, 0, 1)
        soft += part
        if fade.max() > 0:
            soft += (median - soft) * np.clip(fade, 0, 1)
        part[:] = np.rint(soft, out=soft)  # means of bytes: they need no clipping
    return Image.fromarray(kept), quad - (left, top)


def _mirror(pixels: np.ndarray, pad: np.ndarray) -> np.ndarray:
    """(H, W, 3) reflected about its edge pixels by `pad`; where that is negative, cut off."""
    left, top, right, bottom = np.maximum(pad, 0).tolist()
    pixels = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), "reflect")
    left, top, right, bottom = np.maximum(-pad, 0).tolist()
    return pixels[top : pixels.shape[0] - bottom, left : pixels.shape[1] - right]


def _fade(
    rows: np.ndarray, columns: np.ndarray, pad: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """(rows, columns, 1): 1 at the padded edge, 0 where the photo begins, negative inside."""
    left, top, right, bottom = pad.tolist()
    x = 1 - np.minimum(columns / left, (size[0] - 1 - columns) / right)
    y = 1 - np.minimum(rows / top, (size[1] - 1 - rows) / bottom)
    return np.maximum(x[None, :], y[:, None]).astype(np.float32)[..., None]


def _fading_boxes(pad: np.ndarray, size: tuple[int, int], within: tuple[int, ...]) -> list[Box]:
    """Flat boxes, none overlapping, that hold every pixel of `_fade` > -1/3 in a part of it."""
    reach = np.ceil(pad * 4 / 3).astype(int) + 1
    left, top = min(reach[0], size[0]), min(reach[1], size[1])
    right, bottom = max(size[0] - reach[2], left), max(size[1] - reach[3], top)
    boxes = []
    for y in range(within[1], within[3], BLOCK):
        y_end = min(y + BLOCK, within[3])
        if y < top or y_end > bottom:
            spans = [(0, size[0])]
        else:
            spans = [(0, left), (right, size[0])]
        for x, x_end in spans:
            x, x_end = int(max(x, within[0])), int(min(x_end, within[2]))
            if x < x_end:
                boxes.append((x, y, x_end, y_end))
    return boxes


def _gaussian_blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W, 3) float32 blurred to four sigmas; beyond an edge lies its mirror image.

    Runs as products of blocks of rows with one banded matrix, the fastest way in plain numpy.
    """
    radius, block = int(4 * sigma + 0.5), BLOCK
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    band = np.zeros((block, block + 2 * radius), dtype=np.float32)
    for i in range(block):
        band[i, i : i + len(taps)] = taps / taps.sum()
    for _ in ("height", "width"):
        n, across = pixels.shape[:2]
        edges = ((radius, radius + block), (0, 0), (0, 0))
        wide = np.pad(pixels, edges, "symmetric").reshape(n + 2 * radius + block, -1)
        blocks = [band @ wide[i : i + band.shape[1]] for i in range(0, n, block)]
        pixels = np.concatenate(blocks)[:n].reshape(n, across, -1).swapaxes(0, 1)
    return pixels
