"""Back into the photo: the reference's numbers, the way there and back, where nothing changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from sdflow.align import Alignment, crop_face, crop_square
from sdflow.detail import Carried
from sdflow.images import to_tensor
from sdflow.networks.parsing import CLASSES
from sdflow.paste import (
    BICUBIC,
    BILINEAR,
    composing_size,
    paste,
    paste_square,
    person_mask,
    warp_to_photo,
)
from tests.drawn import FACE, classes_of

GOLDENS = Path(__file__).parent / "goldens"
CASES = json.loads((GOLDENS / "face_alignment.json").read_text())
POOLED = np.load(GOLDENS / "face_alignment.npz")


def pattern(width: int, height: int) -> Image.Image:
    """The reference's synthetic picture: slanted waves, every other square of 24 px darker."""
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    waves = [(3 * x + y), (x + 2 * y + 85), (2 * x + 3 * y + 170)]
    picture = np.stack([abs(wave % 510 - 255) for wave in waves], axis=-1)
    odd = ((x // 24 + y // 24) % 2 == 1)[..., None]
    return Image.fromarray(np.where(odd, 3 * picture // 4, picture).astype(np.uint8))


def turned_square(
    middle: tuple[float, float], side: float, degrees: float, photo_size: tuple[int, int]
) -> Alignment:
    """A square of a photo, as a face's crop may lie in it."""
    turn = np.deg2rad(degrees)
    x = np.array([np.cos(turn), np.sin(turn)]) * side / 2
    y = np.array([-np.sin(turn), np.cos(turn)]) * side / 2
    quad = np.array(middle) + np.stack([-x - y, -x + y, x + y, x - y])
    return Alignment(quad, 256, photo_size)


def soft_picture(width: int, height: int, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def apart(image: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(image, dtype=int) - np.asarray(other, dtype=int))


# ---- the plain way


def pasted_negative(name: str) -> tuple[Image.Image, Image.Image, Image.Image]:
    """The pattern, what the reference's case pastes into it, and the mask."""
    golden = CASES[name]
    photo = pattern(*golden["image_size_wh"])
    _, alignment = crop_face(photo, np.array(golden["landmarks"]), 256)
    aligned = np.asarray(Image.open(GOLDENS / f"face_alignment_{name}.webp").convert("RGB"))
    pasted = paste_square(photo, Image.fromarray(255 - aligned), alignment)
    return photo, pasted.image, pasted.mask


@pytest.mark.parametrize("name", ["upright", "rotated_pad"])
def test_the_plain_way_equals_the_reference(name: str) -> None:
    photo, pasted, mask = pasted_negative(name)
    expected = Image.open(GOLDENS / f"face_alignment_{name}_pasted.webp")
    levels = apart(pasted, expected)
    assert levels.max() <= 4 and levels.mean() <= 0.1  # what its own versions differ by
    assert apart(expected, photo).mean() > 5  # there was something to do
    untouched = np.asarray(mask) == 0
    assert 0.1 < untouched.mean() < 0.95
    assert not apart(pasted, photo)[untouched].any()


@pytest.mark.parametrize("name", ["large_shrink", "shrink_pad"])
def test_in_a_large_photo_its_block_means_equal_the_reference(name: str) -> None:
    expected = POOLED[f"{name}_pasted_pool16"].astype(float)
    rows, columns = expected.shape[:2]
    pixels = np.asarray(pasted_negative(name)[1], dtype=float)[: rows * 16, : columns * 16]
    found = pixels.reshape(rows, 16, columns, 16, 3).mean((1, 3))
    assert np.abs(found - expected).max() <= 1.2 and np.abs(found - expected).mean() < 0.2


def test_a_crop_of_any_size_is_pasted_whole() -> None:
    photo = Image.new("RGB", (300, 240), (40, 80, 120))
    alignment = turned_square((150, 120), 120, 15, photo.size)
    for side in (64, 1024):
        pasted = paste_square(photo, Image.new("RGB", (side, side), (200, 100, 50)), alignment)
        assert pasted.image.getpixel((150, 120)) == (200, 100, 50)
        assert pasted.image.getpixel((10, 10)) == (40, 80, 120)
        assert pasted.mask.getpixel((150, 120)) == 255 and pasted.mask.getpixel((10, 10)) == 0
    assert photo.getpixel((150, 120)) == (40, 80, 120)


# ---- there and back


@pytest.mark.parametrize("resample", [BILINEAR, BICUBIC])
@pytest.mark.parametrize(
    ("side", "degrees", "size"), [(170, 0, 256), (170, 23, 256), (170, -40, 512), (300, 8, 256)]
)
def test_what_is_cropped_and_warped_back_lies_where_it_was(
    resample: Image.Resampling, side: float, degrees: float, size: int
) -> None:
    photo = soft_picture(420, 400, 1)
    alignment = turned_square((205.3, 196.8), side, degrees, photo.size)
    crop, alignment = crop_square(photo, alignment.quad, size)
    box = (140, 130, 270, 260)  # inside the square
    if side == 170:
        box = (165, 160, 245, 235)
    back = warp_to_photo(np.asarray(crop, np.float32), alignment, box, resample)
    expected = np.asarray(photo.crop(box), np.float32)
    assert back.shape == expected.shape
    assert np.abs(back - expected).mean() < 1  # half a pixel off would make about 2
    middle = slice(8, -8)

    def error(x: int, y: int) -> float:
        moved = np.roll(back, (y, x), (0, 1))
        return float(np.square(moved - expected)[middle, middle].mean())

    here = error(0, 0)
    assert all(error(x, y) > 5 * here for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)))


def test_nothing_is_drawn_beyond_the_square() -> None:
    alignment = turned_square((60, 50), 40, 0, (120, 100))
    drawn = warp_to_photo(np.ones((64, 64, 2), np.float32), alignment, (0, 0, 120, 100), BILINEAR)
    assert drawn.shape == (100, 120, 2)
    inside = np.zeros((100, 120), bool)
    inside[31:69, 41:79] = True
    assert (drawn[inside] > 0.99).all() and not drawn[28:72, 38:82].all()
    outside = np.ones((100, 120), bool)
    outside[28:73, 38:83] = False
    assert not drawn[outside].any()


def test_a_larger_picture_is_shrunk_without_aliasing() -> None:
    fine = np.indices((1024, 1024)).sum(0)[..., None] % 2 * 255.0  # a chess board of pixels
    alignment = turned_square((100, 100), 96.3, 11, (200, 200))
    drawn = warp_to_photo(fine.astype(np.float32), alignment, (70, 70, 130, 130), BICUBIC)
    assert np.abs(drawn - 127.5).max() < 2


@pytest.mark.parametrize(("side", "size"), [(10, 256), (300.2, 304), (512, 512), (9000, 2048)])
def test_a_face_is_composed_in_as_many_pixels_as_the_photo_has(side: float, size: int) -> None:
    found = composing_size(turned_square((0, 0), side, 30, (100, 100)))
    assert found == size and found % 8 == 0


# ---- the mask


HAIR = slice(40, 100), slice(70, 186)


def test_the_mask_covers_face_and_hair_before_and_after() -> None:
    before = classes_of(hair=HAIR, face=FACE)
    after = classes_of(hair=(slice(40, 220), slice(50, 206)), face=FACE)
    mask = person_mask(before, before, CLASSES)
    assert mask.shape == (1, 1, 256, 256) and mask.min() == 0 and mask.max() <= 1
    person = before[0, CLASSES.index("face")] + before[0, CLASSES.index("hair")] > 0
    assert mask[0, 0][person].min() > 0.95
    assert mask[0, 0, 230:].max() == 0 and mask[0, 0, :, :40].max() == 0
    values = mask[0, 0, 150, 60:90]
    assert ((values > 0.1) & (values < 0.9)).any()  # feathered
    for masks in (person_mask(before, after, CLASSES), person_mask(after, before, CLASSES)):
        assert masks[0, 0, 60:210, 60:196].min() > 0.95


def test_the_mask_ends_before_the_crop_does() -> None:
    everything = classes_of(hair=(slice(0, 256), slice(0, 256)))
    mask = person_mask(everything, everything, CLASSES)[0, 0]
    assert mask[128, 128] == 1
    for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert not edge.any()


def test_what_is_in_front_of_the_face_stays_in_front() -> None:
    hand = slice(150, 200), slice(100, 140)
    before = classes_of(hair=HAIR, face=FACE, occluder=hand)
    mask = person_mask(before, classes_of(hair=HAIR, face=FACE), CLASSES)[0, 0]
    assert mask[152:198, 102:138].max() == 0
    assert mask[120, 128] > 0.95 and mask[170, 160] > 0.95


# ---- pasting


def drawn_square(size: int = 256) -> tuple[Image.Image, Alignment, Tensor, Tensor]:
    """A photo, a place in it, its crop and a round mask."""
    photo = soft_picture(400, 360, 2)
    crop, alignment = crop_square(photo, turned_square((190, 170), 200, 17, photo.size).quad, size)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 256), torch.linspace(-1, 1, 256), indexing="ij")
    mask = ((0.7 - (x**2 + y**2).sqrt()) / 0.2).clamp(0, 1)[None, None]
    return photo, alignment, to_tensor(crop), mask


def test_a_crop_that_did_not_change_leaves_the_photo_as_it_is() -> None:
    photo, alignment, crop, mask = drawn_square()
    ones = torch.ones_like(crop[:, :1])
    pasted = paste(photo, crop, Carried(crop, ones), mask, alignment)
    assert not apart(pasted.image, photo).any()
    assert np.asarray(pasted.mask).max() == 255
    # Drawn anew, the same crop is resampled, and still the same picture.
    pasted = paste(photo, crop, Carried(crop, 0 * ones), mask, alignment)
    assert 0 < apart(pasted.image, photo).max() <= 6


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_only_pixels_of_the_mask_change_and_they_show_the_edit(share: float) -> None:
    photo, alignment, crop, mask = drawn_square()
    edited = (0.6 * crop + 0.2).clamp(-1, 1)
    whole = Carried(edited, torch.full_like(crop[:, :1], share))
    pasted = paste(photo, crop, whole, mask, alignment)
    changed, cover = apart(pasted.image, photo), np.asarray(pasted.mask)
    assert pasted.image.size == pasted.mask.size == photo.size and pasted.mask.mode == "L"
    assert not changed[cover == 0].any()
    assert 0.1 < (cover == 0).mean() < 0.9 and changed[cover == 255].mean() > 10
    pixels = np.asarray(photo, float)
    wanted = (0.6 * (pixels / 127.5 - 1) + 0.2 + 1) * 127.5
    sure = cover == 255
    assert np.abs(np.asarray(pasted.image) - wanted)[sure].mean() < 1


def test_half_a_mask_mixes_half() -> None:
    photo, alignment, crop, mask = drawn_square()
    white = Carried(torch.ones_like(crop), torch.zeros_like(crop[:, :1]))
    pasted = paste(photo, crop, white, torch.full_like(mask, 0.5), alignment)
    wanted = (np.asarray(photo, float) + 255) / 2
    inner = np.s_[120:220, 140:240]
    assert np.abs(np.asarray(pasted.image, float) - wanted)[inner].max() <= 1


def test_a_square_that_reaches_beyond_the_photo() -> None:
    photo = soft_picture(300, 200, 3)
    crop, alignment = crop_square(photo, turned_square((20, 30), 160, 0, photo.size).quad, 256)
    white = Carried(torch.ones(1, 3, 256, 256), torch.zeros(1, 1, 256, 256))
    mask = torch.ones(1, 1, 256, 256)
    pasted = paste(photo, to_tensor(crop), white, mask, alignment)
    assert pasted.image.size == photo.size and pasted.image.getpixel((3, 3)) == (255, 255, 255)
    assert not apart(pasted.image, photo)[:, 110:].any()
    plain = paste_square(photo, Image.new("RGB", (256, 256), "white"), alignment)
    assert plain.image.getpixel((30, 30)) == (255, 255, 255)
    assert not apart(plain.image, photo)[:, 110:].any()


def test_another_photo_is_refused() -> None:
    photo, alignment, crop, mask = drawn_square()
    other = photo.crop((0, 0, 300, 300)).filter(ImageFilter.BLUR)
    whole = Carried(crop, torch.ones_like(crop[:, :1]))
    with pytest.raises(ValueError, match=r"300 x 300 .* 400 x 360\. Give the same photo\.$"):
        paste(other, crop, whole, mask, alignment)
    with pytest.raises(ValueError, match="Give the same photo"):
        paste_square(other, Image.new("RGB", (256, 256)), alignment)
