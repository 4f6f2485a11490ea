"""Steps 5 and 6 together, against the truth: scenes drawn from a face and from its edit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from sdflow.align import Alignment
from sdflow.compose import compose, gone_classes, with_detail
from sdflow.faces import Face
from sdflow.originals import Original
from sdflow.paste import Pasted
from sdflow.pipeline import Editor

SIZE = (720, 660)
MIDDLE, SIDE, DEGREES = (352.3, 318.8), 420.0, 12.0


def quad(middle: tuple[float, float] = MIDDLE, side: float = SIDE) -> np.ndarray:
    turn = np.deg2rad(DEGREES)
    x = np.array([np.cos(turn), np.sin(turn)]) * side / 2
    y = np.array([-np.sin(turn), np.cos(turn)]) * side / 2
    return np.array(middle) + np.stack([-x - y, -x + y, x + y, x - y])


def draw(face: Image.Image) -> Image.Image:
    """A scene with a picture of a face in it, turned; each pixel is a mean of 3 x 3 points."""
    times = 3
    corners = quad() + 0.5  # from pixel centres to corners, which is what Pillow counts
    forward = np.stack([(corners[3] - corners[0]) / face.width,
                        (corners[1] - corners[0]) / face.width], 1) * times  # fmt: skip
    back = np.linalg.inv(forward)
    rows = np.concatenate([back, -(back @ corners[0] * times)[:, None]], 1)
    large = SIZE[0] * times, SIZE[1] * times
    data = tuple(rows.flatten())
    drawn = face.transform(large, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
    inside = Image.new("L", face.size, 255).transform(large, Image.Transform.AFFINE, data)
    soft = np.random.default_rng(0).integers(90, 170, (3, 4, 3), dtype=np.uint8)
    scene = Image.fromarray(soft).resize(large, Image.Resampling.BICUBIC)
    scene.paste(drawn, (0, 0), inside)
    return scene.resize(SIZE, Image.Resampling.BOX)


@dataclass
class Scene:
    """A photo, the truth about its edit, and what is known of the face."""

    photo: Image.Image
    truth: Image.Image
    inversion: Image.Image
    edited: Image.Image
    alignment: Alignment


@pytest.fixture(scope="module")
def face(editor: Editor) -> Face:
    return editor.random(4, psi=0.5)


@pytest.fixture(scope="module")
def scene(editor: Editor, face: Face) -> Scene:
    inversion = editor.reconstruct(face)
    side = -1.0 if face.semantics["smiling"] > 0.5 else 1.0
    edited = editor.edit(face, {"smiling": side}).image
    return Scene(draw(inversion), draw(edited), inversion, edited, Alignment(quad(), 1024, SIZE))


@pytest.fixture(scope="module")
def pasted(editor: Editor, scene: Scene) -> Pasted:
    original = Original(scene.photo)
    return compose(editor.models, original, scene.alignment, scene.inversion, scene.edited)


def apart(image: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(image, dtype=int) - np.asarray(other, dtype=int)).mean(2)


def test_the_result_is_the_scene_drawn_from_the_edit(scene: Scene, pasted: Pasted) -> None:
    inside = np.asarray(pasted.mask) > 250
    assert 0.1 < inside.mean() < 0.5
    before = apart(scene.photo, scene.truth)
    changed = inside & (before > 12)
    assert changed.sum() > 2000
    after = apart(pasted.image, scene.truth)
    assert after[inside].mean() < 0.5 * before[inside].mean()
    assert after[changed].mean() < 0.5 * before[changed].mean()


def test_outside_the_mask_the_photo_is_untouched(scene: Scene, pasted: Pasted) -> None:
    outside = np.asarray(pasted.mask) == 0
    assert pasted.image.size == SIZE and 0.2 < outside.mean() < 0.9
    assert not apart(pasted.image, scene.photo)[outside].any()


def test_an_edit_lies_where_it_belongs(scene: Scene, pasted: Pasted) -> None:
    """Moved by a pixel in any direction, the change would fit the truth worse."""
    photo, truth, found = (np.asarray(image, float).mean(2)
                           for image in (scene.photo, scene.truth, pasted.image))  # fmt: skip
    wanted, change = truth - photo, found - photo
    error = {(x, y): np.square(np.roll(change, (y, x), (0, 1)) - wanted).mean()
             for x in (-1, 0, 1) for y in (-1, 0, 1)}  # fmt: skip
    assert min(error, key=error.get) == (0, 0)
    # The parabola through three neighbours has its lowest point near none at all.
    for low, high in (((-1, 0), (1, 0)), ((0, -1), (0, 1))):
        a, b, c = error[low], error[0, 0], error[high]
        assert abs((a - c) / (a - 2 * b + c) / 2) < 0.1


def test_no_edit_leaves_the_photo(editor: Editor, scene: Scene) -> None:
    same = compose(editor.models, Original(scene.photo), scene.alignment, scene.inversion,
                   scene.inversion)  # fmt: skip
    assert not apart(same.image, scene.photo).any()
    assert np.asarray(same.mask).max() == 255


def test_a_grey_photo_stays_grey(editor: Editor, scene: Scene) -> None:
    grey = Original(scene.photo.convert("L").convert("RGB"), grey=True)
    kept = compose(editor.models, grey, scene.alignment, scene.inversion, scene.inversion)
    assert not apart(kept.image, grey.image).any()
    found = compose(editor.models, grey, scene.alignment, scene.inversion, scene.edited)
    pixels = np.asarray(found.image)
    assert (pixels == pixels[..., :1]).all()
    assert apart(found.image, grey.image).max() > 20


def test_another_photo_is_refused(editor: Editor, scene: Scene) -> None:
    other = Original(scene.photo.resize((500, 400)))
    with pytest.raises(ValueError, match=r"720.*500.*Give the photo"):
        compose(editor.models, other, scene.alignment, scene.inversion, scene.edited)


def test_with_detail_gives_the_views_it_took(editor: Editor, scene: Scene) -> None:
    photo = scene.inversion.resize((512, 512), Image.Resampling.BOX)
    carried, before, after = with_detail(editor.models, photo, scene.inversion, scene.edited)
    assert carried.picture.shape == before.picture.shape == after.picture.shape
    assert before.picture.shape[-1] == 512
    assert before.classes.shape == (1, len(editor.models.classes), 256, 256)
    assert not np.allclose(before.picture.numpy(), after.picture.numpy())


def test_classes_go_when_their_attribute_goes_down() -> None:
    before = {"eyeglasses": 0.9, "smiling": 0.9}
    assert gone_classes(before, {"eyeglasses": 0.1, "smiling": 0.1}) == ("glasses",)
    assert gone_classes(before, before) == ()
    assert gone_classes(before | {"eyeglasses": 0.1}, before) == ()
    assert gone_classes({"smiling": 1.0}, {"smiling": 0.0}) == ()


def test_glasses_of_the_photo_go_although_the_inversion_has_none(
    editor: Editor, scene: Scene
) -> None:
    """A made-up parser sees glasses where dark ones are painted into the photo."""
    photo = scene.inversion.resize((512, 512), Image.Resampling.BOX)
    pixels = np.asarray(photo).copy()
    pixels[225:265, 170:345] = 10
    glasses = editor.models.classes.index("glasses")

    def parser(crop: object) -> object:
        scores = editor.models.parser(crop).clone()
        dark = crop.mean(1) < -0.85
        dark[:, :112], dark[:, 133:], dark[..., :84], dark[..., 173:] = (False,) * 4
        scores[:, glasses] = scores[:, glasses].where(~dark, scores.new_tensor(50.0))
        return scores

    models = replace(editor.models, parser=parser)
    found = [with_detail(models, Image.fromarray(pixels), scene.inversion, scene.inversion, gone)
             for gone in ((), ("glasses",))]  # fmt: skip
    place = np.s_[..., 232:258, 180:335]
    kept, gone = (carried.picture[place].mean() for carried, _, _ in found)
    bare = found[0][2].picture[place].mean()
    assert kept < -0.85 and abs(float(gone - bare)) < 0.5 * float(bare - kept)
