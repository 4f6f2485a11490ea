"""The pieces of HTML that the page shows: readout, caption, likeness, notices, banner, texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby

from sdflow.attributes import Attribute

HEADER = """
<h1>SDFlow</h1>
<p>Edit faces in real photos: several attributes at once, on small networks that need no GPU.</p>
"""
EMPTY = """
<svg class="no-face" viewBox="0 0 96 96" aria-hidden="true">
  <rect x="4" y="4" width="88" height="88" rx="10" fill="none" stroke-dasharray="5 6"/>
  <circle cx="48" cy="40" r="15" fill="none"/>
  <path d="M20 78c3-15 14-22 28-22s25 7 28 22" fill="none"/>
</svg>
<p><strong>No face yet</strong></p>
<p>Upload a photo, choose an example, or take a random face.</p>
"""
LOADING = (
    "<p><span class='spinner' aria-hidden='true'></span> The networks are being loaded. The first"
    " start also fetches about 140 MB. What you ask for now starts as soon as they are there.</p>"
)
FAILED = (
    "<p>The networks could not be loaded; the reason stands in the server's log. The next request"
    " tries again.</p>"
)
NO_PLACE = (
    "There is no photo to show this face in: it is a random one, or came from a face file. Open a"
    " photo to see the edit in it."
)
HINT = (
    "Refine takes some seconds. Tune adapts the network to this one face, for about a minute, and"
    " comes closest: moles, light and background too."
)
GOOD, FAIR = 0.8, 0.5  # likeness from which it is called so
NOTES = """
<p><strong>Consent.</strong> Edit photos of people who agree to it, and say that a picture is
edited where you show it.</p>
<p><strong>Licences.</strong> For research and other non-commercial use: the generator descends
from StyleGAN2 trained on FFHQ, the landmark model from iBUG 300-W. NOTICE names each one.</p>
<p><strong>Limits.</strong> The face alone is a new picture that resembles the person: jewellery,
hands, hats and backgrounds change in it. In the photo, what the edit leaves alone is the photo's
own, and nothing outside of face, hair and neck changes; but large turns of the head, hair that
grows over a busy background, hands and sunglasses before the face, and faces in profile can look
wrong.
“Likeness” is an estimate: how probably another network takes picture and photo for the same
person. The networks saw few children, few very old people and more light than dark skin;
“female”, “male”, “young” and “old” are what they learned to call a look, and say nothing about a
person.</p>
<p><strong>Privacy.</strong> A copy of your photo stays on this server, in a private folder, for as
long as a face of it is in use, so that the edit can go back into it. Nobody else can reach it. It
is removed with its faces, two hours after their last use, and everything else within three.
Downloads carry no place, camera or other metadata of the photo.</p>
"""


def caption(text: str, state: str = "ready") -> str:
    """The line below the picture; `state` is `ready` or `preview`."""
    words = f"<span data-state='{escape(state)}'>{escape(text)}</span>"
    return f"<p><span>Before</span>{words}<span>After</span></p>"


def likeness(confidence: float | None) -> str:
    """How surely the picture shows the person of the photo, as a figure and a word."""
    if confidence is None:
        return ""
    word = "good" if confidence >= GOOD else "fair" if confidence >= FAIR else "poor"
    why = "How probably another network takes picture and photo for the same person"
    return (
        f"<p class='likeness' role='status' title='{why}'>Likeness <b>{confidence:.2f}</b>"
        f"<span class='word' data-word='{word}'>{word}</span></p>"
    )


def notice(sentences: Iterable[str]) -> str:
    """What speaks against a photo, or why something is not there; nothing without sentences."""
    told = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    return f"<div class='notice' role='status'>{told}</div>" if told else ""


def working(done: int, steps: int) -> str:
    """How far the work on the likeness is; style.css shows Stop as long as it is there."""
    at = f" value='{done}' max='{steps}'" if steps else ""
    text = f"Step {done} of {steps}" if steps else "Starting"
    return (
        f"<div class='working'><progress aria-label='Work on the likeness'{at}></progress>"
        f"<span>{text}</span></div>"
    )


def poles(attribute: Attribute) -> str:
    """What the two ends of an attribute's slider mean."""
    return (
        f"<p class='poles'><span>−1 {escape(attribute.negative)}</span>"
        f"<span>{escape(attribute.positive)} +1</span></p>"
    )


def readout(
    attributes: Iterable[Attribute], before: Mapping[str, float], after: Mapping[str, float]
) -> str:
    """A table of attributes, before → after, as numbers and on a track between the poles."""
    rows = "".join(
        _row(attribute, before[attribute.name], after[attribute.name]) for attribute in attributes
    )
    return (
        "<table><caption>Attributes, before → after</caption><thead><tr><th scope='col'>Attribute"
        "</th><th scope='col'>From pole to pole</th><th scope='col'>Before</th><th scope='col'>"
        f"After</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(attribute: Attribute, before: float, after: float) -> str:
    moved = " class='moved'" if abs(after - before) > 0.005 else ""
    # poles lie beyond 0 and 1, but nobody can be read to be more than all of something
    before, after = (min(max(value, 0.0), 1.0) for value in (before, after))
    marks = "".join(
        f"<i class='{name}' style='left:{100 * value:.1f}%'></i>"
        for name, value in (("before", before), ("after", after))
    )
    return (
        f"<tr data-attribute='{attribute.name}'{moved}><th scope='row'>{escape(attribute.label)}"
        f"</th><td><span class='ends'><span>{escape(attribute.negative)}</span><span>"
        f"{escape(attribute.positive)}</span></span><span class='track'>{marks}</span></td>"
        f"<td>{before:.2f}</td><td>{after:.2f}</td></tr>"
    )


def grouped(attributes: Iterable[Attribute]) -> list[tuple[str, list[Attribute]]]:
    """Attributes under their groups' headings, both in order of first appearance."""
    listed = list(attributes)
    order = list(dict.fromkeys(attribute.group for attribute in listed))
    rows = sorted(listed, key=lambda attribute: order.index(attribute.group))
    return [(group, list(members)) for group, members in groupby(rows, lambda row: row.group)]
