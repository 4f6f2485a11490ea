"""Ways to a face: a photo, another face of it, an example, a random face, a face file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from sdflow.page.endpoints import BAR, OPENING, steps_shown
from sdflow.page.errors import told
from sdflow.page.layout import Parts
from sdflow.page.service import Service
from sdflow.page.updates import PRIVATELY, Changes, Updates
from sdflow.page.visit import Chosen, Visit


def add_opening(
    service: Service, parts: Parts, updates: Updates, examples: Sequence[Path]
) -> None:
    """Connects the left column."""
    session, source, view = parts.session, parts.source, parts.view

    @told
    def open_photo(visit: Visit, path: str, progress: gr.Progress = BAR) -> Changes:
        opened = service.open(path, on_step=steps_shown(progress))
        changes = updates.show_new(visit, opened, path) | {source.photo: gr.skip()}  # it shows it
        if opened.face.faces_found > 1:
            small = service.thumbnails(path)
            changes[source.faces] = gr.update(value=small, selected_index=0)
        return changes

    @told
    def open_other_face(
        visit: Visit, event: gr.SelectData, progress: gr.Progress = BAR
    ) -> Changes:
        visit.stop()
        if event.index in visit.faces:
            opened = service.again(visit.faces[event.index].token)
        else:
            opened = service.open_beside(visit.token, event.index, steps_shown(progress))
            visit.faces[event.index] = Chosen(opened.token)
        visit.number = event.index
        return updates.show_face(visit, opened)

    @told
    def open_example(
        visit: Visit, event: gr.SelectData, progress: gr.Progress = BAR
    ) -> Changes:
        path = str(examples[event.index])
        return updates.show_new(visit, service.open(path, on_step=steps_shown(progress)), path)

    @told
    def open_random_face(visit: Visit) -> Changes:
        return updates.show_new(visit, service.random())

    @told
    def open_face_file(visit: Visit, path: str) -> Changes:
        return updates.show_new(visit, service.open_file(path))

    opening = {
        "outputs": [source.photo, source.faces, *updates.of_a_face, *parts.sliders.values()],
        "show_progress_on": [view.empty, view.picture],
        "trigger_mode": "always_last",  # what is chosen during a slow opening comes after it
        **OPENING,
        **PRIVATELY,
    }
    taken = source.photo.input(open_photo, [session, source.photo], **opening)
    # A photo that cannot be used gives way to that of the face which is still shown.
    taken.failure(
        lambda visit: visit.photo, [session], [source.photo], queue=False, **PRIVATELY
    )
    source.examples.select(open_example, [session], **opening)
    source.faces.select(open_other_face, [session], **opening)
    source.random_face.click(open_random_face, [session], **opening)
    source.face_file.upload(open_face_file, [session, source.face_file], **opening)
