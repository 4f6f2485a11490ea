"""The Space: layout and events of the page, and the named endpoints of its API."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from html import escape
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

from sdflow.page import readout  # noqa: E402
from sdflow.page.endpoints import MODELS, add_endpoints  # noqa: E402
from sdflow.page.errors import told  # noqa: E402
from sdflow.page.photo import Photo  # noqa: E402
from sdflow.page.service import PREVIEW, Opened, Service  # noqa: E402
from sdflow.page.theme import STYLE, make_theme  # noqa: E402

EXAMPLES = sorted((Path(__file__).resolve().parent / "examples").glob("*.jpg"))
BAR = gr.Progress()  # gradio fills in the progress of the event
FULL_AFTER = 0.4  # seconds that a slider rests before the full size is rendered
Visit = dict[str, Any]  # what a session keeps: see `session`
PRIVATELY = {"api_visibility": "private"}


def make_page(service: Service) -> gr.Blocks:
    """The page and its endpoints, on top of a service that may still be loading."""
    attributes = service.attributes
    # Deletes uploads after two hours; looks every hour.
    with gr.Blocks(title="SDFlow: edit faces in photos", delete_cache=(3600, 7200)) as page:
        gr.HTML(readout.HEADER, elem_id="header")
        banner = gr.HTML(readout.LOADING, elem_id="banner", visible=service.status != "ready")
        # All that a session keeps; one dictionary that its handlers change, so that a slow one
        # sees that another came after it: the face's token and photo, and the last request.
        session = gr.State({"token": None, "photo": None, "strengths": {}, "request": 0})
        with gr.Row(elem_id="workbench"):
            with gr.Column(elem_id="source"):
                photo = Photo(
                    label="Photo",
                    sources=["upload", "webcam", "clipboard"],
                    height=220,
                    elem_id="photo",
                    buttons=[],
                )
                with gr.Column(elem_id="several"):  # style.css hides it while it is empty
                    gr.HTML("<h2>Faces in the photo</h2>")
                    faces = gallery("Faces in the photo", "faces")
                with gr.Row():
                    random_face = gr.Button(
                        "Random face",
                        variant="primary",
                        size="md",
                        min_width=100,
                        elem_id="random",
                    )
                    face_file = gr.UploadButton(
                        "Open face file", file_types=[".safetensors"], size="md", min_width=100
                    )
                gr.HTML("<h2>Examples</h2>")
                examples = gallery("Examples", "examples", [str(file) for file in EXAMPLES])
            with gr.Column(elem_id="view"):
                with gr.Column(elem_id="result"):
                    empty = gr.HTML(readout.EMPTY, elem_id="empty")
                    picture = gr.ImageSlider(
                        type="filepath",
                        show_label=False,
                        interactive=False,
                        max_height=2000,  # the style sheet limits it
                        buttons=["fullscreen"],
                        elem_id="picture",
                    )
                    caption = gr.HTML(readout.caption(""), elem_id="caption")
                with gr.Column(elem_id="details"):
                    with gr.Row():
                        png = gr.DownloadButton(
                            "Download PNG",
                            interactive=False,
                            size="md",
                            min_width=120,
                            elem_id="png",
                        )
                        saved = gr.DownloadButton(
                            "Face file",
                            interactive=False,
                            size="md",
                            min_width=120,
                            elem_id="face-file",
                        )
                    table = gr.HTML(elem_id="readout")
            with gr.Column(elem_id="controls"):
                sliders: dict[str, gr.Slider] = {}
                reset = gr.Button("Reset all", size="sm", elem_id="reset")
                for group, members in readout.grouped(attributes):
                    gr.HTML(f"<h2>{escape(group)}</h2>")
                    for attribute in members:
                        with gr.Group(elem_classes="attribute"):
                            sliders[attribute.name] = gr.Slider(
                                -1,
                                1,
                                value=0,
                                step=0.05,
                                label=attribute.label,
                                interactive=False,
                                elem_id=f"slider-{attribute.name}",
                            )
                            gr.HTML(readout.poles(attribute))
        with gr.Accordion("Consent, licences, limits, privacy", open=False):
            gr.HTML(readout.NOTES, elem_id="notes")

        def show(opened: Opened, visit: Visit, path: str | None = None) -> dict[Any, Any]:
            """All that changes on the page when a face was opened; `path` is its photo."""
            visit.update(token=opened.token, photo=path, strengths={})
            visit["request"] += 1
            edited = service.edit(opened.token, {})
            return {
                photo: path,
                faces: gr.update(value=[], selected_index=None),
                empty: "",  # style.css then uncovers the picture
                picture: service.pair(opened.token, edited),
                caption: readout.caption("1024 px"),
                table: readout.readout(attributes, edited.before, edited.after),
                png: gr.update(value=service.download(edited.image), interactive=True),
                saved: gr.update(value=opened.face_file, interactive=True),
            } | {slider: gr.update(value=0, interactive=True) for slider in sliders.values()}

        @told
        def open_photo(visit: Visit, path: str, progress: gr.Progress = BAR) -> dict[Any, Any]:
            opened = service.open(path, 0, steps_shown(progress))
            shown = show(opened, visit, path) | {photo: gr.skip()}  # it shows it already
            if opened.face.faces_found > 1:
                shown[faces] = gr.update(value=service.thumbnails(path), selected_index=0)
            return shown

        @told
        def open_other_face(
            visit: Visit, event: gr.SelectData, progress: gr.Progress = BAR
        ) -> dict[Any, Any]:
            path = visit["photo"]
            opened = service.open(path, event.index, steps_shown(progress))
            return show(opened, visit, path) | {faces: gr.skip()}

        @told
        def open_example(
            visit: Visit, event: gr.SelectData, progress: gr.Progress = BAR
        ) -> dict[Any, Any]:
            path = str(EXAMPLES[event.index])
            return show(service.open(path, 0, steps_shown(progress)), visit, path)

        @told
        def open_random_face(visit: Visit) -> dict[Any, Any]:
            return show(service.random(), visit)

        @told
        def open_face_file(visit: Visit, path: str) -> dict[Any, Any]:
            return show(service.open_file(path), visit)

        @told
        def preview(visit: Visit, **strengths: float) -> dict[Any, Any]:
            moved = {name: strength for name, strength in strengths.items() if strength}
            if moved == visit["strengths"]:  # a new face has put its sliders to 0
                return {caption: gr.skip()}
            visit["request"] += 1
            edited = service.edit(visit["token"], moved, PREVIEW)
            visit["strengths"] = moved
            return {
                session: visit,
                picture: service.pair(visit["token"], edited),
                caption: readout.caption("Preview, 512 px …", "preview"),
                table: readout.readout(attributes, edited.before, edited.after),
                png: gr.update(interactive=False),
            }

        @told
        async def full(visit: Visit) -> AsyncIterator[dict[Any, Any]]:
            request, token = visit["request"], visit["token"]
            await asyncio.sleep(FULL_AFTER)
            if visit["request"] != request:
                return
            edited = await asyncio.to_thread(service.edit, token, visit["strengths"])
            pair = await asyncio.to_thread(service.pair, token, edited)
            if visit["request"] == request:
                text = f"1024 px, in {edited.seconds:.1f} s"
                yield {picture: pair, caption: readout.caption(text)}
                file = await asyncio.to_thread(service.download, edited.image)
                if visit["request"] == request:
                    yield {png: gr.update(value=file, interactive=True)}

        gr.on(
            [slider.change for slider in sliders.values()],
            preview,
            [session],
            [session, picture, caption, table, png],
            inputs_kwargs=sliders,
            trigger_mode="always_last",
            show_progress="hidden",
            **MODELS,
            **PRIVATELY,
        )
        # The full size follows a preview as an event of its own: in one chain with it, the next
        # preview would have to wait. A later request makes it give up.
        session.change(
            full,
            [session],
            [picture, caption, png],
            trigger_mode="multiple",
            show_progress="hidden",
            concurrency_limit=None,
            **PRIVATELY,
        )
        shown_when_opened = [photo, faces, empty, picture, caption, table, png, saved]
        opening = {
            "outputs": [*shown_when_opened, *sliders.values()],
            "show_progress_on": [empty, picture],
            "trigger_mode": "always_last",  # what is chosen during a slow opening comes after it
            **MODELS,
            **PRIVATELY,
        }
        taken = photo.input(open_photo, [session, photo], **opening)
        # A photo that cannot be used gives way to that of the face which is still shown.
        taken.failure(lambda visit: visit["photo"], [session], [photo], queue=False, **PRIVATELY)
        examples.select(open_example, [session], **opening)
        faces.select(open_other_face, [session], **opening)
        random_face.click(open_random_face, [session], **opening)
        face_file.upload(open_face_file, [session, face_file], **opening)
        zeros = [0] * len(sliders)
        reset.click(lambda: zeros, None, [*sliders.values()], queue=False, **PRIVATELY)

        async def wait_for_models() -> AsyncIterator[dict[str, Any]]:
            while service.status == "loading":
                await asyncio.sleep(0.3)
            ready = service.status == "ready"
            yield gr.update(value=readout.FAILED, visible=not ready)

        page.load(
            wait_for_models,
            outputs=[banner],
            show_progress="hidden",
            concurrency_limit=None,
            **PRIVATELY,
        )
        add_endpoints(service)
    return page.queue(max_size=20)


def gallery(label: str, name: str, files: list[str] | None = None) -> gr.Gallery:
    """A row of small pictures to choose from."""
    return gr.Gallery(
        files,
        label=label,
        show_label=False,
        elem_id=name,
        columns=4,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
    )


def steps_shown(progress: gr.Progress) -> Callable[[int, int], None]:
    """Tells a visitor how far the likeness has been refined."""
    return lambda done, steps: progress((done, steps), desc="Working on the likeness")


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
    launch(make_page(service), service)


if __name__ == "__main__":
    main()
