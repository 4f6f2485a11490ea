"""Which networks run: by set, part by part, and by what the machine has; no network is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sdflow import selection
from sdflow.manifest import Entry, HubCommit, WeightsError, find_entry
from sdflow.selection import SETS, Selection, check, classifies, decide, shipped_attributes


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files count as weights."""
    monkeypatch.setenv("SDFLOW_WEIGHTS_DIR", str(tmp_path))
    return tmp_path


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"weights")


def published(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Has the manifest name a Hub repository for entries."""

    def find(name: str) -> Entry:
        entry = find_entry(name)
        return replace(entry, source=HubCommit("me/mine", "c" * 40)) if name in names else entry

    monkeypatch.setattr(selection, "find_entry", find)


def test_the_embedded_set_is_the_default() -> None:
    assert decide({}).selection == decide({"SDFLOW_MODELS": "mobile"}).selection == Selection()
    assert decide({}).why == "" and Selection().full_size == () and Selection().name == "mobile"


def test_each_part_is_chosen_for_itself() -> None:
    chosen = {"SDFLOW_GENERATOR": "stylegan2", "SDFLOW_SEMANTICS": "released3"}
    mix = decide(chosen).selection
    assert mix == Selection("stylegan2", "ours", "released3") and mix not in SETS.values()
    assert mix.name == "stylegan2 + ours + released3"
    assert mix.full_size == ("stylegan2", "estimator_a3", "flow_a3")
    assert mix.files == ("stylegan2", "flow_a3", "parsing")
    whole = decide({"SDFLOW_MODELS": "stylegan2", "SDFLOW_SEMANTICS": "ours"}).selection
    assert whole == Selection("stylegan2", "e4e", "ours")


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("SDFLOW_MODELS", "no model set 'large'. Choose mobile, stylegan2 or auto"),
        ("SDFLOW_GENERATOR", "no generator 'large'. Choose mobile or stylegan2"),
        ("SDFLOW_ENCODER", "no encoder 'large'. Choose ours or e4e"),
        ("SDFLOW_SEMANTICS", "no semantics 'large'. Choose ours or released or released3"),
    ],
)
def test_what_there_is_not_is_refused(variable: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        decide({variable: "large"})


def test_ours_take_the_place_of_what_cannot_be_had(here: Path) -> None:
    decided = decide({"SDFLOW_MODELS": "stylegan2"})
    assert decided.selection == Selection("stylegan2", "e4e", "ours")
    assert "released estimator and flow" in decided.why
    put(here, "estimator_a5.safetensors", "flow_a5.safetensors")
    decided = decide({"SDFLOW_MODELS": "stylegan2"})
    assert decided.selection == SETS["stylegan2"] and decided.why == ""


def test_but_not_where_they_are_asked_for(here: Path) -> None:
    mix = decide({"SDFLOW_SEMANTICS": "released"}).selection
    with pytest.raises(WeightsError, match="estimator_a5.*README.md.*--semantics ours"):
        check(mix)
    put(here, "estimator_a5.safetensors", "flow_a5.safetensors")
    check(mix)


def test_auto_says_what_runs_and_why(here: Path) -> None:
    asked = {"SDFLOW_MODELS": "auto"}
    decided = decide(asked, lambda: False)
    assert decided.selection == Selection() and "no GPU" in decided.why
    decided = decide(asked, lambda: True)
    assert decided.selection == Selection()
    assert "stylegan2 and e4e are not on this machine" in decided.why
    assert decided.why.endswith("`python -m sdflow weights fetch stylegan2 e4e`.")
    put(here, "stylegan2-ffhq-config-f.pt", "e4e_ffhq_encode.pt")
    decided = decide(asked, lambda: True)
    assert decided.selection.generator == "stylegan2" and "full-size" in decided.why


def test_files_for_three_attributes_take_the_place_of_those_for_five(here: Path) -> None:
    put(here, "estimator_a3.safetensors", "flow_a3.safetensors")
    decided = decide({"SDFLOW_MODELS": "stylegan2"})
    assert decided.selection == Selection("stylegan2", "e4e", "released3")
    assert "those for three attributes" in decided.why
    with pytest.raises(WeightsError, match="choose --semantics released3, whose files are here"):
        check(decide({"SDFLOW_SEMANTICS": "released"}).selection)


def test_auto_takes_only_what_is_here(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch, "estimator_a5", "flow_a5")
    put(here, "stylegan2-ffhq-config-f.pt", "e4e_ffhq_encode.pt")
    decided = decide({"SDFLOW_MODELS": "auto"}, lambda: True)
    assert decided.selection == Selection("stylegan2", "e4e", "ours")
    assert decided.why.endswith("not on this machine: ours take their place, which know more "
                                "attributes.")  # fmt: skip
    assert decide({"SDFLOW_MODELS": "stylegan2"}).selection == SETS["stylegan2"]
    put(here, "estimator_a5.safetensors", "flow_a5.safetensors")
    assert decide({"SDFLOW_MODELS": "auto"}, lambda: True).selection == SETS["stylegan2"]


def test_the_classifier_comes_with_released_semantics(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, released = Selection(), SETS["stylegan2"]
    assert not classifies(ours) and not classifies(released)
    published(monkeypatch, "classifier")  # it is fetched with the others, never for ours alone
    assert not classifies(ours) and classifies(released)
    put(here, "classifier.safetensors")
    assert classifies(ours) and classifies(released)


def test_the_attributes_follow_the_semantics() -> None:
    released = [row.name for row in shipped_attributes(Selection(semantics="released"))]
    assert released == ["gender", "young", "smiling", "wavy_hair", "eyeglasses"]
    few = [row.name for row in shipped_attributes(Selection(semantics="released3"))]
    assert few == ["gender", "young", "eyeglasses"]
    assert len(shipped_attributes(Selection("stylegan2", "e4e", "ours"))) >= 10
