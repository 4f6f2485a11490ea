"""Face files, what they refuse, and the token store; made-up faces, no networks."""

from __future__ import annotations

import dataclasses
import io
import json
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from sdflow import faces
from sdflow.align import Alignment
from sdflow.faces import (
    Face,
    FaceFileError,
    FaceStore,
    UnknownFace,
    encode_crop,
    face_to_bytes,
    is_face_file,
    load_face,
    save_face,
)

NAMES = ("young", "smiling")


@cache
def noisy_crop() -> bytes:
    """The picture that is hardest to compress."""
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    return encode_crop(Image.fromarray(noise))


def make_face(**changes: object) -> Face:
    rng = np.random.default_rng(0)
    quad = np.array([[10.25, 20.5], [10.25, 220.5], [210.25, 220.5], [210.25, 20.5]])
    face = Face(
        w=rng.standard_normal((18, 512)).astype(np.float32),
        z=rng.standard_normal((18, 512)).astype(np.float32),
        c=np.array([0.25, 0.75], dtype=np.float32),
        attributes=NAMES,
        model_set="mobile",
        round_trip_error=1e-6,
        alignment=Alignment(quad, 1024, (640, 480)),
        crop=noisy_crop(),
        faces_found=3,
    )
    return dataclasses.replace(face, **changes)


@pytest.fixture(scope="module")
def face() -> Face:
    return make_face()


def parts(face: Face) -> tuple[dict[str, np.ndarray], dict[str, str], dict]:
    """A face file's tensors, metadata and notes, to be spoilt."""
    quad = face.alignment.quad
    crop = np.frombuffer(face.crop, dtype=np.uint8)
    data = face_to_bytes(face)
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = {"w": face.w, "z": face.z, "c": face.c, "quad": quad, "crop": crop}
    return tensors, metadata, json.loads(metadata["face"])


# ---- the file


def test_a_file_gives_the_face_back(face: Face, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "f.safetensors"
    written = save_face(face, path)
    assert written == path.stat().st_size <= faces.LARGEST_FILE
    for source in (path, str(path), path.read_bytes()):
        back = load_face(source)
        for name in ("w", "z", "c"):
            np.testing.assert_array_equal(getattr(back, name), getattr(face, name))
            assert getattr(back, name).dtype == np.float32
        np.testing.assert_array_equal(back.alignment.quad, face.alignment.quad)
        assert back.alignment.size == 1024 and back.alignment.photo_size == (640, 480)
        for name in ("attributes", "model_set", "round_trip_error", "crop", "seed", "faces_found"):
            assert getattr(back, name) == getattr(face, name)
        assert back.semantics == {"young": 0.25, "smiling": 0.75}
        assert back.picture.size[0] == back.picture.size[1] <= 1024


def test_a_random_face_has_a_seed_and_no_photo() -> None:
    face = make_face(alignment=None, crop=None, seed=7, faces_found=0)
    back = load_face(face_to_bytes(face))
    assert (back.alignment, back.crop, back.picture, back.seed) == (None, None, None, 7)
    assert len(face_to_bytes(face)) < 80_000


def test_the_picture_is_bounded_and_good() -> None:
    x, y = np.meshgrid(np.linspace(0, 255, 1024), np.linspace(0, 255, 1024))
    smooth = np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)
    data = encode_crop(Image.fromarray(smooth))
    back = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert len(data) < faces.LARGEST_CROP and back.shape == (1024, 1024, 3)
    assert np.abs(back - smooth).mean() < 2


def test_it_is_told_apart_from_a_photo(face: Face, tmp_path: Path) -> None:
    renamed = tmp_path / "face.bin"
    renamed.write_bytes(face_to_bytes(face))
    picture = tmp_path / "photo.png"
    Image.new("RGB", (40, 40)).save(picture)
    assert is_face_file(renamed) and is_face_file(face_to_bytes(face))
    assert is_face_file("nowhere/face.safetensors")
    for other in (picture, picture.read_bytes(), tmp_path, "nowhere.png", b"", None, 7):
        assert not is_face_file(other)


def test_another_suffix_is_refused(face: Face, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"End it in \.safetensors"):
        save_face(face, tmp_path / "face.pt")


TUNING = {
    "blocks.0.conv1.left": np.arange(24, dtype=np.float16).reshape(6, 4) / 10,
    "head.bias": np.full(12, -0.5, np.float16),
}


def test_tuning_confidence_and_warnings_come_back(tmp_path: Path) -> None:
    told = ("The photo is dark: brighten it.", "Ümläute too: use “them”.")
    face = make_face(tuning=TUNING, confidence=0.25, warnings=told)
    save_face(face, tmp_path / "f.safetensors")
    back = load_face(tmp_path / "f.safetensors")
    assert (back.confidence, back.warnings) == (0.25, told)
    assert back.tuning.keys() == TUNING.keys()
    for name, array in TUNING.items():
        assert back.tuning[name].dtype == np.float16
        np.testing.assert_array_equal(back.tuning[name], array)
    plain = load_face(face_to_bytes(make_face()))
    assert (plain.confidence, plain.warnings, plain.tuning) == (None, (), None)
    assert face.nbytes - make_face().nbytes == sum(array.nbytes for array in TUNING.values())


def test_a_face_file_of_before_is_read(face: Face) -> None:
    tensors, metadata, notes = parts(face)
    del notes["confidence"], notes["warnings"]
    back = load_face(save(tensors, metadata | {"face": json.dumps(notes)}))
    assert (back.confidence, back.warnings, back.tuning) == (None, (), None)
    np.testing.assert_array_equal(back.w, face.w)


def test_the_largest_tuning_fits_into_a_face_file() -> None:
    noise = np.random.default_rng(0).standard_normal(faces.LARGEST_TUNING // 2)
    face = make_face(tuning={"all": noise.astype(np.float16)})
    data = face_to_bytes(face)
    assert len(data) <= faces.LARGEST_FILE
    np.testing.assert_array_equal(load_face(data).tuning["all"], face.tuning["all"])


# ---- what is refused


def refused(data: bytes | Path, reason: str) -> None:
    with pytest.raises(FaceFileError, match=reason) as caught:
        load_face(data)
    told = str(caught.value)
    assert told.endswith(".") and len(told) < 300 and "\n" not in told
    assert any(word in told for word in ("Open the photo again", "Choose", "Check"))


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"no face at all" * 9, b"\xff" * 64, b"\2\0\0\0\0\0\0\0{}", b"{}" * 200]
)
def test_other_bytes(data: bytes) -> None:
    refused(data, "no face file, or a damaged one|holds no face")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "There is no face file")
    refused(tmp_path, "cannot be read")
    refused(Path("nul\0byte"), "cannot be read")


def test_a_large_file(tmp_path: Path) -> None:
    refused(b"\0" * (faces.LARGEST_FILE + 1), "no face file")
    path = tmp_path / "large.safetensors"
    path.write_bytes(b"\0" * 2_000_000)
    refused(path, "no face file")


def test_every_cut_is_noticed(face: Face) -> None:
    data = face_to_bytes(face)
    for length in (*range(0, 600, 50), len(data) // 2, len(data) - 1):
        refused(data[:length], "damaged|no face")


def test_foreign_safetensors() -> None:
    refused(save({"weight": np.zeros(3, np.float32)}), "holds no face")
    refused(save({"w": np.zeros(3, np.float32)}, {"format": "pt"}), "holds no face")


def test_another_version(face: Face) -> None:
    tensors, metadata, _ = parts(face)
    refused(save(tensors, metadata | {"version": "2"}), "has version '2', this program reads 1")


SPOILT = {
    "w missing": ("w", None),
    "w nan": ("w", np.full((18, 512), np.nan, np.float32)),
    "w infinite": ("w", np.full((18, 512), np.inf, np.float32)),
    "w huge": ("w", np.full((18, 512), 1e30, np.float32)),
    "w short": ("w", np.zeros((17, 512), np.float32)),
    "w flat": ("w", np.zeros(18 * 512, np.float32)),
    "w double": ("w", np.zeros((18, 512))),
    "z nan": ("z", np.full((18, 512), np.nan, np.float32)),
    "c too many": ("c", np.zeros(3, np.float32)),
    "c far": ("c", np.full(2, 100, np.float32)),
    "quad nan": ("quad", np.full((4, 2), np.nan)),
    "crop no picture": ("crop", np.zeros(50, np.uint8)),
    "crop empty": ("crop", np.zeros(0, np.uint8)),
    "crop square": ("crop", np.zeros((5, 5), np.uint8)),
    "tuning too large": ("tuning.a", np.zeros(faces.LARGEST_TUNING // 2 + 1, np.float16)),
    "tuning single": ("tuning.a", np.zeros(5, np.float32)),
    "tuning integers": ("tuning.a", np.zeros(5, np.int16)),
    "tuning nan": ("tuning.a", np.full(5, np.nan, np.float16)),
    "tuning infinite": ("tuning.a", np.full(5, np.inf, np.float16)),
    "tuning far": ("tuning.a", np.full(5, 2 * faces.TUNED_BY, np.float16)),
    "tuning empty": ("tuning.a", np.zeros((0, 5), np.float16)),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_tensors(face: Face, name: str) -> None:
    tensors, metadata, _ = parts(face)
    key, value = SPOILT[name]
    tensors = {k: v for k, v in (tensors | {key: value}).items() if v is not None}
    refused(save(tensors, metadata), "damaged")


def test_a_crop_that_is_not_square(face: Face) -> None:
    tensors, metadata, _ = parts(face)
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "PNG")
    tensors["crop"] = np.frombuffer(stream.getvalue(), dtype=np.uint8)
    refused(save(tensors, metadata), "64 x 48")


@pytest.mark.parametrize(
    "change",
    [{"attributes": None}, {"attributes": [1, 2]}, {"attributes": "ab"}, {"model_set": 5},
     {"model_set": ""}, {"seed": -1}, {"seed": "1"}, {"seed": 2**70}, {"faces_found": None},
     {"round_trip_error": float("nan")}, {"round_trip_error": "x"}, {"crop_size": 0},
     {"crop_size": None}, {"photo_size": [0, 10]}, {"photo_size": 5}, {"photo_size": [1]},
     {"confidence": 2}, {"confidence": -0.1}, {"confidence": float("nan")}, {"confidence": [1]},
     {"confidence": "0.5"}, {"warnings": None}, {"warnings": 5}, {"warnings": [1]},
     {"warnings": ["a" * 501]}, {"warnings": ["a."] * 21}, {"warnings": [["a."]]},
     {"warnings": "letters"}],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_spoilt_notes(face: Face, change: dict) -> None:
    tensors, metadata, notes = parts(face)
    if change == {"attributes": "ab"}:  # two letters are two names
        tensors["c"] = np.zeros(3, np.float32)
    refused(save(tensors, metadata | {"face": json.dumps(notes | change)}), "damaged")


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", "{", "[" * 100_000, "null"])
def test_notes_that_are_none(face: Face, text: str) -> None:
    tensors, metadata, _ = parts(face)
    del tensors["crop"]
    refused(save(tensors, metadata | {"face": text}), "damaged|no face")


# ---- the store


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def small_face() -> Face:
    return make_face(crop=None)


def test_a_token_finds_its_face(clock: Clock) -> None:
    store = FaceStore(clock=clock)
    face = small_face()
    tokens = [store.add(face), store.add(small_face())]
    assert store.get(tokens[0]) is face and len(store) == 2
    assert len(set(tokens)) == 2 and all(len(token) >= 32 for token in tokens)
    store.discard(tokens[0])
    store.discard("none")
    assert len(store) == 1


@pytest.mark.parametrize("token", ["", "guess", None, 7, ["a"]])
def test_an_unknown_token_says_what_to_do(clock: Clock, token: object) -> None:
    with pytest.raises(UnknownFace, match="Open the photo again") as caught:
        FaceStore(clock=clock).get(token)
    assert str(caught.value).startswith("This face")  # no quotes, as a KeyError's would have


def test_an_unused_face_is_forgotten(clock: Clock) -> None:
    store = FaceStore(seconds=100, clock=clock)
    used, unused = store.add(small_face()), store.add(small_face())
    clock.now = 90
    store.get(used)
    clock.now = 150
    assert store.get(used) and len(store) == 1
    with pytest.raises(UnknownFace):
        store.get(unused)


def test_the_longest_unused_makes_room(clock: Clock) -> None:
    face = small_face()
    store = FaceStore(largest_bytes=3 * face.nbytes, clock=clock)
    tokens = [store.add(face) for _ in range(3)]
    store.get(tokens[0])
    tokens.append(store.add(face))
    assert len(store) == 3
    with pytest.raises(UnknownFace):
        store.get(tokens[1])
    assert all(store.get(token) is face for token in (tokens[0], *tokens[2:]))


def test_a_face_larger_than_the_store_is_kept_alone(clock: Clock) -> None:
    store = FaceStore(largest_bytes=10, clock=clock)
    store.add(small_face())
    last = store.add(small_face())
    assert len(store) == 1 and store.get(last)


def test_many_threads() -> None:
    face = small_face()
    store = FaceStore(largest_bytes=5 * face.nbytes)
    failed: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(200):
                token = store.add(face)
                try:
                    assert store.get(token) is face
                except UnknownFace:
                    pass  # others pushed it out
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(store) <= 5
