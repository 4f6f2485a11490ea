"""dlib's descriptors: near for one face, far for two, and the same at any resolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sdflow import images
from sdflow.align import find_faces
from sdflow.evaluation.identity import SAME_PERSON, identity_descriptor
from sdflow.evaluation.judges import distance
from sdflow.models import load_generator


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    """Two generated people, 512 px."""
    generator = load_generator("cpu")
    z = torch.randn(2, 512, generator=torch.Generator().manual_seed(11))
    with torch.no_grad():
        w = generator.truncate(generator.mapping(z), 0.7)
        return [images.to_image(generator.preview(one[None])) for one in w]


def describe(photo: Image.Image) -> np.ndarray:
    return identity_descriptor(photo, find_faces(photo)[0].landmarks)


def test_one_person_is_near_and_another_far(photos: list[Image.Image]) -> None:
    first, second = (describe(photo) for photo in photos)
    assert first.shape == (128,)
    assert first.dtype == np.float64
    changed = photos[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((300, 300))
    assert distance(first, first) == 0
    assert distance(first, describe(changed)) < 0.5 * SAME_PERSON
    assert distance(first, second) > SAME_PERSON


def test_wrong_landmarks(photos: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match=r"pass \(68, 2\)"):
        identity_descriptor(photos[0], np.zeros((5, 2)))
