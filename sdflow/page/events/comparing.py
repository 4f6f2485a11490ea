"""Compare: several people with one edit, or one person with every attribute, on one board."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from html import unescape
from pathlib import Path

import gradio as gr

from sdflow.page import tiles
from sdflow.page.boards import attributes_board, people_board, small, states_of
from sdflow.page.endpoints import LONG
from sdflow.page.errors import as_sentence, told
from sdflow.page.events.returning import AT_ONCE, add_return, at
from sdflow.page.events.showing import Showing
from sdflow.page.events.variants import BOARDS
from sdflow.page.layout import Parts
from sdflow.page.many import MOST_PEOPLE
from sdflow.page.panels import QUICK, Comparing
from sdflow.page.pictures import PREVIEW
from sdflow.page.service import NO_FACE, Service
from sdflow.page.tried import Gathered, Person
from sdflow.page.updates import PRIVATELY, QUIETLY, Changes, Updates
from sdflow.page.visit import Visit
from sdflow.page.work import Work

STRENGTHS = {2: (-1.0, 1.0), 4: (-1.0, -0.5, 0.5, 1.0)}  # of every attribute


def add_comparing(service: Service, parts: Parts, updates: Updates, panel: Comparing) -> None:
    """Connects the tab."""
    session = parts.session

    showing = Showing(service, panel, lambda visit: visit.gathered, "compare")
    shown, outcome = showing.shown, showing.outputs

    def listed(visit: Visit) -> Changes:
        """Who is to be compared."""
        gathered = visit.gathered
        return {
            panel.people: tiles.people(visit.language, gathered.people, gathered.failures),
            panel.clear: gr.update(interactive=bool(gathered.people or gathered.failures)),
            panel.make: gr.update(interactive=bool(gathered.people or visit.chosen)),
        }

    def follow(visit: Visit) -> Changes:
        opening = visit.gathered.work or visit.gathered.waiting
        add = {panel.add: gr.update(interactive=bool(visit.chosen))}
        return listed(visit) | add | ({} if opening else shown(visit))

    # ---- people

    @told
    def ask_for_photos(visit: Visit, paths: list[str]) -> Changes:
        gathered = visit.gathered
        if not gathered.waiting and not gathered.work:
            gathered.asked, gathered.failures = 0, []
        room = MOST_PEOPLE - len(gathered.people) - len(gathered.waiting)
        for path in map(Path, paths):
            if room > 0:
                gathered.waiting.append(path)
                gathered.asked += 1
                room -= 1
            else:
                sentence = visit.say("compare.too_many", most=MOST_PEOPLE)
                gathered.failures.append((path.name, sentence))
                path.unlink(missing_ok=True)
        return listed(visit) | {panel.photos: None, panel.working: opening(visit, "", 0.0)}

    @told
    async def open_photos(visit: Visit, effort: str) -> AsyncIterator[Changes]:
        gathered = visit.gathered
        steps = 0 if effort == QUICK else None
        while gathered.waiting:
            path = gathered.waiting.pop(0)
            work = gathered.work = Work(partial(service.open, path, 0, steps, False))
            try:
                yield {panel.working: opening(visit, path.name, 0.0)}
                async for step in work.steps():
                    share = step.done / step.steps
                    yield {panel.working: opening(visit, path.name, share)}
                opened = await work.result()
                if visit.gathered is not gathered:  # all was deleted meanwhile
                    service.forget([opened.token])
                    return
                service.forget_photo(opened.token)  # nothing is pasted back
                face = opened.face
                picture = await asyncio.to_thread(small, service, face.picture, opened.token)
                person = Person(path.stem, opened.token, picture, has_photo=True, own=True)
                gathered.people.append(person)
            except Exception as error:
                sentence = unescape(as_sentence(error, visit.language).message)
                gathered.failures.append((path.name, sentence))
            finally:
                work.abandon()
                gathered.work = None
                if str(path) != visit.photo:
                    path.unlink(missing_ok=True)
            yield listed(visit)
        yield {panel.working: ""}

    def opening(visit: Visit, name: str, share: float) -> str:
        gathered = visit.gathered
        number = gathered.asked - len(gathered.waiting)
        words = visit.say("compare.opening", name=name, number=number, count=gathered.asked)
        progress = visit.say("compare.progress")
        return tiles.progress(progress, words, number - 1 + share, gathered.asked)

    @told
    def add(visit: Visit) -> Changes:
        people, photo = visit.gathered.people, visit.photo and Path(visit.photo).stem
        here = {person.token for person in people}
        new = [(n, face) for n, face in sorted(visit.faces.items()) if face.token not in here]
        if not new:
            raise ValueError(visit.say("compare.nothing_opened"))
        if len(people) + len(new) > MOST_PEOPLE:
            raise ValueError(visit.say("compare.full", most=MOST_PEOPLE))
        for number, chosen in new:
            face = service.face(chosen.token)
            several = f", {visit.say('compare.face', number=number + 1)}" * (len(visit.faces) > 1)
            name = f"{photo}{several}" if photo else None
            picture = face.picture or service.renderer(face, PREVIEW)({})
            shown_small = small(service, picture, chosen.token)
            has_photo = face.picture is not None
            people.append(Person(name, chosen.token, shown_small, has_photo, own=False))
        return listed(visit)

    @told
    def remove(visit: Visit, event: gr.EventData) -> Changes:
        leave(visit.gathered, at(visit.gathered.people, event.index))
        return listed(visit) | shown(visit)

    def clear(visit: Visit) -> Changes:
        visit.gathered.stop()
        visit.gathered.failures.clear()
        for person in [*visit.gathered.people]:
            leave(visit.gathered, person)
        return listed(visit) | shown(visit)

    def leave(gathered: Gathered, person: Person) -> None:
        gathered.people.remove(person)
        if person.own:
            service.forget([person.token])
        if gathered.board and any(cell.owner == person.token for cell in gathered.board.cells):
            gathered.board.discard()
            gathered.board = None

    # ---- the board

    @told
    def ask(visit: Visit, kind: str, strengths: int) -> Changes:
        gathered, edit = visit.gathered, visit.strengths
        if kind == "people":
            if not gathered.people:
                raise ValueError(visit.say("compare.nobody_to"))
            board = people_board(gathered.people, edit)
        else:
            if visit.token is None:
                raise ValueError(NO_FACE)
            board = attributes_board(visit.token, edit, service.attributes, STRENGTHS[strengths])
        if gathered.board:
            gathered.board.discard()
        gathered.board = board
        return shown(visit)

    def stop(visit: Visit) -> Changes:
        visit.gathered.stop()
        return shown(visit)

    gathering = [panel.people, panel.clear, panel.make]
    asked = panel.photos.upload(
        ask_for_photos,
        [session, panel.photos],
        [*gathering, panel.photos, panel.working],
        trigger_mode="multiple",
        **AT_ONCE,
    )
    asked.success(
        open_photos,
        [session, panel.effort],
        [*gathering, panel.working],
        show_progress_on=[panel.people],
        **LONG,
        **PRIVATELY,
    )
    panel.add.click(add, [session], gathering, **BOARDS, **QUIETLY)
    panel.people.delete(remove, [session], [*gathering, *outcome], **AT_ONCE)
    panel.clear.click(clear, [session], [*gathering, *outcome], queue=False, **QUIETLY)
    asked = panel.make.click(
        ask,
        [session, panel.kind, panel.strengths],
        outcome,
        trigger_mode="multiple",
        **AT_ONCE,
    )
    asked.success(
        showing.make, [session], outcome, show_progress_on=[panel.board], **LONG, **PRIVATELY
    )
    panel.stop.click(stop, [session], outcome, queue=False, **QUIETLY)
    add_return(parts, updates, panel.board, lambda visit: states_of(visit.gathered.board))
    parts.looked.change(
        follow,
        [session],
        [*gathering, panel.add, *outcome],
        trigger_mode="always_last",
        queue=False,
        **QUIETLY,
    )
