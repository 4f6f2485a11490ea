"""What sliders say in the original's way, and that histories, boards, morphs keep it apart."""

from __future__ import annotations

import json
from functools import partial

import pytest

from sdflow.edit import ORIGINAL, POLES, BadStrength
from sdflow.page import boards, readout
from sdflow.page.events.controls import read_settings
from sdflow.page.history import History
from sdflow.page.many import one_mapping
from sdflow.page.scales import (
    Scales,
    edit_of,
    from_sliders,
    mapping_of,
    to_settings,
    to_sliders,
    with_sliders,
)
from sdflow.page.texts import say
from sdflow.page.texts.sentences import all_translated
from sdflow.page.visit import Visit
from sdflow.released import CELEBA_40
from sdflow.selection import Selection, decide

ENGLISH, GERMAN = partial(say, "en"), partial(say, "de")
OLDER = Scales({"young": 0.2})


def test_a_slider_is_that_of_the_originals_demo() -> None:
    told = {1.0: 0.2, 0.7: -0.22, 0.5: -0.5, 0.05: -1.13, -1.0: -2.6}  # -1.2 + 1.4 strength
    for position, scale in told.items():
        edit = from_sliders({"young": position, "gender": 0}, ORIGINAL)
        assert edit == Scales({"young": scale}) and mapping_of(edit) == ORIGINAL
    for step in range(-20, 21):
        at = {"smiling": step / 20} if step else {}
        for mapping in (POLES, ORIGINAL):
            assert to_sliders(from_sliders(at, mapping)) == at
    for scale in (-1.0, 0.0, 0.2):  # what no step of the slider hits comes back exactly
        edit = Scales({"young": scale})
        assert from_sliders(to_sliders(edit), ORIGINAL) == edit
    assert from_sliders({"beard": 0.5}, ORIGINAL) == {}  # the classifier does not know it
    assert from_sliders({"beard": 0.5}, POLES) == {"beard": 0.5}


def test_scales_are_no_strengths() -> None:
    assert OLDER != {"young": 0.2} and {"young": 0.2} != OLDER and OLDER == Scales(young=0.2)
    assert Scales() == {} and {} == Scales() and mapping_of(Scales()) == POLES
    assert mapping_of({"young": 0.2}) == POLES
    history = History()
    history.settle(OLDER)
    history.settle({"young": 0.2})
    assert mapping_of(history.undo({"young": 0.2})) == ORIGINAL
    assert history.undo(OLDER) == {} and mapping_of(history.redo({})) == ORIGINAL
    visit = Visit(mapping=ORIGINAL)
    assert isinstance(visit.strengths, Scales)  # so that what is built on them is the same


def test_boards_and_morphs_in_the_originals_way() -> None:
    sweep = boards.sweep_board("t", OLDER, "smiling", 3)
    states = [cell.strengths for cell in sweep.cells]
    assert states[1] == OLDER and states[2] == Scales({"young": 0.2, "smiling": 0.2})
    grid = boards.grid_board("t", Scales(), "smiling", "young", 3)
    assert grid.cells[0].strengths == Scales({"smiling": -2.6, "young": -2.6})
    assert with_sliders({"young": 0.5}, young=0, gender=1) == {"gender": 1}
    assert boards.edit_words("en", OLDER) == "Youth +1 (as the original)"
    assert boards.edit_words("de", OLDER) == "Jugend +1 (wie im Original)"

    stops, mapping = one_mapping([{}, OLDER, Scales({"gender": 0.0})])
    assert mapping == ORIGINAL
    assert stops == [
        {"young": -1, "gender": -1}, {"young": 0.2, "gender": -1}, {"young": -1, "gender": 0},
    ]  # fmt: skip
    assert one_mapping([{}, {"young": 1}]) == ([{}, {"young": 1}], POLES)
    with pytest.raises(ValueError, match="edits of one kind. Clear the list"):
        one_mapping([{}, OLDER, {"young": 1}])


def test_settings_say_what_their_numbers_are() -> None:
    names = ["young", "beard"]
    for edit in ({}, {"young": 0.5}, OLDER, Scales({"young": -2.6})):
        again = read_settings(Visit(), json.dumps(to_settings(edit)), names)
        assert again == edit and mapping_of(again) == mapping_of(edit)
    assert to_settings(OLDER) == {"mapping": "original", "strengths": {"young": 0.2}}
    for wrong in ({"mapping": "other", "strengths": {}}, {"mapping": [], "strengths": {}}):
        with pytest.raises(ValueError, match="Paste an object"):
            read_settings(Visit(), json.dumps(wrong), names)
    far = {"mapping": "original", "strengths": {"young": -4}}
    with pytest.raises(BadStrength, match="from -3 to 1; -1 leaves"):
        read_settings(Visit(), json.dumps(far), names)
    assert edit_of({"young": 1}, POLES) == {"young": 1}


def test_the_forty_attributes_have_names_in_both_languages() -> None:
    before = dict.fromkeys(CELEBA_40, 0.25) | {"Wavy_Hair": 0.75, "age_group": 3}
    for language, words in ((ENGLISH, "Wavy hair"), (GERMAN, "Welliges Haar")):
        alone = readout.celeba(language, before, None)
        assert alone.count("<tr>") == 42 and alone.count("<b>") == 1
        assert f"{words}</th><td><b>0.75</b></td></tr>" in alone and "<td><span>3<" in alone
        both = readout.celeba(language, before, before | {"Young": 1.0})
        assert both.count("<td>") == 82 and both.count("<b>") == 3
    assert "5 o'clock shadow" in ENGLISH("celeba.5_o_Clock_Shadow")


def test_which_models_run_is_told_in_both_languages() -> None:
    told = readout.models(ENGLISH, Selection(), "")
    assert "The set “mobile” runs: the light generator" in told
    mix = readout.models(GERMAN, Selection("stylegan2", "ours", "released3"), "<b>")
    assert "Mischung: StyleGAN2 in voller Größe, unser Encoder, die drei" in mix
    assert "&lt;b&gt;" in mix
    for has_gpu in (True, False):
        auto = {"SDFLOW_MODELS": "auto"}
        why = decide(auto, lambda has_gpu=has_gpu: has_gpu).why
        german = all_translated("de", why)
        assert why and all_translated("en", why) == why
        assert not {"the", "There", "Fetch"} & set(german.split()) and "GPU" in german
