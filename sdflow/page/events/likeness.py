"""Work on the likeness: refine and tune, with pictures on the way, and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import gradio as gr

from sdflow.page import readout
from sdflow.page.endpoints import LONG
from sdflow.page.errors import told
from sdflow.page.layout import Parts
from sdflow.page.service import Service
from sdflow.page.shown import way
from sdflow.page.updates import QUIETLY, Changes, Updates
from sdflow.page.visit import COMPARE, IN_PHOTO, Visit
from sdflow.page.work import Abandoned, Work


def add_likeness(service: Service, parts: Parts, updates: Updates) -> None:
    """Connects the buttons below the picture."""
    session, view = parts.session, parts.view
    pair_of_step = service.pictures.pair_of_step

    def ask_for_work(visit: Visit) -> str:
        visit.wanted = True
        return readout.working(visit.say, 0, 0)

    def stop(visit: Visit) -> Any:  # noqa: ANN401
        visit.stop()
        return gr.skip() if visit.work else ""

    @told
    async def improve(visit: Visit, tune: bool) -> AsyncIterator[Changes]:
        face, request = visit.chosen, visit.request
        if not visit.wanted or face is None:  # stopped while it waited for its turn
            yield {view.working: ""}
            return
        steps = 0 if tune and face.refined else None
        work = visit.work = Work(partial(service.refine, face.token, steps, tune))
        try:
            async for step in work.steps():
                changes = {view.working: readout.working(visit.say, step.done, step.steps)}
                if visit.request == request:  # else the visitor looks at an edit by now
                    pair = await asyncio.to_thread(pair_of_step, face.token, step)
                    where = way(service, visit)
                    seen = pair if where == COMPARE else pair[1]
                    small = where == IN_PHOTO
                    changes |= {view.inset: seen} if small else updates.picture(seen)
                yield changes
            opened = await work.result()
            if face not in visit.faces.values():  # it was deleted, or another photo opened
                service.forget([opened.token])
                yield {view.working: ""}
                return
            face.token, face.refined = opened.token, face.refined or visit.wanted
            visit.tokens.add(opened.token)
            if visit.chosen is face:
                yield await asyncio.to_thread(updates.show, visit, opened)
        except Abandoned:
            yield {view.working: ""}
        except Exception:
            yield {view.working: "", view.inset: None}
            raise
        finally:
            work.abandon()
            if visit.work is work:
                visit.work = None

    for button, tune in ((view.refine, False), (view.tune, True)):
        asked = button.click(ask_for_work, [session], [view.working], queue=False, **QUIETLY)
        asked.then(improve, [session, gr.State(tune)], updates.of_a_face, **LONG, **QUIETLY)
    view.stop.click(stop, [session], [view.working], queue=False, **QUIETLY)
