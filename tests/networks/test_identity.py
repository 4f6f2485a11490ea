"""dlib's identity network in PyTorch against dlib itself."""

from __future__ import annotations

import dlib
import numpy as np
import pytest
import torch
from PIL import Image

from sdflow import weights
from sdflow.align import find_faces
from sdflow.images import to_tensor
from sdflow.models import load_identity
from sdflow.networks.identity import IdentityNetwork, cut_chip, state_from_dlib
from sdflow.pipeline import Editor


@pytest.fixture(scope="module")
def network() -> IdentityNetwork:
    return load_identity("cpu")


@pytest.fixture(scope="module")
def face(editor: Editor) -> Image.Image:
    return editor.reconstruct(editor.random(1), 512)


@pytest.fixture(scope="module")
def judge() -> dlib.face_recognition_model_v1:
    return dlib.face_recognition_model_v1(str(weights.path("dlib_identity")))


def test_descriptor_equals_dlibs(
    network: IdentityNetwork, judge: dlib.face_recognition_model_v1, face: Image.Image
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    for chip in (np.asarray(face.resize((150, 150))).copy(), noise):
        expected = np.array(judge.compute_face_descriptor(chip))
        tensor = to_tensor(Image.fromarray(chip), device="cpu")  # (1, 3, 150, 150)
        described = network.describe(tensor)[0].numpy()
        np.testing.assert_allclose(described, expected, rtol=0, atol=1e-5)


def test_the_fixed_chip_is_near_dlibs_own(
    network: IdentityNetwork, judge: dlib.face_recognition_model_v1, face: Image.Image
) -> None:
    landmarks = find_faces(face)[0].landmarks
    points = [dlib.point(x, y) for x, y in np.rint(landmarks).astype(int).tolist()]
    box = dlib.rectangle(*landmarks.min(0).astype(int).tolist(), *landmarks.max(0).astype(int))
    chip = dlib.get_face_chip(np.asarray(face), dlib.full_object_detection(box, points), 150, 0.25)
    expected = np.array(judge.compute_face_descriptor(chip))
    described = network(to_tensor(face, device="cpu"))[0].numpy()
    assert np.linalg.norm(described - expected) < 0.3  # two people are about 0.8 apart


def test_a_gradient_reaches_every_pixel_of_the_chip(network: IdentityNetwork) -> None:
    crop = torch.rand(1, 3, 256, 256).mul_(2).sub_(1).requires_grad_(True)
    assert cut_chip(crop).shape == (1, 3, 150, 150)
    network(crop).square().sum().backward()
    assert torch.isfinite(crop.grad).all()
    assert (crop.grad[:, :, 80:240, 50:210].abs().sum(1) > 0).float().mean() > 0.99


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="Fetch the file again"):
        state_from_dlib(b"nothing of the kind" * 100)
