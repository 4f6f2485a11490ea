"""Edits: a preview follows the slider, the full size follows the preview."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import gradio as gr

from sdflow.page import readout
from sdflow.page.endpoints import EDITS, MODELS
from sdflow.page.errors import told
from sdflow.page.layout import Parts
from sdflow.page.pictures import PREVIEW
from sdflow.page.scales import from_sliders
from sdflow.page.service import Service
from sdflow.page.shown import full_size, seen_face, way
from sdflow.page.updates import PRIVATELY, QUIETLY, Changes, Updates
from sdflow.page.visit import FACE, IN_PHOTO, Visit

FULL_AFTER = 0.4  # seconds that a slider rests before the full size is rendered


def add_editing(service: Service, parts: Parts, updates: Updates) -> None:
    """Connects sliders, the switch of what is shown, and the choice of the download's format."""
    session, view, sliders = parts.session, parts.view, parts.sliders
    mapping = parts.controls.mapping

    @told
    def preview(visit: Visit, mapping: str, **strengths: float) -> Changes:
        moved, face = from_sliders(strengths, mapping), visit.chosen
        visit.mapping = mapping
        if face is None or moved == face.strengths:  # its sliders were only put in place
            return updates.nothing
        request, face.strengths = visit.ask(), moved
        face.history.moved(moved)
        try:
            edited, where = service.preview(face.token, moved), way(service, visit)
            in_photo = where == IN_PHOTO
            seen = seen_face(service, face.token, FACE if in_photo else where, edited)
        except Exception:
            if visit.request == request:  # else it was deleted, or nobody waits for it
                raise
        if visit.request != request:
            return updates.nothing
        words = visit.say("caption.follows" if in_photo else "caption.preview", size=PREVIEW)
        pair = in_photo or isinstance(seen, tuple)
        changes = {
            **({view.inset: seen} if in_photo else updates.picture(seen)),
            view.caption: readout.caption(visit.say, words, "preview", sides=pair),
            parts.source.table: updates.readout(visit, edited),
        }
        goes_on, visit.previewed = visit.previewed == request - 1, request
        if not (goes_on and visit.awaited):  # else the preview before has done all this
            unready = gr.update(interactive=False)
            changes |= {file: unready for file in updates.files} | updates.state(visit)
        if not visit.awaited:
            visit.awaited = True
            changes[parts.previewed] = request
        return changes

    @told
    async def full(visit: Visit) -> AsyncIterator[Changes]:
        yield updates.nothing  # a generator that yields nothing would empty its outputs
        request = None
        try:
            while visit.request != request:  # until the sliders rest
                request = visit.request
                if request != visit.previewed:  # something else is shown, or being made
                    return
                await asyncio.sleep(FULL_AFTER)
        finally:
            visit.awaited = False
        visit.chosen.history.settle(visit.strengths)
        yield updates.state(visit)
        try:
            shown = await asyncio.to_thread(full_size, service, visit)
            if visit.request == request:
                yield updates.looks(visit, shown)
                changes = await asyncio.to_thread(updates.downloads, visit, shown)
                if visit.request == request:
                    yield changes
        except Exception:
            if visit.request == request:
                raise

    @told
    def switch(visit: Visit, where: str) -> Changes:
        visit.where = where
        request = visit.ask()
        shown, opened = full_size(service, visit), service.again(visit.token)
        if visit.request != request:
            return updates.nothing
        notice = {view.notice: updates.notices(visit, opened.face)}
        return notice | updates.looks(visit, shown) | updates.downloads(visit, shown)

    @told
    def choose_format(visit: Visit, suffix: str) -> Changes:
        visit.suffixes[visit.in_photo] = suffix
        request, shown = visit.request, full_size(service, visit)
        changes = updates.downloads(visit, shown)
        return changes if visit.request == request else updates.nothing

    gr.on(
        [slider.change for slider in (*sliders.values(), mapping)],
        preview,
        [session, mapping],
        [parts.previewed, *updates.seen, *updates.files, *updates.states],
        inputs_kwargs=sliders,
        trigger_mode="always_last",
        **EDITS,
        # style.css shows the place in the queue to those who wait for more than a moment
        show_progress="minimal",
        show_progress_on=[view.caption],
        **PRIVATELY,
    )
    # The full size follows the previews as an event of its own: in one chain with them, the next
    # preview would have to wait. One event waits for all previews of a drag.
    parts.previewed.change(
        full,
        [session],
        [*updates.seen, *updates.files, *updates.states],
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
    # until then the button would still give the other format
    chosen = view.format.input(
        lambda: gr.update(interactive=False), None, [view.picture_file], queue=False, **QUIETLY
    )
    chosen.then(choose_format, [session, view.format], updates.files, **MODELS, **QUIETLY)
