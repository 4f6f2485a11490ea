"""What a visit keeps: states to undo and redo, results in every way, and nothing once deleted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdflow.cutout import cut_out
from sdflow.faces import UnknownFace
from sdflow.marking import EDITED
from sdflow.page.history import MOST, History
from sdflow.page.service import Service
from sdflow.page.shown import full_size, way
from sdflow.page.visit import COMPARE, CUT_OUT, FACE, IN_PHOTO, Visit
from sdflow.pipeline import Editor
from sdflow.recipes import load_recipe

EXAMPLE = Path(__file__).parents[2] / "examples/face-21.jpg"


@pytest.fixture
def service(tmp_path: Path, editor: Editor) -> Service:
    return Service(tmp_path / "made", lambda: editor, steps=0)


def visit_of(service: Service, photo: Path = EXAMPLE) -> Visit:
    """A visit that has opened a photo and moved a slider."""
    visit = Visit()
    visit.begin(str(photo), service.open(photo).token)
    visit.chosen.strengths = {"smiling": -0.5}
    return visit


# ---- undo and redo


def test_undo_and_redo() -> None:
    history = History()
    assert not history.can_undo({}) and not history.can_redo({})
    assert history.undo({}) == history.redo({}) == {}
    one, two = {"smiling": 0.5}, {"smiling": 0.5, "young": 1.0}
    history.settle(one)
    history.settle(one)
    history.settle(two)
    assert history.undo(two) == one and history.can_redo(one)
    assert history.undo(one) == {} and not history.can_undo({})
    assert history.redo({}) == one and history.redo(one) == two
    assert history.undo({"yaw": 1.0}) == two  # what had not come to rest
    assert history.redo(two) == {"yaw": 1.0}
    assert history.can_undo(two) and not history.can_redo(two)  # moved since
    history.undo({"yaw": 1.0})
    history.settle({"pitch": 1.0})
    assert history.redo({"pitch": 1.0}) == {"pitch": 1.0}


def test_undo_again_before_the_sliders_have_moved() -> None:
    history = History()
    one, two, three = ({"young": step / 4} for step in (1, 2, 3))
    for state in (one, two, three):
        history.settle(state)
    assert [history.undo(three), history.undo(three), history.redo(two)] == [two, one, two]
    assert history.can_redo(two)
    history.moved(two)  # there they are
    assert history.undo(three) == two  # to where they were is a step like any other
    assert not history.can_redo({"young": 1.0})


def test_a_history_has_an_end() -> None:
    history = History()
    for step in range(1, MOST + 20):
        history.settle({"young": step / 1000})
    assert len(history.states) == MOST and history.at == MOST - 1
    assert history.undo(history.states[-1]) == {"young": (MOST + 18) / 1000}


# ---- results


def test_the_cut_out_is_the_head(editor: Editor) -> None:
    picture = editor.edit(editor.open(EXAMPLE, steps=0), {}).image
    cut = cut_out(editor.models, picture)
    assert cut.mode == "RGBA" and cut.size == picture.size
    pixels, alpha = np.asarray(picture).astype(int), np.asarray(cut.getchannel("A"))
    assert (alpha[400:700, 400:620] == 255).all()  # the face
    assert (alpha[:200, :120] == 0).all() and (alpha[:200, -120:] == 0).all()  # the corners
    soft = (alpha > 0) & (alpha < 255)
    assert 0.002 < soft.mean() < 0.1
    colours = np.asarray(cut.convert("RGB")).astype(int)
    assert np.abs(colours - pixels)[alpha == 255].max() <= 1
    assert not colours[alpha == 0].any()


@pytest.mark.parametrize("where", [COMPARE, FACE, CUT_OUT, IN_PHOTO])
def test_each_way_to_see_an_edit_can_be_taken_along(service: Service, where: str) -> None:
    visit = visit_of(service)
    visit.where = where
    shown = full_size(service, visit)
    assert isinstance(shown.seen, tuple) == (where in (COMPARE, IN_PHOTO))
    assert shown.suffix == (".jpg" if where == IN_PHOTO else ".png")
    sizes = set()
    for suffix, form in ((".png", "PNG"), (".webp", "WEBP"), (".jpg", "JPEG")):
        file, mask = shown.write(suffix)
        with Image.open(file) as image:
            assert image.format == form and EDITED.encode() in image.info["xmp"]
            has_alpha = image.mode == "RGBA"
            sizes.add(image.size)
        assert has_alpha == (where == CUT_OUT and suffix != ".jpg")
        assert (mask is not None) == (where == IN_PHOTO)
    assert sizes == {shown.size}
    recipe = load_recipe(shown.recipe())
    assert recipe.strengths == visit.strengths
    if where == FACE:
        again = service.edit_face(recipe.face, recipe.strengths).image
        assert again.tobytes() == Image.open(shown.write(".png")[0]).tobytes()


def test_without_a_photo_there_is_the_face(service: Service) -> None:
    visit = Visit(where=IN_PHOTO)
    visit.begin(None, service.random(3).token)
    assert visit.in_photo and way(service, visit) == COMPARE
    visit.where = CUT_OUT
    assert full_size(service, visit).seen.suffix == ".webp"


# ---- the end


def test_deleting_leaves_nothing_of_a_visit(service: Service, tmp_path: Path) -> None:
    other = visit_of(service)
    kept = full_size(service, other)
    visit = visit_of(service)
    visit.where = IN_PHOTO
    shown = full_size(service, visit)
    files = [*shown.seen, *shown.write(".jpg"), shown.recipe()]
    photo = service._photo_of[service.face(visit.token)].path
    token = visit.token
    visit.uploads.add("upload")
    tokens, uploads = visit.forget()
    assert tokens == {token} and uploads == {"upload"}
    assert visit.chosen is None and not visit.tokens and not visit.uploads
    service.forget(tokens)
    assert not any(file.exists() for file in files)
    assert not photo.exists()
    with pytest.raises(UnknownFace):
        service.edit(token, {})
    assert all(file.exists() for file in kept.seen)
    service.face(other.token)
