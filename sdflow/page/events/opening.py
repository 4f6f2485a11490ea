"""Ways to a face: a photo, another face of it, an example, a random face, a file; and the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import gradio as gr

from sdflow.originals import open_original
from sdflow.page.calls import BAR, steps_shown
from sdflow.page.endpoints import OPENING
from sdflow.page.errors import told
from sdflow.page.layout import Parts
from sdflow.page.pasting import comparable
from sdflow.page.photos import thumbnails
from sdflow.page.scales import edit_of
from sdflow.page.service import Opened, Service
from sdflow.page.updates import PRIVATELY, QUIETLY, Changes, Updates
from sdflow.page.visit import Chosen, Visit
from sdflow.recipes import check_models, is_recipe, load_recipe

UNSHOWN = (".heic", ".heif", ".tif", ".tiff")  # suffixes of photos that few browsers can show


def add_opening(
    service: Service, parts: Parts, updates: Updates, examples: Sequence[Path], uploads: Path
) -> None:
    """Connects the left column; `uploads` is the folder where gradio puts visitors' files."""
    session, source, view = parts.session, parts.source, parts.view

    def opened_for(visit: Visit, way: Callable[[], Opened]) -> Opened:
        """Opens a face, which goes at once if the visitor has everything deleted meanwhile."""
        deletions = visit.deletions
        try:
            opened = way()
        except Exception:
            if visit.deletions != deletions:
                raise ValueError(visit.say("deleted.meanwhile")) from None
            raise
        if visit.deletions != deletions:
            service.forget([opened.token])
            raise ValueError(visit.say("deleted.meanwhile"))
        return opened

    def small_faces(visit: Visit, pictures: Sequence[Path]) -> Changes:
        """The faces of the photo, to choose from; edited ones say so."""
        edited = {number for number, face in visit.faces.items() if face.strengths}
        words = visit.say("faces.edited")
        value = [(file, words if i in edited else None) for i, file in enumerate(pictures)]
        return {source.faces: gr.update(value=value, selected_index=visit.number)}

    @told
    def open_photo(visit: Visit, path: str | None, progress: gr.Progress = BAR) -> Changes:
        if path is None:  # it was taken away, for the camera's picture
            return updates.nothing
        visit.uploads.add(path)
        opened = opened_for(visit, lambda: service.open(path, on_step=steps_shown(progress)))
        photo = path
        if Path(path).suffix.lower() in UNSHOWN:
            photo = str(service.pictures.shown(comparable(open_original(path)), opened.token))
        changes = updates.show_new(visit, opened, photo)
        if photo == path:
            changes[source.photo] = gr.skip()  # it shows it
        if opened.face.faces_found > 1:
            small = thumbnails(path)
            visit.thumbnails = [service.pictures.shown(face, opened.token) for face in small]
            changes |= small_faces(visit, visit.thumbnails)
        return changes

    @told
    def open_other_face(
        visit: Visit, event: gr.SelectData, progress: gr.Progress = BAR
    ) -> Changes:
        visit.stop()
        number = event.index
        if number in visit.faces:
            opened = service.again(visit.faces[number].token)
        else:
            show = steps_shown(progress)
            opened = opened_for(visit, lambda: service.open_beside(visit.token, number, show))
            visit.faces[number] = Chosen(opened.token)
        visit.number = number
        return updates.show_face(visit, opened) | small_faces(visit, visit.thumbnails)

    @told
    def open_example(
        visit: Visit, event: gr.SelectData, progress: gr.Progress = BAR
    ) -> Changes:
        path = str(examples[event.index])
        opened = opened_for(visit, lambda: service.open(path, on_step=steps_shown(progress)))
        return updates.show_new(visit, opened, path)

    @told
    def open_random_face(visit: Visit) -> Changes:
        return updates.show_new(visit, opened_for(visit, service.random))

    @told
    def open_file(visit: Visit, path: str) -> Changes:
        visit.uploads.add(path)
        if not is_recipe(path):
            return updates.show_new(visit, opened_for(visit, lambda: service.open_file(path)))
        recipe = load_recipe(path)
        for sentence in check_models(recipe, service.editor.models):
            gr.Info(sentence)
        edit = edit_of(recipe.strengths, recipe.mapping)
        opened = opened_for(visit, lambda: service.open_face(recipe.face))
        return updates.show_new(visit, opened, strengths=edit)

    @told
    def delete(visit: Visit) -> Changes:
        tokens, files = visit.forget()
        service.forget(tokens)
        for file in map(Path, files):
            if file.is_relative_to(uploads):  # each lies in a folder of its own
                shutil.rmtree(file.parent, ignore_errors=True)
        gr.Info(visit.say("deleted"))
        return updates.nobody()

    opening = {
        "outputs": updates.all,
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
    source.file.upload(open_file, [session, source.file], **opening)
    source.delete.click(delete, [session], updates.all, concurrency_limit=None, **QUIETLY)
