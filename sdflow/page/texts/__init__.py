"""All words of the page, in English and German: one table for each language, the same keys.

What stands on the page from the start is `text(key)`: labels, buttons, placeholders, choices, tab
titles, and HTML. Gradio puts in the words of the browser's language. It replaces one key in a
string, so HTML with one text may be built around it, and HTML with several is one entry.

What a handler makes is `visit.say(key, **values)`: HTML, captions, and what Gradio does not
translate, which is messages (`gr.Info`), captions and alternative texts. The visit has learned the
language when the page was opened. A handler may also return `text(key)` as a value or a label.

Attributes bring their own English: `text_of` and `say_of`; a group's key is `group.` and its name.
Errors and doubts are English sentences until `sentences.translated` has told the visitor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import gradio as gr
from gradio.i18n import I18nData

from sdflow.attributes import ATTRIBUTES, Attribute
from sdflow.page.texts import celeba, english, german, panels
from sdflow.presets import PRESETS

TABLES: dict[str, dict[str, str]] = {
    "en": {**english.TEXTS, **panels.ENGLISH},
    "de": {**german.TEXTS, **panels.GERMAN},
}
DEFAULT = "en"
PARTS = ("label", "negative", "positive")  # of an attribute that have words
POLES = "<p class='poles'><span>−1 {negative}</span><span>{positive} +1</span></p>"


def _add_names() -> None:
    """Entries of attributes and presets: `smiling.label`, `group.Hair`, `preset.older`,
    `celeba.Smiling`."""
    for preset in PRESETS:
        names = {"en": preset.label, "de": german.PRESETS[preset.name]}
        for language, table in TABLES.items():
            table[f"preset.{preset.name}"] = names[language]
    for language, names in {"en": celeba.ENGLISH, "de": celeba.GERMAN}.items():
        TABLES[language].update({f"celeba.{name}": words for name, words in names.items()})
    for row in ATTRIBUTES.values():
        words = {"en": [getattr(row, part) for part in PARTS], "de": german.ATTRIBUTES[row.name]}
        groups = {"en": row.group, "de": german.GROUPS[row.group]}
        for language, table in TABLES.items():
            named = dict(zip(PARTS, words[language], strict=True))
            table.update({f"{row.name}.{part}": word for part, word in named.items()})
            table[f"{row.name}.poles"] = POLES.format(**named)
            table[f"group.{row.group}"] = groups[language]


_add_names()
I18N = gr.I18n(**TABLES)


def text(key: str) -> I18nData:
    """What Gradio turns into words in the browser; see above for where.

    Raises:
        KeyError: the tables have no such entry.
    """
    if key not in TABLES[DEFAULT]:
        raise KeyError(key)
    return I18N(key)


def say(language: str, key: str, **values: object) -> str:
    """Words for a handler; `values` fill the entry's braces.

    Raises:
        KeyError: the tables have no such entry, or it wants other values.
    """
    return TABLES.get(language, TABLES[DEFAULT])[key].format(**values)


def text_of(attribute: Attribute, part: str = "label") -> I18nData:
    """`text` of an attribute: its `label`, `negative`, `positive`, or HTML with its `poles`."""
    return text(f"{attribute.name}.{part}")


def say_of(language: str, attribute: Attribute, part: str = "label") -> str:
    """`say` of an attribute."""
    return say(language, f"{attribute.name}.{part}")


def language_of(headers: Mapping[str, str]) -> str:
    """The language that the page uses in a browser, from the headers of its request.

    It is the browser's first, as Gradio takes it, or English.
    """
    first = re.match(r"[a-z]+", headers.get("accept-language", "").strip().lower())
    return first[0] if first and first[0] in TABLES else DEFAULT
