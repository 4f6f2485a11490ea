"""The parser's training: merged labels, painted occluders, overlap scores, a run of two steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sdflow.evaluation.parsing import HEAD, agreement, count_pairs, milliseconds, overlaps
from sdflow.networks.parsing import CLASSES, ParsingNetwork
from sdflow.training import bisenet
from sdflow.training.bank import write_whole
from sdflow.training.drawing import Layer, Scene
from sdflow.training.occluders import FAMILIES, OCCLUDER, UNSEEN, Family, mask, occlude
from sdflow.training.parsing import CLASS_WEIGHTS, augment, losses, move, paint, train_parsing
from sdflow.training.parsing_labels import (
    MERGED,
    chosen_shards,
    held_out_shards,
    main_person,
    map_path,
    merge,
    read_maps,
)

BACKGROUND, FACE, HAIR = 0, 1, 2


def drawn_map() -> np.ndarray:
    """A face (256, 256) with hair above it."""
    classes = np.zeros((256, 256), np.uint8)
    classes[40:110, 64:192] = HAIR
    classes[90:220, 80:176] = FACE
    return classes


def scene(seed: int = 0) -> Scene:
    pictures = np.random.default_rng(7).random((2, 256, 256, 3), np.float32)
    return Scene(pictures[0], drawn_map(), pictures[1], drawn_map(),
                 np.random.default_rng(seed))  # fmt: skip


def test_the_teachers_classes_are_merged() -> None:
    assert len(MERGED) == bisenet.CLASSES
    ours = merge(torch.arange(bisenet.CLASSES))
    names = [CLASSES[k] for k in ours]
    assert ours.dtype == torch.uint8 and names == list(MERGED)
    for number, name in ((bisenet.SKIN, "face"), (bisenet.GLASSES, "glasses"),
                         (bisenet.HAIR, "hair"), (bisenet.HAT, "hat"), (9, "ears"),
                         (14, "neck"), (15, "neck"), (16, "background")):  # fmt: skip
        assert names[number] == name
    assert "occluder" not in names


def test_only_the_person_in_the_middle_stays() -> None:
    maps = torch.from_numpy(drawn_map())[None].clone()
    maps[0, 230:, 100:150] = CLASSES.index("neck")  # parted from the face by a scarf
    alone = maps.clone()
    maps[0, 60:140, :40] = HAIR  # a neighbour
    assert torch.equal(main_person(maps), alone)
    assert torch.equal(main_person(alone), alone)


@pytest.mark.parametrize("family", sorted({*FAMILIES, *UNSEEN}, key=lambda f: f.__name__))
def test_an_occluder_is_labelled_where_it_hides_the_person(family: Family) -> None:
    changed = 0
    for seed in range(6):
        before = scene(seed)
        crop, classes = occlude(before, (family,))
        assert crop.shape == (256, 256, 3) and crop.dtype == np.float32
        assert crop.min() >= 0 and crop.max() <= 1
        painted = classes != before.classes
        changed += painted.sum()
        assert (classes[painted] == OCCLUDER).all()
        assert (before.classes[painted] != BACKGROUND).all()
    assert changed > 50


def test_exactly_the_painted_pixels_are_labelled() -> None:
    cover = np.zeros((256, 256), np.float32)
    cover[150:200, 20:120] = 1  # over face and background

    def square(_: Scene) -> list[Layer]:
        return [Layer(cover, np.zeros((256, 256, 3), np.float32))]

    for seed in range(8):
        before = scene(seed)
        crop, classes = occlude(before, (square,))
        person = before.classes != BACKGROUND
        labelled = classes == OCCLUDER
        blur = np.zeros((256, 256), bool)
        for shift in range(-2, 3):  # its edge may be out of focus
            for axis in (0, 1):
                blur |= np.roll(cover > 0, shift, axis) != (cover > 0)
        expected = (cover > 0) & person
        assert (labelled == expected)[~blur].all()
        assert (classes[~labelled] == before.classes[~labelled]).all()
        assert (crop[(cover > 0) & ~blur] == 0).all()


def test_what_would_hide_the_whole_face_is_left_out() -> None:
    def wall(_: Scene) -> list[Layer]:
        return [Layer(np.ones((256, 256), np.float32), np.zeros((256, 256, 3), np.float32))]

    before = scene()
    crop, classes = occlude(before, (wall,))
    assert crop is before.crop and classes is before.classes


def test_a_mask_lies_on_the_face_alone() -> None:
    classes = occlude(scene(), (mask,))[1]
    assert (drawn_map()[classes == OCCLUDER] == FACE).all() and (classes[:120] != OCCLUDER).all()


def test_crops_and_classes_move_together() -> None:
    maps = torch.from_numpy(np.stack([drawn_map()] * 4))
    images = (maps == FACE).float()[:, None].expand(-1, 3, -1, -1) * 2 - 1
    moved, classes = move(images, maps, np.random.default_rng(0))
    assert not torch.equal(classes, maps)
    agree = (moved[:, 0] > 0) == (classes == FACE)
    assert agree.float().mean() > 0.995


def test_augmented_crops_are_pictures() -> None:
    images = torch.randint(0, 256, (4, 3, 256, 256), dtype=torch.uint8)
    maps = torch.from_numpy(np.stack([drawn_map()] * 4))
    crops, classes = augment(images, maps, np.random.default_rng(1))
    assert crops.shape == images.shape and crops.abs().max() <= 1
    assert classes.shape == maps.shape and classes.dtype == torch.int64
    again = augment(images, maps, np.random.default_rng(1))
    assert torch.equal(again[0], crops) and torch.equal(again[1], classes)
    same = paint(crops, maps, np.zeros(4, int), np.random.default_rng(1))
    assert torch.equal(same[0], crops) and torch.equal(same[1], maps)


def test_losses_against_the_formula() -> None:
    torch.manual_seed(0)
    scores, classes = torch.randn(2, 8, 5, 5), torch.randint(0, 3, (2, 5, 5))
    weights = torch.tensor(CLASS_WEIGHTS)
    entropy, overlap = losses(scores, classes, weights)
    expected = torch.nn.functional.cross_entropy(scores, classes, weights)
    torch.testing.assert_close(entropy, expected)
    shares, dice = scores.softmax(1), []
    for k in range(3):
        true = (classes == k).float()
        dice.append(2 * (shares[:, k] * true).sum() / (shares[:, k].sum() + true.sum()))
    torch.testing.assert_close(overlap, 1 - torch.stack(dice).mean())


def test_overlap_of_a_case_by_hand() -> None:
    true = torch.tensor([[0, 0, 1, 1], [2, 2, 1, 0]])
    predicted = torch.tensor([[0, 1, 1, 1], [1, 2, 2, 0]])
    found = overlaps(count_pairs(predicted, true))
    assert found["background"] == pytest.approx(2 / 3)
    assert found["face"] == pytest.approx(2 / 5)
    assert found["hair"] == pytest.approx(1 / 3)
    assert found[HEAD] == pytest.approx(5 / 6)
    assert found["hat"] is None and found["false occluder"] == 0
    assert found["mean"] == pytest.approx((2 / 3 + 2 / 5 + 1 / 3) / 3)
    predicted[0, 2] = OCCLUDER  # one of the five pixels of the person
    found = overlaps(count_pairs(predicted, true))
    assert found["occluder"] is None and found["false occluder"] == pytest.approx(1 / 5)


def test_a_network_that_says_face_everywhere() -> None:
    def network(crops: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros(len(crops), 8, 256, 256)
        scores[:, FACE] = 1
        return scores

    maps = torch.zeros(21, 256, 256, dtype=torch.uint8)
    maps[:, 128:] = FACE
    found = agreement(network, torch.zeros(21, 3, 256, 256), maps)
    assert found["face"] == 0.5 and found["background"] == 0.0 and found["mean"] == 0.25


def test_two_steps_and_going_on(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    (folder / "parsing").mkdir(parents=True)
    maps = torch.from_numpy(np.stack([drawn_map()] * 3))
    for name in ("generated-00000", "generated-00019", "real-00000", "real_held_out-00000"):
        shard = folder / f"{name}.safetensors"
        image = torch.randint(0, 256, (3, 3, 256, 256), dtype=torch.uint8)
        write_whole({"image": image}, shard, {})
        write_whole({"map": maps}, map_path(shard), {})
    chosen = chosen_shards(folder, 10)
    assert [p.stem for p in chosen] == ["generated-00000", "real-00000"]
    assert [p.stem for p in held_out_shards(folder)] == ["generated-00019", "real_held_out-00000"]
    assert torch.equal(read_maps(chosen), torch.cat([maps, maps]))

    def train() -> ParsingNetwork:
        return train_parsing(folder, tmp_path / "run", 10, steps=2, batch=2, precision="no")

    first, again = train().state_dict(), train().state_dict()  # the second one has nothing to do
    assert all(torch.equal(first[key], again[key]) for key in first)
    ParsingNetwork().load_state_dict(first)
    assert milliseconds(ParsingNetwork(), 1)["milliseconds"] > 0
