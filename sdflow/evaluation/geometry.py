"""The judges' geometry: dlib's 68 points (and the picture) in, measures of the face out.

Every measure is a ratio, most of them in distances between the eyes' middles, so that size and
tilt of the head do not count. Pitch and yaw are calibrated to facemesh.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_YAW_SLOPE, _YAW_OFFSET = 77.03, -0.14  # degrees, to facemesh's angle: r .992, deviation 1.6
_PITCH = (-43.7, 32.1, 18.3)  # degrees for nose tip, cheeks, constant: r .91, deviation 3.6
_BRIDGE, _BRIDGE_SAMPLES = 0.15, 48  # half side in eye distances; samples a side
_CHEEKS = [0, 1, 15, 16]  # the outline's upper ends, beside the ears
_INNER_LIPS = ([61, 62, 63], [67, 66, 65])
_OUTER_LIPS = ([50, 51, 52], [58, 57, 56])


def mouth_width(points: np.ndarray) -> np.ndarray:
    """Distance of the mouth's corners over the distance of the eyes, for points (B, 68, 2)."""
    left, right = _eyes(points)
    return _gap(points, [48], [54]) / np.linalg.norm(right - left, axis=1)


def mouth_gap(points: np.ndarray) -> np.ndarray:
    """Gap between the inner lips over the gap with the lips (0..1), for points (B, 68, 2)."""
    gap = _gap(points, *_INNER_LIPS)
    lips = sum(_gap(points, *pair) for pair in zip(_OUTER_LIPS, _INNER_LIPS, strict=True))
    return gap / (gap + lips)


def eye_opening(points: np.ndarray) -> np.ndarray:
    """Gap of the lids over the eye's width, mean of both eyes, for points (B, 68, 2)."""
    left = _gap(points, [37, 38], [41, 40]) / _gap(points, [36], [39])
    right = _gap(points, [43, 44], [47, 46]) / _gap(points, [42], [45])
    return (left + right) / 2


def nose_yaw(points: np.ndarray) -> np.ndarray:
    """Yaw in degrees from the nose tip's place between the cheeks, for points (B, 68, 2)."""
    left, right = points[:, 1, 0], points[:, 15, 0]
    offset = (points[:, 30, 0] - (left + right) / 2) / (right - left)
    return _YAW_SLOPE * offset + _YAW_OFFSET


def nose_pitch(points: np.ndarray) -> np.ndarray:
    """Pitch in degrees, positive looks up, for points (B, 68, 2).

    Who looks up lifts the nose's tip, and the cheeks' edges sink below the eyes.
    """
    down = _upright(points)[..., 1]
    nose, cheeks, constant = _PITCH
    return nose * down[:, 30] + cheeks * down[:, _CHEEKS].mean(1) + constant


def bridge_edges(grey: Tensor, points: np.ndarray) -> np.ndarray:
    """Strength of the edges that cross the nose bridge, where a frame would pass.

    The square between the eyes, turned level with them, is smoothed; the result is the 90 %
    quantile of its vertical Sobel derivative.

    Args:
        grey: (B, 1, H, H) in [-1, 1].
        points: (B, 68, 2) in pixels.
    """
    left, right = (torch.from_numpy(eye).float() for eye in _eyes(points))
    across = right - left  # (B, 2)
    along = torch.stack([-across[:, 1], across[:, 0]], 1)
    steps = torch.linspace(-_BRIDGE, _BRIDGE, _BRIDGE_SAMPLES)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    grid = (left + right)[:, None, None] / 2 + x[..., None] * across[:, None, None]
    grid = grid + y[..., None] * along[:, None, None]  # (B, S, S, 2) pixels
    grid = (grid + 0.5) * 2 / grey.shape[-1] - 1
    patch = F.grid_sample(grey, grid, "bilinear", "border", align_corners=False) * 127.5
    bell = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / 2)
    bell = (bell / bell.sum()).view(1, 1, 7, 1)
    patch = F.pad(patch, (3, 3, 3, 3), mode="reflect")
    patch = F.conv2d(F.conv2d(patch, bell), bell.transpose(2, 3))
    sobel = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]).view(1, 1, 3, 3)
    edges = F.conv2d(patch, sobel).abs().flatten(1)
    return edges.quantile(0.9, dim=1).numpy()


def _eyes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points[:, 36:42].mean(1), points[:, 42:48].mean(1)


def _upright(points: np.ndarray) -> np.ndarray:
    """The points, right and down of the middle between the eyes, in eye distances."""
    left, right = _eyes(points)
    across = (right - left)[:, None]  # (B, 1, 2)
    down = np.stack([-across[..., 1], across[..., 0]], -1)
    turned = points - ((left + right) / 2)[:, None]
    turned = np.stack([(turned * across).sum(-1), (turned * down).sum(-1)], -1)  # (B, 68, 2)
    return turned / np.square(across).sum(-1, keepdims=True)


def _gap(points: np.ndarray, first: list[int], second: list[int]) -> np.ndarray:
    """Mean distance (B,) of pairs of points."""
    return np.linalg.norm(points[:, first] - points[:, second], axis=-1).mean(1)
