"""Judge of likeness: (photo, landmarks) → dlib's 128-d descriptor.

dlib's face recognition ResNet (dlib.net, "High quality face recognition with deep metric
learning"): descriptors of one person are nearer than 0.6.
"""

from __future__ import annotations

import threading
from functools import cache

import dlib
import numpy as np
from PIL import Image

from sdflow import weights

SAME_PERSON = 0.6  # dlib's threshold; .988 right on 500 pairs of LFW
CHIP = 150  # pixels, what the network was trained on
CHIP_PADDING = 0.25  # of the face, on every side

_DLIB = threading.Lock()  # the network keeps its activations inside: one thread at a time


def identity_descriptor(photo: Image.Image, landmarks: np.ndarray) -> np.ndarray:
    """Describe whose face it is.

    Args:
        photo: RGB image.
        landmarks: (68, 2) x, y in photo pixels, as `align.find_faces` gives them.

    Returns:
        (128,) float64.

    Raises:
        ValueError: landmarks of another shape.
        WeightsError: the model file is missing and cannot be fetched.
    """
    points = np.rint(np.asarray(landmarks)).astype(int)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks {points.shape} are no face: pass (68, 2)")
    box = dlib.rectangle(*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
    shape = dlib.full_object_detection(box, [dlib.point(x, y) for x, y in points.tolist()])
    chip = dlib.get_face_chip(np.asarray(photo), shape, size=CHIP, padding=CHIP_PADDING)
    with _DLIB:
        return np.array(_network().compute_face_descriptor(chip), dtype=np.float64)


@cache  # once per process; called under _DLIB only
def _network() -> dlib.face_recognition_model_v1:
    return dlib.face_recognition_model_v1(str(weights.path("dlib_identity")))
