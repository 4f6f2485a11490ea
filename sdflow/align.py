"""Step 1: photo → faces with 68 landmarks; face → FFHQ crop and the way back (Alignment).

Crop geometry of the FFHQ data set (Karras et al., arXiv 1812.04948, appendix A), in one resampling
pass. Faces and landmarks by dlib: HOG detector, CNN (mmod) detector, 68-point shape predictor.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import cache

import dlib
import numpy as np
from PIL import Image

from sdflow import weights
from sdflow.padding import pad_region

COPIES = (640, 1280, 2560)  # pixels of the long side on which HOG, which sees 80 px, looks
LARGEST_FACTOR = 2.0  # a copy is at most so many times larger than the photo
MMOD_COPY = 640  # mmod sees turned and half hidden faces, but takes seconds on a larger copy
MMOD_SMALLEST = 80  # side of a copy; the network fails on strips of a few pixels
LARGE_FACE = 200  # pixels on the copy; such a face ends the search for much smaller ones
SAME_FACE = 0.4  # intersection over union of two boxes of one face
LANDMARK_FACE = 300  # width of the face when its points are placed: dlib gives whole pixels
# Points are the mean over these shifts of the box (in widths): they depend on it by chance, and
# the mean lies 40 % closer to the FFHQ square on aligned photos of real people.
BOX_SHIFTS = ((0.0, 0.0), (0.03, 0.0), (-0.03, 0.0), (0.0, 0.03), (0.0, -0.03))
# Where the detector sees the face in an FFHQ crop: mean of eight portraits, shares of the side.
CROP_BOX = (0.19, 0.3, 0.79, 0.89)  # left, top, right, bottom

_DLIB = threading.Lock()  # detectors keep buffers inside: one thread at a time
# A process that is forked while it is held, as ZeroGPU's are, would never get it.
os.register_at_fork(
    before=_DLIB.acquire, after_in_parent=_DLIB.release, after_in_child=_DLIB.release
)
Box = tuple[float, float, float, float]


class NoFaceFound(ValueError):
    """No face in the photo; the message is a sentence that ends in what to do."""


@dataclass(frozen=True, eq=False)
class FoundFace:
    """One face of a photo, in pixels of the photo.

    Attributes:
        box: left, top, right, bottom; may reach beyond the photo.
        score: the detector's confidence, comparable within one detector only.
        landmarks: (68, 2) float64, x and y in dlib's order (36..41 the eye on the picture's left).
    """

    box: Box
    score: float
    landmarks: np.ndarray


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a crop lies in its photo.

    Attributes:
        quad: (4, 2) float64 photo pixels: top left, bottom left, bottom right, top right; always
            a square.
        size: side of the crop in pixels.
        photo_size: width and height of the photo.
    """

    quad: np.ndarray
    size: int
    photo_size: tuple[int, int]

    @property
    def inverse(self) -> np.ndarray:
        """(2, 3) float64: a crop pixel (x, y, 1) → the photo pixel it came from."""
        top_left, bottom_left, _, top_right = self.quad
        columns = (top_right - top_left) / self.size, (bottom_left - top_left) / self.size
        return np.stack([*columns, top_left], axis=1)  # (2, 3)


def find_faces(photo: Image.Image) -> list[FoundFace]:
    """Find all faces of a photo, the one with the largest visible part first.

    HOG looks at a copy of 640 pixels, then at larger ones until it has seen a large face, since
    beside smaller ones there may be more. Where it finds nothing, mmod looks at the small copy.

    Args:
        photo: RGB image as `images.open_photo` returns it.

    Raises:
        NoFaceFound: none of them found a face.
        WeightsError: a model file is missing and cannot be fetched.
    """
    with _DLIB:
        boxes = _detect(photo)
        if not boxes:
            raise NoFaceFound("No face found: try an upright photo where both eyes are visible.")
        faces = [FoundFace(box, score, _find_landmarks(photo, box)) for box, score in boxes]
    return sorted(faces, key=lambda face: _visible_area(face, photo.size), reverse=True)


def crop_face(
    photo: Image.Image, landmarks: np.ndarray, size: int = 256
) -> tuple[Image.Image, Alignment]:
    """Cut out one face the way FFHQ does: upright, eyes and mouth at their places.

    What lies outside the photo is filled with its mirror image, blurred and faded to the median
    colour.

    Args:
        photo: RGB image.
        landmarks: (68, 2) x, y in photo pixels.
        size: side of the crop; 256 for the networks, 1024 for display.

    Returns:
        The (size, size) crop and its place in the photo.

    Raises:
        ValueError: landmarks of another shape, not finite, or of a face outside the photo.
    """
    return crop_square(photo, face_quad(landmarks), size)


def crop_square(
    photo: Image.Image, quad: np.ndarray, size: int
) -> tuple[Image.Image, Alignment]:
    """Cut out a square of a photo as `crop_face` does; quad is (4, 2) as in `Alignment`."""
    alignment = Alignment(quad, size, photo.size)
    qsize = float(np.hypot(*(quad[3] - quad[0])))
    scale = (1.0, 1.0)
    if (shrink := int(qsize / size * 0.5)) > 1:
        shrunk = [round(side / shrink) for side in photo.size]
        scale = photo.width / shrunk[0], photo.height / shrunk[1]
        quad, qsize = quad / shrink, qsize / shrink
    else:
        shrunk = list(photo.size)

    border = max(round(qsize * 0.1), 3)
    low, high = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
    left, top = np.maximum(low - border, 0).tolist()
    right, bottom = np.minimum(high + border, shrunk).tolist()
    if left >= right or top >= bottom:
        raise ValueError("the landmarks lie outside the photo: pass pixels of this very photo")
    region = photo.crop((left, top, right, bottom))
    if shrink > 1:  # the same pixels as shrinking the whole photo, for the price of the region
        box = (left * scale[0], top * scale[1], right * scale[0], bottom * scale[1])
        region = photo.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box=box)
    quad = quad - (left, top)

    outside = np.concatenate([border - low, high + border - shrunk])  # left, top, right, bottom
    outside = np.maximum(outside, 0)
    if outside.max() > border - 4:
        pad = np.maximum(outside, round(qsize * 0.3))
        region, quad = pad_region(region, pad, 0.02 * qsize, quad + pad[:2])
    corners = tuple((quad + 0.5).flatten())
    crop = region.transform((size, size), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    return crop, alignment


def crop_landmarks(crop: Image.Image) -> np.ndarray:
    """The landmarks of an aligned crop, (68, 2) float64 pixels; no face is looked for."""
    with _DLIB:
        return _find_landmarks(crop, tuple(edge * crop.width for edge in CROP_BOX))


def face_quad(landmarks: np.ndarray) -> np.ndarray:
    """The FFHQ square of a face.

    Args:
        landmarks: (68, 2) x, y.

    Returns:
        (4, 2) float64: top left, bottom left, bottom right, top right, in the same pixels.

    Raises:
        ValueError: another shape, values that are not finite, or eyes and mouth in one point.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    if landmarks.shape != (68, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"landmarks {landmarks.shape} are no face: pass (68, 2) finite numbers")
    eye_left, eye_right = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    eye_average, eye_to_eye = (eye_left + eye_right) / 2, eye_right - eye_left
    mouth_average = (landmarks[48] + landmarks[54]) / 2
    eye_to_mouth = mouth_average - eye_average

    x = eye_to_eye - eye_to_mouth[::-1] * (-1, 1)
    if not (length := np.hypot(*x)):
        raise ValueError("eyes and mouth lie in one point: pass the landmarks of a face")
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8) / length
    y = x[::-1] * (-1, 1)
    centre = eye_average + eye_to_mouth * 0.1
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def _detect(photo: Image.Image) -> list[tuple[Box, float]]:
    """Boxes in photo pixels with scores."""
    found: list[tuple[Box, float]] = []
    for long_side in COPIES:
        copy = _copy(photo, long_side)
        found += _run_hog(copy, photo.width / copy.width)
        large = LARGE_FACE * photo.width / copy.width
        if any(box[2] - box[0] >= large for box, _ in found):
            break
        if long_side >= LARGEST_FACTOR * max(photo.size):
            break
    copy = _copy(photo, MMOD_COPY)
    if not found and min(copy.size) >= MMOD_SMALLEST:
        found = _run_mmod(copy, photo.width / copy.width)
    return _distinct(found)


def _copy(photo: Image.Image, long_side: int) -> Image.Image:
    """The photo at this long side, enlarged `LARGEST_FACTOR` times at most."""
    factor = min(long_side / max(photo.size), LARGEST_FACTOR)
    if factor == 1:
        return photo
    size = (max(1, round(photo.width * factor)), max(1, round(photo.height * factor)))
    return photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _run_hog(copy: Image.Image, scale: float) -> list[tuple[Box, float]]:
    boxes, scores, _ = _hog().run(np.asarray(copy), 0, 0.0)
    return [(_scaled(box, scale), score) for box, score in zip(boxes, scores, strict=True)]


def _run_mmod(copy: Image.Image, scale: float) -> list[tuple[Box, float]]:
    return [(_scaled(face.rect, scale), face.confidence) for face in _mmod()(np.asarray(copy), 0)]


def _scaled(box: dlib.rectangle, scale: float) -> Box:
    edges = box.left(), box.top(), box.right() + 1, box.bottom() + 1
    return tuple(edge * scale for edge in edges)


def _find_landmarks(photo: Image.Image, box: Box) -> np.ndarray:
    """(68, 2) float64 photo pixels, placed on a patch where the face is `LANDMARK_FACE` wide."""
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    corner = round(left - side / 2), round(top - side / 2)
    around = (*corner, round(right + side / 2), round(bottom + side / 2))
    scale = LANDMARK_FACE / side
    size = round((around[2] - around[0]) * scale), round((around[3] - around[1]) * scale)
    patch = photo.crop(around).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    pixels = np.asarray(patch)  # (h, w, 3) uint8, black beyond the photo

    places = []
    for x, y in BOX_SHIFTS:
        shifted = np.array(box) + (x * side, y * side, x * side, y * side) - (corner * 2)
        edges = np.rint(shifted * scale).astype(int) - (0, 0, 1, 1)
        parts = _predictor()(pixels, dlib.rectangle(*edges.tolist())).parts()
        places.append([(point.x, point.y) for point in parts])
    points = np.mean(places, axis=0)  # (68, 2) patch pixels
    stretch = size[0] / (around[2] - around[0]), size[1] / (around[3] - around[1])
    return (points + 0.5) / stretch - 0.5 + corner


def _distinct(found: list[tuple[Box, float]]) -> list[tuple[Box, float]]:
    """One box a face: the surest of those that overlap."""
    kept: list[tuple[Box, float]] = []
    for box, score in sorted(found, key=lambda item: item[1], reverse=True):
        if all(_overlap(box, other) < SAME_FACE for other, _ in kept):
            kept.append((box, score))
    return kept


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    both = _overlap_area(a, b)
    return both / (_overlap_area(a, a) + _overlap_area(b, b) - both)


def _overlap_area(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def _visible_area(face: FoundFace, photo_size: tuple[int, int]) -> float:
    """The crop's area, as far as the face is in the photo; boxes alone come in coarse steps."""
    quad = face_quad(face.landmarks)
    visible = _overlap_area(face.box, (0.0, 0.0, *photo_size)) / _overlap_area(face.box, face.box)
    return float(np.square(quad[3] - quad[0]).sum()) * visible


@cache  # once per process; called under _DLIB only, so never twice at a time
def _hog() -> dlib.fhog_object_detector:
    return dlib.get_frontal_face_detector()


@cache  # once per process; called under _DLIB only
def _mmod() -> dlib.cnn_face_detection_model_v1:
    return dlib.cnn_face_detection_model_v1(str(weights.path("dlib_detector")))


@cache  # once per process; called under _DLIB only
def _predictor() -> dlib.shape_predictor:
    return dlib.shape_predictor(str(weights.path("dlib_landmarks")))
