"""The service behind the page: loading that fails and recovers, files that go again."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdflow.faces import READ_AGAIN, FaceFileError, UnknownFace, face_to_bytes
from sdflow.images import BadImage
from sdflow.invert import Step
from sdflow.manifest import WeightsError
from sdflow.marking import GENERATED
from sdflow.page.files import remove_old
from sdflow.page.loading import NOT_LOADED
from sdflow.page.photos import GONE, Photos
from sdflow.page.service import (
    KEPT,
    NO_FACE,
    NO_PHOTO,
    NO_PLACE,
    OTHER_PHOTO,
    Service,
)
from sdflow.page.turns import Turns
from sdflow.pipeline import Editor


def test_loading_fails_and_is_tried_again(
    tmp_path: Path, editor: Editor, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [WeightsError("/secret/path is damaged."), None]

    def load() -> Editor:
        if error := outcomes.pop(0):
            raise error
        return editor

    service = Service(tmp_path, load)
    assert service.status == "loading"
    with pytest.raises(WeightsError, match=NOT_LOADED):
        _ = service.editor
    assert service.status == "failed" and "/secret/path" in capsys.readouterr().err
    assert service.editor is editor and service.status == "ready"
    assert service.editor is editor and not outcomes


def test_attributes_are_known_before_the_models(tmp_path: Path, editor: Editor) -> None:
    def load() -> Editor:
        raise AssertionError("nobody asked for the models")

    assert Service(tmp_path, load).attributes == editor.attributes


def test_missing_faces_and_photos_are_told(tmp_path: Path, editor: Editor) -> None:
    service = Service(tmp_path, lambda: editor)
    with pytest.raises(BadImage, match=NO_PHOTO):
        service.open(None)
    with pytest.raises(ValueError, match=NO_FACE):
        service.edit(None, {})


def test_a_pair_is_written_for_the_eye_and_the_download(tmp_path: Path, editor: Editor) -> None:
    service = Service(tmp_path, lambda: editor)
    token = service.random(3).token
    pictures, face = service.pictures, service.face(token)
    edits = [service.edit(token, {"smiling": strength}, 512) for strength in (0.2, 0.9)]
    pairs = [pictures.pair(token, edited) for edited in edits]
    assert pairs[0][0] == pairs[1][0] and pairs[0][1] != pairs[1][1]
    assert [Image.open(file).size for file in pairs[0]] == [(1024, 1024), (512, 512)]
    assert token not in str(pairs)
    for suffix, form in ((".png", "PNG"), (".webp", "WEBP"), (".jpg", "JPEG")):
        file = pictures.download(edits[0].image, face, token, suffix)
        assert file.name == f"sdflow-edit{suffix}"
        with Image.open(file) as image:
            assert image.format == form and GENERATED.encode() in image.info["xmp"]
    with pytest.raises(ValueError, match="Choose .png"):
        pictures.download(edits[0].image, face, token, ".exe")
    assert all(folder.stat().st_mode & 0o77 == 0 for folder in tmp_path.iterdir() if
               folder.is_dir())  # fmt: skip


# ---- photos


@pytest.fixture
def service(tmp_path: Path, editor: Editor) -> Service:
    return Service(tmp_path / "made", lambda: editor, steps=0, refined=2)


@pytest.fixture
def jpeg(tmp_path: Path, photo: Image.Image) -> Path:
    file = tmp_path / "upload" / "two.jpg"
    file.parent.mkdir()
    photo.save(file, quality=90, progressive=True)
    return file


def kept_photos(service: Service) -> list[Path]:
    return [file for file in service.photos.folder.rglob("*") if file.is_file()]


def test_both_faces_are_in_the_photo_which_stays_a_jpeg(service: Service, jpeg: Path) -> None:
    first = service.open(jpeg).token
    jpeg.unlink()  # the service has a copy of its own
    second = service.open_beside(first, 1).token
    pasted = service.paste((first, {"smiling": -1}), (second, {"smiling": 1}))
    touched = np.asarray(pasted.mask) > 0
    assert touched[:, :800].any() and touched[:, 900:].any()
    before, after = (np.asarray(image) for image in (pasted.original.image, pasted.image))
    assert (before != after)[:, :800].any() and (before != after)[:, 900:].any()
    assert np.array_equal(before[~touched], after[~touched])
    file, mask = service.pictures.download_photo(pasted)
    assert (file.name, mask.name) == ("sdflow-edit.jpg", "sdflow-mask.png")
    with Image.open(file) as image, Image.open(mask) as cover:
        assert image.format == "JPEG" and image.size == cover.size == (1600, 1200)
        assert image.quantization[0] == list(pasted.original.jpeg.tables[0])
    pairs = [service.pictures.pair_in_photo(pasted) for _ in range(2)]
    assert pairs[0][0] == pairs[1][0] and pairs[0][1] != pairs[1][1]
    assert len(kept_photos(service)) == 1
    unmoved = service.paste((first, {}), (second, {"smiling": 0}))
    assert not unmoved.mask.getbbox() and unmoved.edits[1].before == unmoved.edits[1].after


def test_a_photo_goes_with_the_last_of_its_faces(service: Service, jpeg: Path) -> None:
    first = service.open(jpeg).token
    second = service.open_beside(first, 1).token
    (kept,) = kept_photos(service)
    assert kept.parent.stat().st_mode & 0o77 == 0 and first not in str(kept)
    service.store.discard(first)
    assert kept.exists()
    service.store.discard(second)
    assert not kept_photos(service) and not kept.parent.exists()


def test_nobody_else_reaches_a_photo(service: Service, jpeg: Path) -> None:
    mine, stranger = service.open(jpeg).token, service.random(3)
    with Image.open(jpeg) as image:
        image.save(jpeg.with_name("other.jpg"))
    foreign = service.open(jpeg.with_name("other.jpg")).token
    for token in ("forged", mine[:-1], "../photos"):
        with pytest.raises(UnknownFace):
            service.paste((token, {}))
    for call in (lambda: service.paste((stranger.token, {})),
                 lambda: service.open_beside(stranger.token, 0)):  # fmt: skip
        with pytest.raises(ValueError, match=NO_PLACE):
            call()
    with pytest.raises(ValueError, match=OTHER_PHOTO):
        service.paste((mine, {}), (foreign, {}))
    file = service.open(jpeg).face_file  # it comes without the photo
    again = service.open_file(file)
    assert not service.has_photo(again.token) and not service.has_photo(service.open(file).token)


def test_a_face_file_of_other_models_is_read_again(service: Service, editor: Editor) -> None:
    ours = editor.random(5)
    other = replace(ours, model_set="stylegan2", attributes=ours.attributes[:3], c=ours.c[:3])
    file = service.files.new("other.safetensors")
    file.write_bytes(face_to_bytes(other))
    told: list[str] = []
    service._tell = told.extend
    for face in (service.face("", file), service.open_file(file).face):
        assert face.notes == (READ_AGAIN,) and face.attributes == ours.attributes
        assert np.array_equal(face.w, ours.w)
    assert told == [READ_AGAIN] * 2
    assert service.open_face(ours).face is ours  # a recipe's, for the same picture
    with pytest.raises(FaceFileError):
        service.open_face(other)
    with pytest.raises(FaceFileError):
        service.face("", Path("examples/face-21.jpg"))


def test_a_photo_in_use_is_not_swept_and_a_lost_one_told(service: Service, jpeg: Path) -> None:
    token = service.open(jpeg).token
    (kept,) = kept_photos(service)
    past = time.time() - KEPT - 60
    os.utime(kept, (past, past))
    service.edit(token, {}, 512)
    remove_old(service.files.folder, KEPT)
    assert kept.exists()
    os.utime(kept, (past, past))
    remove_old(service.files.folder, KEPT)
    with pytest.raises(LookupError, match=GONE):
        service.paste((token, {}))


def test_photos_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    photos = Photos(tmp_path / "photos", largest_bytes=250)
    first, second = photos.keep(tmp_path / "a"), photos.keep(tmp_path / "a")
    os.utime(second._file, (1, 1))
    third = photos.keep(tmp_path / "a")
    assert first.touch() and third.touch() and not second.touch()
    del first, third
    assert not list(photos.folder.iterdir())


# ---- likeness


def test_a_preview_gets_in_between_two_steps(service: Service, jpeg: Path) -> None:
    token = service.open(jpeg).token
    events: list[str] = []

    def preview() -> None:
        service.edit(token, {"smiling": 0.5}, 512)
        events.append("preview")

    other = threading.Thread(target=preview)

    def on_step(step: Step) -> None:
        events.append(f"step {step.done} of {step.steps}")
        if step.done == 1:
            other.start()
            while not service._models._waiting:  # it stands in line
                time.sleep(0.01)

    refined = service.refine(token, 2, on_step=on_step)
    other.join()
    assert events == ["step 1 of 2", "preview", "step 2 of 2"]
    assert refined.token != token and service.has_photo(refined.token)
    assert service.edit(token, {}, 512).before != service.edit(refined.token, {}, 512).before
    assert service.again(token).token == token


def test_stopping_keeps_the_best_so_far(service: Service, jpeg: Path) -> None:
    token, seen = service.open(jpeg).token, []

    def on_step(step: Step) -> bool:
        pictures = [Image.open(file).size for file in service.pictures.pair_of_step(token, step)]
        seen.append((step.done, *pictures))
        return step.done == 2

    tuned = service.refine(token, 0, tune=True, on_step=on_step)
    assert seen == [(done, (1024, 1024), (512, 512)) for done in (1, 2)]
    assert tuned.face.tuning is not None and 0 < tuned.face.confidence <= 1


@pytest.mark.parametrize("steps", [-1, 301, 1e9])
def test_steps_out_of_range(service: Service, jpeg: Path, steps: float) -> None:
    with pytest.raises(ValueError, match="Give 0 to 300"):
        service.open(jpeg, steps=steps)


def test_a_random_face_has_nothing_to_resemble(service: Service) -> None:
    token = service.random(3).token
    with pytest.raises(ValueError, match="Open a photo first"):
        service.refine(token, 1)
    assert service.edit(token, {}, 512).seconds > 0  # the models were given back


def test_turns_go_in_order() -> None:
    turns, order = Turns(), []

    def take(name: int) -> None:
        with turns:
            order.append(name)

    threads = []
    with turns:
        for name in range(4):
            threads.append(threading.Thread(target=take, args=(name,)))
            threads[-1].start()
            while len(turns._waiting) <= name:
                time.sleep(0.001)
        turns.give_way()
        assert order == [0, 1, 2, 3]
    for thread in threads:
        thread.join()
    with turns, pytest.raises(RuntimeError), Turns():
        raise RuntimeError
    assert turns._free == 1


def test_several_may_have_a_turn_at_a_time() -> None:
    turns, third = Turns(2), threading.Event()

    def wait() -> None:
        with turns:
            third.set()

    with turns:
        with turns:
            thread = threading.Thread(target=wait)
            thread.start()
            while not turns._waiting:
                time.sleep(0.001)
            assert not third.is_set()
        assert third.wait(10)
    thread.join()
    assert turns._free == 2


# ---- files


def test_old_files_and_empty_folders_go(tmp_path: Path) -> None:
    for name in ("old/a.jpg", "new/b.jpg", "c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    past = time.time() - KEPT - 60
    for path in (tmp_path / "old/a.jpg", tmp_path / "c.jpg"):
        os.utime(path, (past, past))
    remove_old(tmp_path, KEPT)
    os.utime(tmp_path / "old", (past, past))
    remove_old(tmp_path, KEPT)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b.jpg", "new"]
