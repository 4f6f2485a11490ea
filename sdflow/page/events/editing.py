"""Edits: a preview follows the slider, the full size follows the preview."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import gradio as gr

from sdflow.page import readout
from sdflow.page.endpoints import MODELS
from sdflow.page.errors import told
from sdflow.page.layout import IN_PHOTO, Parts
from sdflow.page.pictures import PREVIEW
from sdflow.page.service import Service
from sdflow.page.shown import full_size, goes_in_photo
from sdflow.page.updates import PRIVATELY, QUIETLY, Changes, Updates
from sdflow.page.visit import Visit

FULL_AFTER = 0.4  # seconds that a slider rests before the full size is rendered


def add_editing(service: Service, parts: Parts, updates: Updates) -> None:
    """Connects sliders and the switch of what is shown."""
    session, view, sliders = parts.session, parts.view, parts.sliders

    @told
    def preview(visit: Visit, **strengths: float) -> Changes:
        moved = {name: strength for name, strength in strengths.items() if strength}
        face = visit.chosen
        if face is None or moved == face.strengths:  # its sliders were only put in place
            return updates.nothing
        request, face.strengths = visit.ask(), moved
        edited = service.edit(face.token, moved, PREVIEW)
        if visit.request != request:
            return updates.nothing
        pair = service.pictures.pair(face.token, edited)
        if goes_in_photo(service, visit):
            text, picture = "Preview of the face, photo follows …", {view.inset: pair[1]}
        else:
            text, picture = f"Preview, {PREVIEW} px …", {view.picture: pair}
        return picture | {
            parts.previewed: request,
            view.caption: readout.caption(text, "preview"),
            view.table: updates.readout(edited),
            view.picture_file: gr.update(interactive=False),
            view.mask_file: gr.update(interactive=False),
        }

    @told
    async def full(visit: Visit) -> AsyncIterator[Changes]:
        request = visit.request
        yield updates.nothing  # a generator that yields nothing would empty its outputs
        await asyncio.sleep(FULL_AFTER)
        if visit.request != request:
            return
        shown = await asyncio.to_thread(full_size, service, visit)
        if visit.request == request:
            yield updates.looks(shown)
            changes = await asyncio.to_thread(updates.downloads, shown)
            if visit.request == request:
                yield changes

    @told
    def switch(visit: Visit, where: str) -> Changes:
        visit.in_photo = where == IN_PHOTO
        request = visit.ask()
        shown, opened = full_size(service, visit), service.again(visit.token)
        if visit.request != request:
            return updates.nothing
        notice = {view.notice: updates.notices(visit, opened.face)}
        return notice | updates.looks(shown) | updates.downloads(shown)

    gr.on(
        [slider.change for slider in sliders.values()],
        preview,
        [session],
        [parts.previewed, *updates.seen, *updates.files],
        inputs_kwargs=sliders,
        trigger_mode="always_last",
        **MODELS,
        **QUIETLY,
    )
    # The full size follows a preview as an event of its own: in one chain with it, the next
    # preview would have to wait. A later request makes it give up.
    parts.previewed.change(
        full,
        [session],
        [*updates.seen, *updates.files],
        trigger_mode="multiple",
        concurrency_limit=None,
        **QUIETLY,
    )
    view.where.input(
        switch,
        [session, view.where],
        [view.notice, *updates.seen, *updates.files],
        show_progress_on=[view.picture],
        trigger_mode="always_last",
        **MODELS,
        **PRIVATELY,
    )
    zeros = [0] * len(sliders)
    parts.reset.click(lambda: zeros, None, [*sliders.values()], queue=False, **PRIVATELY)
