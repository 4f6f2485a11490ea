"""The FFHQ crop against the reference's numbers; faces found in composed photos; the way back.

`faces` are rendered by our generator, whose pictures are FFHQ crops: pasted as a square somewhere,
a face must be found there, and its crop must show that square again.
"""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageFilter

from sdflow import align, images, padding
from sdflow.align import Alignment, NoFaceFound, crop_face, face_quad, find_faces
from sdflow.models import load_generator

GOLDENS = Path(__file__).parent / "goldens"
CASES = json.loads((GOLDENS / "face_alignment.json").read_text())


def pattern(width: int, height: int) -> np.ndarray:
    """The reference's synthetic picture: slanted waves, every other square of 24 px darker."""
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    waves = [(3 * x + y), (x + 2 * y + 85), (2 * x + 3 * y + 170)]
    picture = np.stack([abs(wave % 510 - 255) for wave in waves], axis=-1)
    odd = ((x // 24 + y // 24) % 2 == 1)[..., None]
    return np.where(odd, 3 * picture // 4, picture).astype(np.uint8)


def levels_apart(image: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(image, dtype=int) - np.asarray(other, dtype=int))


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, dict, Image.Image, np.ndarray]:
    golden = CASES[request.param]
    picture = pattern(*golden["image_size_wh"])
    assert picture.sum() == golden["image_sum"]
    return request.param, golden, Image.fromarray(picture), np.array(golden["landmarks"])


def test_crop_equals_the_reference(case: tuple[str, dict, Image.Image, np.ndarray]) -> None:
    name, golden, photo, landmarks = case
    crop, alignment = crop_face(photo, landmarks, golden["output_size"])
    np.testing.assert_allclose(alignment.quad, golden["quad"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(alignment.inverse, golden["inverse_transform"], rtol=0, atol=1e-6)
    assert (alignment.size, alignment.photo_size) == (golden["output_size"], photo.size)
    assert levels_apart(crop, Image.open(GOLDENS / f"face_alignment_{name}.webp")).max() <= 1


def test_crop_of_another_size_equals_the_reference() -> None:
    golden = CASES["upright"]
    photo = Image.fromarray(pattern(*golden["image_size_wh"]))
    crop, alignment = crop_face(photo, golden["landmarks"], 512)
    np.testing.assert_allclose(
        alignment.inverse, golden["inverse_transform_512"], rtol=0, atol=1e-6
    )
    middle = Image.open(GOLDENS / "face_alignment_upright_512_middle.webp")
    assert levels_apart(crop.crop((224, 224, 288, 288)), middle).max() <= 1


def test_quad_follows_the_face() -> None:
    landmarks = np.array(CASES["upright"]["landmarks"], dtype=float)
    quad = face_quad(landmarks)
    sides = np.roll(quad, -1, axis=0) - quad
    np.testing.assert_allclose(np.hypot(*sides.T), np.hypot(*sides[0]))  # a square
    np.testing.assert_allclose((sides * np.roll(sides, -1, axis=0)).sum(axis=1), 0, atol=1e-9)
    turn = np.array([[np.cos(2), np.sin(2)], [-np.sin(2), np.cos(2)]])
    np.testing.assert_allclose(face_quad(landmarks @ turn * 3 + 7), quad @ turn * 3 + 7)


def test_inverse_maps_the_corners() -> None:
    quad = face_quad(np.array(CASES["rotated_pad"]["landmarks"]))
    inverse = Alignment(quad, 256, (360, 300)).inverse
    corners = np.array([(0, 0, 1), (0, 256, 1), (256, 256, 1), (256, 0, 1)])
    np.testing.assert_allclose(corners @ inverse.T, quad, atol=1e-9)


@pytest.mark.parametrize("wrong", [np.zeros((5, 2)), np.full((68, 2), np.nan), np.zeros((68, 2))])
def test_wrong_landmarks(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=": pass "):
        crop_face(Image.new("RGB", (64, 64)), wrong)


def test_landmarks_outside_the_photo() -> None:
    landmarks = np.array(CASES["upright"]["landmarks"]) + 5000
    with pytest.raises(ValueError, match="outside the photo: pass"):
        crop_face(Image.new("RGB", (64, 64)), landmarks)


@pytest.mark.parametrize("scale", [0.1, 1, 3, 6])
def test_crops_of_any_scale_agree(scale: float) -> None:
    """The crop of an enlarged photo is the same picture, also where its blur is approximated."""
    landmarks = np.array(CASES["rotated_pad"]["landmarks"])
    small = Image.fromarray(pattern(360, 300)).filter(ImageFilter.GaussianBlur(4))
    size = (round(360 * scale), round(300 * scale))
    photo = small.resize(size, Image.Resampling.BICUBIC)
    crop, _ = crop_face(photo, (landmarks + 0.5) * scale - 0.5, 256)
    expected, _ = crop_face(small, landmarks, 256)
    assert levels_apart(crop, expected).mean() < (4 if scale < 1 else 1.5)


def test_wide_blur_is_close_to_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = CASES["rotated_pad"]
    photo = Image.fromarray(pattern(1440, 1200))
    landmarks = np.array(golden["landmarks"]) * 4
    quick, _ = crop_face(photo, landmarks, 512)
    monkeypatch.setattr(padding, "EXACT_SIGMA", 1000.0)
    exact, _ = crop_face(photo, landmarks, 512)
    apart = levels_apart(quick, exact)
    assert apart.max() <= 5
    assert apart.mean() < 0.5


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    """Four generated faces, 1024 px."""
    torch.manual_seed(3)
    generator = load_generator("cpu")
    with torch.no_grad():
        w = generator.truncate(generator.mapping(torch.randn(4, 512)), 0.7)
        return [images.to_image(generator(one[None])) for one in w]


def compose(
    size: tuple[int, int], places: list[tuple[Image.Image, tuple[int, int, int]]]
) -> Image.Image:
    """Pictures (left, top, side), fading into a soft background at their rims."""
    rng = np.random.default_rng(0)
    soft = Image.fromarray(rng.integers(90, 170, (3, 4, 3), dtype=np.uint8))
    photo = soft.resize(size, Image.Resampling.BICUBIC)
    for face, (left, top, side) in places:
        ramp = Image.fromarray(np.minimum(np.arange(1024), np.arange(1024)[::-1]).clip(0, 64)
                               .astype(np.uint8)[None].repeat(1024, axis=0) * 3)  # fmt: skip
        rim = ImageChops.multiply(ramp, ramp.transpose(Image.Transpose.TRANSPOSE))
        rim = rim.point(lambda level: min(255, level * 2)).resize((side, side))
        photo.paste(face.resize((side, side), Image.Resampling.LANCZOS), (left, top), rim)
    return photo


def square(left: float, top: float, side: float) -> np.ndarray:
    return np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) * side + (left, top)


@pytest.fixture(scope="module")
def portrait(faces: list[Image.Image]) -> Image.Image:
    return compose((1400, 1000), [(faces[0], (420, 200, 640))])


def test_one_face_is_found_where_it_is(portrait: Image.Image, faces: list[Image.Image]) -> None:
    found = find_faces(portrait)
    assert len(found) == 1
    left, top, right, bottom = found[0].box
    assert 420 < left < right < 1060
    assert 200 < top < bottom < 840
    assert found[0].landmarks.shape == (68, 2)
    assert found[0].landmarks.dtype == np.float64
    quad = face_quad(found[0].landmarks)
    assert np.abs(quad - square(420, 200, 640)).max() < 0.05 * 640

    crop, alignment = crop_face(portrait, found[0].landmarks, 512)
    assert alignment.photo_size == (1400, 1000)
    inner = (128, 128, 384, 384)
    original = faces[0].resize((512, 512), Image.Resampling.LANCZOS)
    assert levels_apart(crop.crop(inner), original.crop(inner)).mean() < 16


@pytest.mark.parametrize("scale", [0.18, 0.5, 2.9])
def test_any_size_of_photo(portrait: Image.Image, scale: float) -> None:
    """From 250 px to 12 megapixels, the same face lies at the same place."""
    size = (round(1400 * scale), round(1000 * scale))
    found = find_faces(portrait.resize(size, Image.Resampling.LANCZOS))
    quad = face_quad(found[0].landmarks) / scale
    assert np.abs(quad - square(420, 200, 640)).max() < 0.06 * 640


@pytest.mark.parametrize("degrees", [-25, 25])
def test_a_tilted_face_is_set_upright(faces: list[Image.Image], degrees: float) -> None:
    photo = compose((1000, 1000), [(faces[1], (200, 200, 600))])
    photo = photo.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))
    quad = face_quad(find_faces(photo)[0].landmarks)
    across = quad[3] - quad[0]
    assert -np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(degrees, abs=4)


def test_ten_faces_largest_first(faces: list[Image.Image]) -> None:
    mirrored = [face.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for face in faces]
    ten = (faces + mirrored + faces)[:10]
    sides = [150 + 16 * i for i in range(10)]
    places = [(270 * (i % 5) + 10, 60 + 480 * (i // 5), side) for i, side in enumerate(sides)]
    photo = compose((1400, 1000), list(zip(ten, places, strict=True)))
    found = find_faces(photo)
    assert len(found) == 10
    for face, place in zip(found, places[::-1], strict=True):
        middle = face_quad(face.landmarks).mean(axis=0)
        assert np.abs(middle - square(*place).mean(axis=0)).max() < 0.1 * place[2]


def test_a_small_face_beside_a_large_one(faces: list[Image.Image]) -> None:
    photo = compose((3000, 2000), [(faces[0], (100, 300, 1200)), (faces[1], (2000, 500, 300))])
    boxes = [face.box for face in find_faces(photo)]
    assert len(boxes) == 2
    assert boxes[0][0] < 1300 < 2000 < boxes[1][0]


def test_a_face_that_hog_misses(faces: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align, "_run_hog", lambda copy, scale: [])
    photo = compose((700, 500), [(faces[0], (210, 100, 320))])
    quad = face_quad(find_faces(photo)[0].landmarks)
    assert np.abs(quad - square(210, 100, 320)).max() < 0.08 * 320


@pytest.mark.parametrize("size", [(32, 32), (32, 3000), (3000, 33), (400, 300)])
def test_no_face(size: tuple[int, int]) -> None:
    with pytest.raises(NoFaceFound, match="^No face found: try "):
        find_faces(compose(size, []))


def test_boxes_of_one_face_are_merged() -> None:
    boxes = [((0, 0, 10, 10), 1.0), ((1, 0, 11, 10), 2.0), ((20, 0, 30, 10), 0.5)]
    assert align._distinct(boxes) == [boxes[1], boxes[2]]


def test_threads_share_the_detector(portrait: Image.Image) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(find_faces, [portrait] * 4))
    for found in results[1:]:
        np.testing.assert_array_equal(found[0].landmarks, results[0][0].landmarks)


def test_a_forked_process_can_look_for_faces_too() -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with align._DLIB:
            held.set()
            done.wait(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        os._exit(0 if align._DLIB.acquire(timeout=10) else 1)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert align._DLIB.acquire(timeout=1)
    align._DLIB.release()
