"""What the page says: two languages alike, snippets of HTML, sentences of errors and doubts."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from string import Formatter

import pytest
from PIL import Image

from sdflow.attributes import ATTRIBUTES
from sdflow.edit import ORIGINAL, POLES, parse_strengths
from sdflow.faces import FaceStore, load_face
from sdflow.images import open_photo
from sdflow.page import readout
from sdflow.page.errors import OURS, as_sentence, told
from sdflow.page.loading import NOT_LOADED
from sdflow.page.photos import GONE
from sdflow.page.service import NO_FACE, NO_PHOTO
from sdflow.page.texts import TABLES, language_of, say, text
from sdflow.page.texts.sentences import GERMAN, translated
from sdflow.page.visit import Visit
from sdflow.presets import PRESETS, shipped_presets
from sdflow.recipes import load_recipe

ENGLISH = partial(say, "en")


def holes(words: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(words) if field}


def test_both_languages_say_the_same_things() -> None:
    english, german = TABLES["en"], TABLES["de"]
    assert english.keys() == german.keys()
    for key, words in english.items():
        assert holes(words) == holes(german[key]), key
        tags = [re.findall(r"</?\w+|class='[^']*'", table[key]) for table in (english, german)]
        assert tags[0] == tags[1], key
    same = [key for key, words in english.items() if words == german[key] and len(words) > 12]
    assert all("{" in english[key] or "<" in english[key] for key in same)


def test_an_entry_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        text("wings")
    with pytest.raises(KeyError):
        say("de", "step", done=1)
    assert say("fr", "undo") == "Undo"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("DE", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr,de;q=0.9", "en"),
        ("", "en"),
        ("*", "en"),
    ],
)
def test_the_first_language_of_a_browser_counts(header: str, language: str) -> None:
    assert language_of({"accept-language": header}) == language
    assert language_of({}) == "en"


# ---- sentences


def sentence_of(function: object, *args: object) -> str:
    try:
        function(*args)
    except Exception as error:
        return str(error)
    raise AssertionError("nothing was wrong")


def test_what_visitors_cause_is_told_in_german(tmp_path: Path) -> None:
    small = Image.new("RGB", (30, 40))
    caused = [
        sentence_of(open_photo, b"no image"),
        sentence_of(open_photo, b""),
        sentence_of(open_photo, small),
        sentence_of(open_photo, Image.new("1", (20_000, 10_000))),
        sentence_of(load_face, b"no face"),
        sentence_of(load_recipe, b"{"),
        sentence_of(load_recipe, b"{}"),
        sentence_of(FaceStore().get, "forged"),
        NO_FACE, NO_PHOTO, GONE, OURS, NOT_LOADED,
    ]  # fmt: skip
    for sentence in caused:
        assert translated("en", sentence) == sentence
        german = translated("de", sentence)
        assert german != sentence and "{" not in german, sentence
    assert "30 × 40" in translated("de", caused[2])
    for mapping, words in ((POLES, "von -1 bis 1 an; 0 lässt"), (ORIGINAL, "-3 bis 1 an; -1 lä")):
        far = sentence_of(parse_strengths, {"young": -4.5}, ["young"], mapping)
        assert words in translated("de", far) and "young ist -4.5." in translated("de", far)
    assert all(holes(german) <= holes(english) for english, german in GERMAN.items())
    assert translated("de", "Something else.") == "Something else."


def test_handlers_tell_in_the_language_of_the_visit() -> None:
    @told
    def handler(visit: Visit, text: str) -> None:
        raise ValueError(NO_FACE)

    for language, word in (("de", "Gesicht"), ("en", "face")):
        with pytest.raises(Exception, match=word):
            handler(Visit(language), "")
    assert str(as_sentence(ValueError("<b>"), "de").message) == "&lt;b&gt;"


# ---- snippets


def test_likeness_and_notices_in_words() -> None:
    words = {0.93: "good", 0.6: "fair", 0.2: "poor"}
    for confidence, word in words.items():
        assert f"{confidence:.2f}" in readout.likeness(ENGLISH, confidence)
        assert f">{word}<" in readout.likeness(ENGLISH, confidence)
    assert "gut" in readout.likeness(partial(say, "de"), 0.9)
    assert readout.likeness(ENGLISH, None) == readout.notice([]) == ""
    told = readout.notice(["It is dark: use <another>."])
    assert "role='status'" in told and "&lt;another&gt;" in told


def test_the_readout_names_every_attribute() -> None:
    rows = list(ATTRIBUTES.values())
    before = dict.fromkeys(ATTRIBUTES, 0.25)
    table = readout.readout(ENGLISH, rows, before, before | {"smiling": 1.4})
    assert all(row.label in table and row.negative in table for row in rows)
    assert table.count("class='moved'") == 1
    assert "left:100.0%" in table and "<td>1.00</td>" in table and "1.40" not in table


def test_groups_keep_their_order() -> None:
    smile, glasses, mouth = (ATTRIBUTES[n] for n in ("smiling", "eyeglasses", "mouth_open"))
    groups = readout.grouped([smile, glasses, mouth])
    assert groups == [("Expression", [smile, mouth]), ("Accessories", [glasses])]


def test_credits_name_every_example() -> None:
    examples = Path(__file__).parents[2] / "examples"
    told = readout.credits((examples / "CREDITS.md").read_text(encoding="utf-8"))
    for file in examples.glob("*.jpg"):
        assert file.stem in told
    assert "&lt;i&gt;" in readout.credits("- `a.jpg`: by <i>.\n")


def test_presets_move_only_what_is_there() -> None:
    assert shipped_presets(ATTRIBUTES) == PRESETS
    for preset in PRESETS:
        assert preset.strengths.keys() <= ATTRIBUTES.keys()
        assert all(-1 <= s <= 1 and round(s * 20, 6) % 1 == 0 for s in preset.strengths.values())
    few = shipped_presets(["smiling", "mouth_open", "open_eyes"])
    assert [preset.name for preset in few] == ["big_smile", "surprised"]
