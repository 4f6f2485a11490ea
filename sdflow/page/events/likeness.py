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
from sdflow.page.shown import goes_in_photo
from sdflow.page.updates import QUIETLY, Changes, Updates
from sdflow.page.visit import Visit
from sdflow.page.work import Work


def add_likeness(service: Service, parts: Parts, updates: Updates) -> None:
    """Connects the buttons below the picture."""
    session, view = parts.session, parts.view
    pair_of_step = service.pictures.pair_of_step

    def ask_for_work(visit: Visit) -> str:
        visit.wanted = True
        return readout.working(0, 0)

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
                changes = {view.working: readout.working(step.done, step.steps)}
                if visit.request == request:  # else the visitor looks at an edit by now
                    pair = await asyncio.to_thread(pair_of_step, face.token, step)
                    small = goes_in_photo(service, visit)
                    changes |= {view.inset: pair[1]} if small else {view.picture: pair}
                yield changes
            opened = await work.result()
            face.token, face.refined = opened.token, face.refined or visit.wanted
            if visit.chosen is face:
                yield await asyncio.to_thread(updates.show, visit, opened)
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
