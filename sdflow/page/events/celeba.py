"""CelebA's attributes, read when a visitor looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import gradio as gr

from sdflow.page import readout
from sdflow.page.errors import told
from sdflow.page.events.variants import BOARDS
from sdflow.page.layout import Parts
from sdflow.page.service import Service
from sdflow.page.updates import QUIETLY, Changes
from sdflow.page.visit import Visit


def add_celeba(service: Service, parts: Parts) -> None:
    """Connects the fold below the readout, which is read anew with every full size while open."""
    session, source = parts.session, parts.source

    @told
    async def read(visit: Visit) -> AsyncIterator[Changes]:
        if visit.chosen is None or not visit.reads_celeba:
            yield {source.celeba_table: ""}
            return
        request, edit = visit.request, visit.strengths
        face = service.face(visit.token)
        values = await asyncio.to_thread(service.celeba, face, edit)
        # else something else is shown by now, which is read in its turn
        is_now = visit.request == request and visit.reads_celeba
        yield {source.celeba_table: readout.celeba(visit.say, *values) if is_now else gr.skip()}

    def opened(visit: Visit) -> str:
        visit.reads_celeba = True
        return readout.celeba_waits(visit.say) if visit.chosen else ""

    def closed(visit: Visit) -> None:
        visit.reads_celeba = False

    outcome = [source.celeba_table]
    asked = source.celeba.expand(opened, [session], outcome, queue=False, **QUIETLY)
    asked.then(read, [session], outcome, **BOARDS, **QUIETLY)
    source.celeba.collapse(closed, [session], queue=False, **QUIETLY)
    parts.looked.change(
        read, [session], outcome, trigger_mode="always_last", **BOARDS, **QUIETLY
    )
