"""The teachers: aligned faces in, one raw measurement per attribute out, a batch at a time.

BiSeNet gives whatever is an area (glasses, hat, hair, mouth), faceres-deep gender and age,
face-api's expression network the smile, facemesh the pose. `Teachers.label` returns raw measures,
so a bank never has to be relabelled when a threshold moves; `probabilities` turns them into the
values in 0..1 that an estimator learns. None of these networks is needed to use the product.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow import weights
from sdflow.networks.fast_synthesis import native_dtype
from sdflow.training import bisenet
from sdflow.training.expression import EXPRESSIONS, SIZE, ExpressionNetwork
from sdflow.training.probes import apply_probe
from sdflow.training.tfjs import GraphModel

# Decision threshold of each raw measure.
THRESHOLDS = {
    "glasses": 0.002,  # share of the picture; generated faces have none at all, or more than .0096
    "hat": 0.02,  # share of the picture
    "hair_length": 0.06,  # share of the picture that is hair below the mouth line
    "bangs": 0.25,  # share of the forehead box that is hair
    "mouth_open": 0.15,  # inner mouth over mouth and lips
    "crown_hair": 0.12,  # share of the part above the brows that is hair; less is bald
    "beard": 0.5,  # probability by the probe
    "hair_light": 26.0,  # CIE L of the hair; less is dark
    "gender": 0.5,  # probability of male
    "age": 40.0,  # years; the middle of the "young" axis
    "child": 0.5,  # of the value derived from the age
    "smile": 0.95,  # probability of happy
}
CHILD_AGE, CHILD_WIDTH = 19.5, 2.0  # years; calibrated on faces labelled by eye
YAW_SPAN = 80.0  # degrees from 0 to 1: -40 is 0, +40 is 1
PITCH_SPAN = 60.0  # degrees from 0 to 1: 30 down is 0, 30 up is 1
HAIR_SOFTNESS = 8.0  # CIE L; divides the distance from the threshold
EYES_MIDDLE, EYES_SPAN = 0.335, 0.20  # gap of the lids; four deviations of the bank's faces
AGE_SPAN = 70.0  # years from 1 (5 years old) to 0 (75 years old)

_PARSE_SIZE = 256  # class maps at 256 px agree with 512 px to a share of .002
_MOUTH_LINE, _BROW_LINE = 0.685, 0.42  # heights in an FFHQ-aligned face
_FOREHEAD = (0.27, 0.40, 0.32, 0.68)  # top, bottom, left, right
_EYES = (0.3125, 0.625)  # the rows in which glasses sit
_SOFTENING = 2.0  # divides the log-odds of a smile, so that few labels are exactly 0 or 1
_PITCH_NEUTRAL = -11.0  # facemesh's angle of a face that looks straight ahead, degrees
# facemesh points that span the face: top, chin, picture's left edge, right edge.
_TOP, _CHIN, _LEFT, _RIGHT = 10, 152, 234, 454
# Of each eye: upper lid, lower lid, outer corner, inner corner.
_EYE_POINTS = ((159, 145, 33, 133), (386, 374, 263, 362))


def crop(images: Tensor, box: tuple[float, float, float, float], size: int) -> Tensor:
    """Cut the box (left, top, right, bottom), in shares, out of (B, 3, H, H); resize to `size`."""
    left, top, right, bottom = (round(edge * images.shape[-1]) for edge in box)
    cut = images[:, :, top:bottom, left:right]
    return F.interpolate(cut, (size, size), mode="bilinear", align_corners=False, antialias=True)


def pose(mesh: Tensor) -> tuple[Tensor, Tensor]:
    """Yaw and pitch (B,) in degrees of a facemesh (B, 468, 3).

    Positive yaw faces the picture's right, positive pitch looks up, zero is straight ahead.
    """
    down = F.normalize(mesh[:, _CHIN] - mesh[:, _TOP], dim=1)
    across = F.normalize(mesh[:, _RIGHT] - mesh[:, _LEFT], dim=1)
    ahead = F.normalize(torch.linalg.cross(across, down, dim=1), dim=1)  # into the picture
    yaw = -torch.rad2deg(torch.asin(ahead[:, 0].clamp(-1, 1)))
    pitch = torch.rad2deg(torch.atan2(ahead[:, 1], ahead[:, 2]))
    return yaw, pitch - _PITCH_NEUTRAL


def eye_opening(mesh: Tensor) -> Tensor:
    """Gap of the lids over the eye's width (B,), mean of both eyes of a facemesh (B, 468, 3)."""

    def gap(a: int, b: int) -> Tensor:
        return (mesh[:, a] - mesh[:, b]).norm(dim=1)

    eyes = [gap(upper, lower) / gap(outer, inner) for upper, lower, outer, inner in _EYE_POINTS]
    return (eyes[0] + eyes[1]) / 2


# Method of `Teachers` → the measures that it makes.
MEASURES = {
    "areas": ("glasses", "hat", "hair_length", "bangs", "mouth_open", "crown_hair", "hair_light",
              "glasses_likely"),
    "person": ("gender", "age", "child", "beard"),
    "smile": ("smile",),
    "pose": ("yaw", "pitch", "eyes_open"),
}  # fmt: skip


class Teachers:
    """All label networks, loaded once.

    Args:
        dtype: Of BiSeNet, the only large one; default bfloat16 where the CPU computes in it, else
            float32. The small networks run in float32.

    Raises:
        WeightsError: A file cannot be had.
    """

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        self.dtype = dtype or native_dtype(torch.device("cpu"))
        state = torch.load(
            weights.path("bisenet", "79999_iter.pth"), map_location="cpu", weights_only=True
        )
        parser = bisenet.BiSeNet()
        bisenet.load_state(parser, state)
        bisenet.fold_batch_norms(parser).to(memory_format=torch.channels_last)
        parser.to(self.dtype)
        self._parser = parser
        weights.path("faceres", "faceres-deep.bin"), weights.path("faceres", "facemesh.bin")
        self._faceres = GraphModel(weights.path("faceres", "faceres-deep.json"))
        self._mesh = GraphModel(weights.path("faceres", "facemesh.json"), outputs=["Identity_2"])
        weights.path("face_expression", "face_expression_model.bin")
        self._expression = ExpressionNetwork(
            weights.path("face_expression", "face_expression_model-weights_manifest.json")
        )

    @torch.inference_mode()
    def label(
        self, images: Tensor, groups: tuple[str, ...] = tuple(MEASURES)
    ) -> dict[str, Tensor]:
        """Measure FFHQ-aligned faces.

        Args:
            images: (B, 3, 512, 512) or (B, 3, 1024, 1024) in [-1, 1].
            groups: keys of `MEASURES`; default: all of them.

        Returns:
            (B,) float32 each, the measures named in `MEASURES`: those of `parse_areas`, `gender`
            (probability of male), `age` (years), `child`, `beard` (0..1), `smile` (probability of
            happy), `yaw`, `pitch` (degrees), `eyes_open`.

        Raises:
            ValueError: The images have another shape.
        """
        if images.dim() != 4 or images.shape[1:] not in ((3, 512, 512), (3, 1024, 1024)):
            shape = tuple(images.shape)
            raise ValueError(f"Faces have shape {shape}. Give (B, 3, 512, 512) or 1024 px.")
        images = images.float().clamp(-1, 1)
        if images.shape[-1] == 1024:
            images = F.avg_pool2d(images, 2)
        measures: dict[str, Tensor] = {}
        for group in groups:
            measures |= getattr(self, group)(images)
        return measures

    def areas(self, images: Tensor) -> dict[str, Tensor]:
        """What BiSeNet sees in (B, 3, 512, 512)."""
        scores = self._parser(images).float().contiguous()  # (B, 19, 64, 64)
        size = (_PARSE_SIZE, _PARSE_SIZE)
        maps = F.interpolate(scores, size, mode="bilinear", align_corners=True).argmax(1)
        rows = slice(*(round(edge * scores.shape[2]) for edge in _EYES))
        likely = scores[:, :, rows].softmax(1)[:, bisenet.GLASSES].mean((1, 2))
        return parse_areas(maps, images) | {"glasses_likely": likely}

    def person(self, images: Tensor) -> dict[str, Tensor]:
        """Gender, age, beard of (B, 3, 512, 512); mean of two crops and channel orders.

        The archive does not say whether the network was trained on RGB or BGR: the whole picture
        in RGB is best for gender, the closer crop in BGR for children, their mean for both.
        """
        whole = self._faceres((crop(images, (0, 0, 1, 1), 224) + 1) * 127.5)
        near = self._near(images)
        male = (whole["gender_pred/Sigmoid"] + near["gender_pred/Sigmoid"])[:, 0] / 2
        ages = (whole["age_pred/Softmax"] + near["age_pred/Softmax"]) / 2  # (B, 100)
        age = ages @ torch.arange(100.0)
        child = ((CHILD_AGE - age) / CHILD_WIDTH).sigmoid()
        beard = apply_probe("beard_teacher", near["global_pooling/Mean"]).sigmoid()
        return {"gender": male, "age": age, "child": child, "beard": beard}

    def describe(self, images: Tensor) -> Tensor:
        """faceres-deep's own description (B, 1024) of (B, 3, 512, 512); the beard's probe's."""
        return self._near(images)["global_pooling/Mean"]

    def _near(self, images: Tensor) -> dict[str, Tensor]:
        near = crop(images, (0.15, 0.15, 0.85, 0.85), 224).flip(1)  # BGR
        return self._faceres((near + 1) * 127.5)

    def smile(self, images: Tensor) -> dict[str, Tensor]:
        """Probability that (B, 3, 512, 512) smile; mean log-odds of two crops and mirrors."""
        boxes = ((0.1, 0.1, 0.9, 0.9), (0.2, 0.25, 0.8, 0.85))
        faces = torch.cat([crop(images, box, SIZE) for box in boxes])
        happy = self._expression(torch.cat([faces, faces.flip(3)]))[:, EXPRESSIONS.index("happy")]
        return {"smile": happy.logit(1e-6).view(4, -1).mean(0).sigmoid()}

    def pose(self, images: Tensor) -> dict[str, Tensor]:
        """Yaw and pitch of (B, 3, 512, 512); mean over the picture and its mirror image."""
        faces = (crop(images, (0.1, 0.1, 0.9, 0.9), 192) + 1) / 2
        meshes = self._mesh(torch.cat([faces, faces.flip(3)]))["Identity_2"].reshape(-1, 468, 3)
        (yaw, mirrored), (pitch, again) = (angle.chunk(2) for angle in pose(meshes))
        gaps, mirrored_gaps = eye_opening(meshes).chunk(2)
        return {
            "yaw": (yaw - mirrored) / 2,
            "pitch": (pitch + again) / 2,
            "eyes_open": (gaps + mirrored_gaps) / 2,
        }


def parse_areas(maps: Tensor, images: Tensor) -> dict[str, Tensor]:
    """Measures of class maps (B, S, S) of FFHQ-aligned faces.

    Args:
        maps: BiSeNet's class of each pixel.
        images: The faces, (B, 3, H, H) in [-1, 1], for the colour of the hair.

    Returns:
        (B,) each, named and thresholded in `THRESHOLDS`; `hair_light` is the median CIE L (0..100)
        of the hair, nan where less than 1 % of the picture is hair.
    """
    size = maps.shape[-1]
    hair = (maps == bisenet.HAIR).float()
    share = {name: (maps == label).float().mean((1, 2)) for name, label in
             (("glasses", bisenet.GLASSES), ("hat", bisenet.HAT), ("mouth", bisenet.MOUTH),
              ("upper", bisenet.UPPER_LIP), ("lower", bisenet.LOWER_LIP))}  # fmt: skip
    top, bottom, left, right = (round(edge * size) for edge in _FOREHEAD)
    lips = share["mouth"] + share["upper"] + share["lower"]
    mouth_line, brow_line = round(_MOUTH_LINE * size), round(_BROW_LINE * size)
    return {
        "glasses": share["glasses"],
        "hat": share["hat"],
        "hair_length": hair[:, mouth_line:].sum((1, 2)) / size**2,
        "bangs": hair[:, top:bottom, left:right].mean((1, 2)),
        "mouth_open": share["mouth"] / lips.clamp(min=1e-4),
        "crown_hair": hair[:, :brow_line].mean((1, 2)),
        "hair_light": hair_lightness(images, hair > 0),
    }


def hair_lightness(images: Tensor, hair: Tensor) -> Tensor:
    """Median CIE L (B,) inside the masks `hair` (B, S, S) of images (B, 3, H, H) in [-1, 1]."""
    small = F.adaptive_avg_pool2d(images, hair.shape[-1])
    encoded = (small + 1) / 2
    linear = torch.where(
        encoded > 0.04045, ((encoded + 0.055) / 1.055).clamp(min=0) ** 2.4, encoded / 12.92
    )
    luminance = (linear * torch.tensor([0.2126, 0.7152, 0.0722]).view(3, 1, 1)).sum(1)  # (B, S, S)
    medians = [
        y[mask].median() if mask.float().mean() > 0.01 else torch.tensor(torch.nan)
        for y, mask in zip(luminance, hair, strict=True)
    ]
    y = torch.stack(medians)
    return torch.where(y > 0.008856, 116 * y.clamp(min=1e-6) ** (1 / 3) - 16, 903.3 * y)


def probabilities(labels: dict[str, Tensor]) -> dict[str, Tensor]:
    """Raw measures as values in 0..1, one for each attribute, .5 at the decision threshold.

    Ages, angles and the lids' gap are linear: `young` in years (5 is 1, 75 is 0), `yaw` and
    `pitch` in degrees. `dark_hair` is nan where there is no hair.
    """

    def area(name: str) -> Tensor:  # odds grow with the square of the area
        return labels[name] ** 2 / (labels[name] ** 2 + THRESHOLDS[name] ** 2)

    def calibrated(name: str) -> Tensor:  # an overconfident probability, threshold not .5
        odds = labels[name].logit(1e-6) - torch.tensor(THRESHOLDS[name]).logit()
        return (odds / _SOFTENING).sigmoid()

    middle = THRESHOLDS["age"]
    return {
        "eyeglasses": area("glasses"),
        "gender": labels["gender"],
        "young": (0.5 - (labels["age"] - middle) / AGE_SPAN).clamp(0, 1),
        "smiling": calibrated("smile"),
        "yaw": (0.5 + labels["yaw"] / YAW_SPAN).clamp(0, 1),
        "pitch": (0.5 + labels["pitch"] / PITCH_SPAN).clamp(0, 1),
        "beard": labels["beard"],
        "dark_hair": ((THRESHOLDS["hair_light"] - labels["hair_light"]) / HAIR_SOFTNESS).sigmoid(),
        "open_eyes": (0.5 + (labels["eyes_open"] - EYES_MIDDLE) / EYES_SPAN).clamp(0, 1),
        "hat": area("hat"),
        "long_hair": area("hair_length"),
        "bangs": area("bangs"),
        "mouth_open": area("mouth_open"),
        "bald": (1 - area("crown_hair")) * (1 - area("hat")),
        "child": labels["child"],
    }
