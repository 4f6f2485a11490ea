"""HTML of the panels: small pictures to click, in boards, strips and lists; progress; results.

Buttons carry what they do in `data-do` and which of their list they are in `data-index`; `CLICKS`
makes events of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from sdflow.page.boards import Board, Cell, edit_words, person_words
from sdflow.page.texts import say
from sdflow.page.tried import Person, Tried

# A click on a picture returns to its edit, which is then looked at: if the result is out of sight,
# the page goes there.
CLICKS = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-index]');
  if (!button) return;
  const act = button.dataset.do;
  trigger(act === 'remove' ? 'delete' : 'select', {index: Number(button.dataset.index)});
  if (act === 'remove') return;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  document.getElementById('result')?.scrollIntoView(
    {block: 'nearest', behavior: still ? 'auto' : 'smooth'});
});
"""
PENDING = "<span class='pending'></span>"


def address(file: Path) -> str:
    """Where the browser finds a file of this process, relative to the page."""
    return "gradio_api/file=" + quote(file.as_posix())


def board_tiles(language: str, board: Board, now: Mapping[str, float], name: str) -> str:
    """A board: a list of pictures if it has one row, else a table.

    Args:
        language: of the visitor.
        board: as far as it is made.
        now: strengths on the sliders; the picture of these is marked.
        name: of the whole.
    """
    headings = [words(language) for words in board.headings]
    tiles = [_tile(language, i, cell, board, now) for i, cell in enumerate(board.cells)]
    about = (
        f"aria-label='{escape(name)}' aria-busy='{str(board.busy).lower()}'"
        f" style='--columns: {len(headings)}'"
    )
    if not board.labels:
        items = "".join(
            f"<li>{tile}<span class='under'>{escape(heading)}</span></li>"
            for tile, heading in zip(tiles, headings, strict=True)
        )
        return f"<ul class='board' {about}>{items}</ul>"
    above = "".join(f"<th scope='col'>{escape(heading)}</th>" for heading in headings)
    rows = "".join(
        f"<tr><th scope='row'>{escape(words(language))}</th>"
        + "".join(f"<td>{tile}</td>" for tile in tiles[i * len(headings) :][: len(headings)])
        + "</tr>"
        for i, words in enumerate(board.labels)
    )
    return (
        f"<div class='scroll' tabindex='0' role='region' aria-label='{escape(name)}'>"
        f"<table class='board' {about}><thead><tr><td></td>{above}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _tile(
    language: str, index: int, cell: Cell, board: Board, now: Mapping[str, float]
) -> str:
    if cell.picture is None:
        return PENDING if board.busy else "<span class='pending missing'></span>"
    if board.restores:
        state = Tried(cell.strengths or {}, cell.picture)
        return use_button(language, index, state, state.strengths == now)
    is_photo = cell.strengths is None
    about = say(language, "compare.photo") if is_photo else edit_words(language, cell.strengths)
    return image(cell.picture, about)


def use_button(language: str, index: int, state: Tried, is_now: bool) -> str:
    """A picture; a click returns to its edit."""
    words = edit_words(language, state.strengths)
    label = escape(say(language, "use", edit=words), quote=True)
    current = " aria-current='true'" if is_now else ""
    return (
        f"<button type='button' class='tile' data-do='use' data-index='{index}'{current}"
        f" aria-label=\"{label}\" title=\"{escape(words, quote=True)}\">"
        f"{image(state.picture)}</button>"
    )


def image(file: Path, about: str = "") -> str:
    """A small picture."""
    return f"<img src='{address(file)}' alt=\"{escape(about, quote=True)}\" decoding='async'>"


def strip(language: str, states: Sequence[Tried], now: Mapping[str, float]) -> str:
    """The history, newest first."""
    if not states:
        return f"<p class='nothing'>{escape(say(language, 'tried.empty'))}</p>"
    items = "".join(
        f"<li>{use_button(language, i, state, state.strengths == now)}</li>"
        for i, state in enumerate(states)
    )
    return f"<ul class='strip' aria-label=\"{escape(say(language, 'tried'))}\">{items}</ul>"


def path(
    language: str,
    start: Path | None,
    present: Path | None,
    stops: Sequence[Tried],
    now: Mapping[str, float],
) -> str:
    """The way of a morph: the original, and the list of edits or what the sliders say.

    Args:
        language: of the visitor.
        start, present: pictures of the original and of the edit on the sliders, if there are.
        stops: the list.
        now: strengths on the sliders.
    """
    items = [_end(start, say(language, "morph.start"))]
    for i, stop in enumerate(stops):
        words = edit_words(language, stop.strengths)
        label = say(language, "morph.remove", number=i + 1, edit=words)
        items.append(
            f"{use_button(language, i, stop, stop.strengths == now)}{remove_button(i, label)}"
            f"<span class='under'>{escape(words)}</span>"
        )
    if not stops:
        items.append(_end(present, say(language, "morph.present")))
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f"<ol class='path' aria-label=\"{escape(say(language, 'morph.path'))}\">{listed}</ol>"


def _end(picture: Path | None, words: str) -> str:
    """One end of a morph's way, which is not on the list."""
    shown = image(picture) if picture else "<span class='pending missing'></span>"
    return f"{shown}<span class='under'>{escape(words)}</span>"


def people(
    language: str, persons: Sequence[Person], failures: Iterable[tuple[str, str]]
) -> str:
    """Those to compare, and the photos that could not be added."""
    names = [person_words(language, person, i) for i, person in enumerate(persons)]
    items = "".join(
        f"<li>{image(person.picture)}<span class='under'>{escape(name)}</span>"
        f"{remove_button(i, say(language, 'compare.remove', name=name))}</li>"
        for i, (person, name) in enumerate(zip(persons, names, strict=True))
    )
    heading = escape(say(language, "compare.list"))
    gathered = f"<ul class='people' aria-label=\"{heading}\">{items}</ul>"
    if not persons:
        gathered = f"<p class='nothing'>{escape(say(language, 'compare.nobody'))}</p>"
    told = "".join(
        f"<li><b>{escape(name)}</b> {escape(reason)}</li>" for name, reason in failures
    )
    if told:
        heading = escape(say(language, "compare.failed"))
        told = f"<div class='failures' role='status'><p>{heading}</p><ul>{told}</ul></div>"
    return gathered + told


def remove_button(index: int, label: str) -> str:
    """A cross; a click takes an item off its list."""
    return (
        f"<button type='button' class='remove' data-do='remove' data-index='{index}'"
        f" aria-label=\"{escape(label, quote=True)}\"><span aria-hidden='true'>×</span></button>"
    )


def player(language: str, file: Path) -> str:
    """A morph, playing."""
    about = escape(say(language, "morph.video"), quote=True)
    if file.suffix == ".gif":
        return f"<img class='film' src='{address(file)}' alt=\"{about}\">"
    return (
        f"<video class='film' src='{address(file)}' aria-label=\"{about}\""
        " controls autoplay loop muted playsinline></video>"
    )


def progress(name: str, words: str, done: int = 0, total: int = 0) -> str:
    """How far something is; panels.css shows Stop as long as it is there."""
    at = f" value='{done}' max='{total}'" if total else ""
    label = escape(name, quote=True)
    return (
        f"<div class='working'><progress aria-label=\"{label}\"{at}></progress>"
        f"<span>{escape(words)}</span></div>"
    )


def board_status(language: str, board: Board, key: str) -> str:
    """How far a board is, or where it was stopped; nothing once it is whole."""
    done, total = board.done, len(board.cells)
    if board.busy:
        words = say(language, "pictures.done", done=done, steps=total)
        return progress(say(language, key), words, done, total)
    return "" if board.sheet else ended(say(language, "stopped", done=done, steps=total))


def ended(words: str) -> str:
    """What became of something that was stopped."""
    return f"<p class='ended' role='status'>{escape(words)}</p>"


def empty(text: str) -> str:
    """What a panel shows before its first result; `text` is HTML."""
    return (
        "<div class='blank'><svg viewBox='0 0 96 64' aria-hidden='true'>"
        "<rect x='2' y='14' width='27' height='36' rx='5'/><rect x='34.5' y='14' width='27'"
        " height='36' rx='5'/><rect x='67' y='14' width='27' height='36' rx='5'/>"
        f"</svg>{text}</div>"
    )
