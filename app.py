"""The Space: layout and events of the page, and the named endpoints of its API."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

# Both are read when gradio is imported: nothing is reported to anybody, and what visitors upload
# lies in a folder of this process that only its user can read.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
PRIVATE = Path(tempfile.mkdtemp(prefix="sdflow-", dir=os.environ.get("GRADIO_TEMP_DIR")))
os.environ["GRADIO_TEMP_DIR"] = str(PRIVATE)

import gradio as gr  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402

from sdflow.faces import Face  # noqa: E402
from sdflow.page import readout  # noqa: E402
from sdflow.page.endpoints import (  # noqa: E402
    BAR,
    LONG,
    MODELS,
    OPENING,
    add_endpoints,
    steps_shown,
)
from sdflow.page.errors import told  # noqa: E402
from sdflow.page.layout import IN_PHOTO, make_controls, make_source, make_view  # noqa: E402
from sdflow.page.service import PREVIEW, Opened, Service  # noqa: E402
from sdflow.page.shown import Shown, full_size, goes_in_photo  # noqa: E402
from sdflow.page.theme import STYLE, make_theme  # noqa: E402
from sdflow.page.visit import Chosen, Visit  # noqa: E402
from sdflow.page.work import Work  # noqa: E402

EXAMPLES = sorted((Path(__file__).resolve().parent / "examples").glob("*.jpg"))
FULL_AFTER = 0.4  # seconds that a slider rests before the full size is rendered
Changes = dict[Any, Any]  # component → its update
PRIVATELY = {"api_visibility": "private"}
QUIETLY = {"show_progress": "hidden", **PRIVATELY}


def make_page(service: Service) -> gr.Blocks:
    """The page and its endpoints, on top of a service that may still be loading."""
    attributes = service.attributes
    # Deletes uploads after two hours; looks every hour.
    with gr.Blocks(title="SDFlow: edit faces in photos", delete_cache=(3600, 7200)) as page:
        gr.HTML(readout.HEADER, elem_id="header")
        banner = gr.HTML(readout.LOADING, elem_id="banner", visible=service.status != "ready")
        session = gr.State(Visit())
        previewed = gr.State(0)  # the request of the last preview, which the full size follows
        with gr.Row(elem_id="workbench"):
            source, view = make_source(EXAMPLES), make_view()
            sliders, reset = make_controls(attributes)
        with gr.Accordion("Consent, licences, limits, privacy", open=False):
            gr.HTML(readout.NOTES, elem_id="notes")

        # ---- what changes on the page

        as_it_is: Changes = {view.caption: gr.skip()}

        def looks(shown: Shown) -> Changes:
            return {
                view.picture: shown.pair,
                view.inset: None,
                view.caption: readout.caption(shown.caption),
                view.table: readout.readout(attributes, shown.before, shown.after),
            }

        def downloads(shown: Shown) -> Changes:
            picture, mask = shown.write()
            return {
                view.picture_file: gr.update(value=picture, label=shown.label, interactive=True),
                view.mask_file: gr.update(
                    value=mask, visible=mask is not None, interactive=mask is not None
                ),
            }

        def notices(visit: Visit, face: Face) -> str:
            placeless = visit.in_photo and not service.has_photo(visit.token)
            return readout.notice([*face.warnings, *([readout.NO_PLACE] if placeless else [])])

        def show(visit: Visit, opened: Opened) -> Changes:
            """All that changes when a face was opened or refined, but for its sliders."""
            visit.ask()
            shown, face = full_size(service, visit), opened.face
            from_photo = face.crop is not None
            return {
                view.where: gr.update(interactive=True),
                view.empty: "",  # style.css then uncovers the picture
                view.working: "",
                view.likeness: readout.likeness(face.confidence),
                view.notice: notices(visit, face),
                # refinement would drop a tuning
                view.refine: gr.update(interactive=from_photo and face.tuning is None),
                view.tune: gr.update(interactive=from_photo),
                view.face_file: gr.update(value=opened.face_file, interactive=True),
                **looks(shown),
                **downloads(shown),
            }

        def show_face(visit: Visit, opened: Opened) -> Changes:
            """The same with its sliders, as they were left."""
            strengths = visit.strengths
            return show(visit, opened) | {
                slider: gr.update(value=strengths.get(name, 0), interactive=True)
                for name, slider in sliders.items()
            }

        def show_new(visit: Visit, opened: Opened, path: str | None = None) -> Changes:
            """The same for the first face of another photo, or one without a photo."""
            visit.begin(path, opened.token)
            nobody_else = gr.update(value=[], selected_index=None)
            return show_face(visit, opened) | {source.photo: path, source.faces: nobody_else}

        # ---- ways to a face

        @told
        def open_photo(visit: Visit, path: str, progress: gr.Progress = BAR) -> Changes:
            opened = service.open(path, on_step=steps_shown(progress))
            changes = show_new(visit, opened, path) | {source.photo: gr.skip()}  # it shows it
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
            return show_face(visit, opened)

        @told
        def open_example(
            visit: Visit, event: gr.SelectData, progress: gr.Progress = BAR
        ) -> Changes:
            path = str(EXAMPLES[event.index])
            return show_new(visit, service.open(path, on_step=steps_shown(progress)), path)

        @told
        def open_random_face(visit: Visit) -> Changes:
            return show_new(visit, service.random())

        @told
        def open_face_file(visit: Visit, path: str) -> Changes:
            return show_new(visit, service.open_file(path))

        # ---- edits

        @told
        def preview(visit: Visit, **strengths: float) -> Changes:
            moved = {name: strength for name, strength in strengths.items() if strength}
            face = visit.chosen
            if face is None or moved == face.strengths:  # its sliders were only put in place
                return as_it_is
            request, face.strengths = visit.ask(), moved
            edited = service.edit(face.token, moved, PREVIEW)
            if visit.request != request:
                return as_it_is
            pair = service.pair(face.token, edited)
            if goes_in_photo(service, visit):
                text, picture = "Preview of the face, photo follows …", {view.inset: pair[1]}
            else:
                text, picture = f"Preview, {PREVIEW} px …", {view.picture: pair}
            return picture | {
                previewed: request,
                view.caption: readout.caption(text, "preview"),
                view.table: readout.readout(attributes, edited.before, edited.after),
                view.picture_file: gr.update(interactive=False),
                view.mask_file: gr.update(interactive=False),
            }

        @told
        async def full(visit: Visit) -> AsyncIterator[Changes]:
            request = visit.request
            yield as_it_is  # a generator that yields nothing would empty its outputs
            await asyncio.sleep(FULL_AFTER)
            if visit.request != request:
                return
            shown = await asyncio.to_thread(full_size, service, visit)
            if visit.request == request:
                yield looks(shown)
                changes = await asyncio.to_thread(downloads, shown)
                if visit.request == request:
                    yield changes

        @told
        def switch(visit: Visit, where: str) -> Changes:
            visit.in_photo = where == IN_PHOTO
            request = visit.ask()
            shown, opened = full_size(service, visit), service.again(visit.token)
            if visit.request != request:
                return as_it_is
            notice = {view.notice: notices(visit, opened.face)}
            return notice | looks(shown) | downloads(shown)

        # ---- likeness

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
                        pair = await asyncio.to_thread(service.pair_of_step, face.token, step)
                        small = goes_in_photo(service, visit)
                        changes |= {view.inset: pair[1]} if small else {view.picture: pair}
                    yield changes
                opened = await work.result()
                face.token, face.refined = opened.token, face.refined or visit.wanted
                if visit.chosen is face:
                    yield await asyncio.to_thread(show, visit, opened)
            except Exception:
                yield {view.working: "", view.inset: None}
                raise
            finally:
                work.abandon()
                if visit.work is work:
                    visit.work = None

        # ---- events

        seen = [view.picture, view.inset, view.caption, view.table]
        files = [view.picture_file, view.mask_file]
        gr.on(
            [slider.change for slider in sliders.values()],
            preview,
            [session],
            [previewed, *seen, *files],
            inputs_kwargs=sliders,
            trigger_mode="always_last",
            **MODELS,
            **QUIETLY,
        )
        # The full size follows a preview as an event of its own: in one chain with it, the next
        # preview would have to wait. A later request makes it give up.
        previewed.change(
            full,
            [session],
            [*seen, *files],
            trigger_mode="multiple",
            concurrency_limit=None,
            **QUIETLY,
        )
        view.where.input(
            switch,
            [session, view.where],
            [view.notice, *seen, *files],
            show_progress_on=[view.picture],
            trigger_mode="always_last",
            **MODELS,
            **PRIVATELY,
        )
        of_a_face = [view.where, view.empty, view.working, view.likeness, view.notice, view.refine]
        of_a_face += [view.tune, view.face_file, *seen, *files]
        opening = {
            "outputs": [source.photo, source.faces, *of_a_face, *sliders.values()],
            "show_progress_on": [view.empty, view.picture],
            "trigger_mode": "always_last",  # what is chosen during a slow opening comes after it
            **OPENING,
            **PRIVATELY,
        }
        taken = source.photo.input(open_photo, [session, source.photo], **opening)
        # A photo that cannot be used gives way to that of the face which is still shown.
        taken.failure(lambda visit: visit.photo, [session], [source.photo], queue=False,
                      **PRIVATELY)  # fmt: skip
        source.examples.select(open_example, [session], **opening)
        source.faces.select(open_other_face, [session], **opening)
        source.random_face.click(open_random_face, [session], **opening)
        source.face_file.upload(open_face_file, [session, source.face_file], **opening)
        for button, tune in ((view.refine, False), (view.tune, True)):
            asked = button.click(ask_for_work, [session], [view.working], queue=False, **QUIETLY)
            asked.then(improve, [session, gr.State(tune)], of_a_face, **LONG, **QUIETLY)
        view.stop.click(stop, [session], [view.working], queue=False, **QUIETLY)
        zeros = [0] * len(sliders)
        reset.click(lambda: zeros, None, [*sliders.values()], queue=False, **PRIVATELY)

        async def wait_for_models() -> AsyncIterator[dict[str, Any]]:
            while service.status == "loading":
                await asyncio.sleep(0.3)
            ready = service.status == "ready"
            yield gr.update(value=readout.FAILED, visible=not ready)

        page.load(wait_for_models, outputs=[banner], concurrency_limit=None, **QUIETLY)
        add_endpoints(service)
    return page.queue(max_size=20)


def launch(page: gr.Blocks, service: Service, **options: Any) -> tuple[Any, str, str]:  # noqa: ANN401
    """Serves the page with our settings; `options` are those of `gr.Blocks.launch`."""

    async def health(request: Request) -> JSONResponse:
        del request
        code = 503 if service.status == "failed" else 200
        return JSONResponse({"status": service.status}, code)

    return page.launch(
        theme=make_theme(),
        css_paths=STYLE,
        footer_links=["api"],
        show_error=False,
        ssr_mode=False,
        run_history=False,
        max_file_size="25mb",
        allowed_paths=[str(file) for file in EXAMPLES],
        blocked_paths=[str(service.photos.folder)],  # kept photos are never served
        state_session_capacity=500,
        app_kwargs={"routes": [Route("/healthz", health)]},
        **options,
    )


def main() -> None:
    """Starts the server on GRADIO_SERVER_NAME and port 7860, loading the models meanwhile."""
    atexit.register(shutil.rmtree, PRIVATE, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the folder goes
    service = Service(PRIVATE / "made")
    service.start()
    threading.Thread(target=service.keep_tidy, daemon=True).start()
    launch(make_page(service), service)


if __name__ == "__main__":
    main()
