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
from pathlib import Path
from typing import Any

# Both are read when gradio is imported: nothing is reported to anybody, and what visitors upload
# lies in a folder of this process that only its user can read.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
PRIVATE = Path(tempfile.mkdtemp(prefix="sdflow-", dir=os.environ.get("GRADIO_TEMP_DIR")))
os.environ["GRADIO_TEMP_DIR"] = str(PRIVATE)

from sdflow import zerogpu  # noqa: E402, F401, I001 - it has to come before PyTorch

import gradio as gr  # noqa: E402
import gradio.mcp  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402

from sdflow.manifest import WeightsError  # noqa: E402
from sdflow.page import readout  # noqa: E402
from sdflow.page.endpoints import add_endpoints  # noqa: E402
from sdflow.page.errors import Notes  # noqa: E402
from sdflow.page.events.celeba import add_celeba  # noqa: E402
from sdflow.page.events.comparing import add_comparing  # noqa: E402
from sdflow.page.events.controls import add_controls  # noqa: E402
from sdflow.page.events.editing import add_editing  # noqa: E402
from sdflow.page.events.likeness import add_likeness  # noqa: E402
from sdflow.page.events.morphing import add_morphing  # noqa: E402
from sdflow.page.events.opening import add_opening  # noqa: E402
from sdflow.page.events.variants import add_variants  # noqa: E402
from sdflow.page.guard import fetch_nothing, misspelt  # noqa: E402
from sdflow.page.layout import Parts, make_controls, make_source, make_view  # noqa: E402
from sdflow.page.panels import STYLE as PANELS_STYLE  # noqa: E402
from sdflow.page.panels import make_panels  # noqa: E402
from sdflow.page.service import Service  # noqa: E402
from sdflow.page.texts import I18N, language_of, say, text  # noqa: E402
from sdflow.page.texts.sentences import all_translated  # noqa: E402
from sdflow.page.theme import SCRIPT, STYLE, make_theme  # noqa: E402
from sdflow.page.tools import Tools  # noqa: E402
from sdflow.page.updates import QUIETLY, Updates  # noqa: E402
from sdflow.page.visit import Visit  # noqa: E402
from sdflow.presets import shipped_presets  # noqa: E402
from sdflow.selection import decide  # noqa: E402

FOLDER = Path(__file__).resolve().parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.jpg"))
CREDITS = (FOLDER / "CREDITS.md").read_text(encoding="utf-8")


def make_page(service: Service) -> gr.Blocks:
    """The page and its endpoints, on top of a service that may still be loading."""
    # Deletes uploads after two hours; looks every hour.
    with gr.Blocks(title="SDFlow: edit faces in photos", delete_cache=(3600, 7200)) as page:
        header = gr.HTML(text("header"), elem_id="header")
        banner = gr.HTML(text("loading"), elem_id="banner", visible=service.status != "ready")
        session, previewed, looked = gr.State(Visit()), gr.State(0), gr.State(0)
        credited = EXAMPLES, readout.credits(CREDITS)
        with gr.Row(elem_id="workbench"):
            source, view = make_source(*credited, service.classifies), make_view()
            presets = shipped_presets([row.name for row in service.attributes])
            controls = make_controls(service.attributes, presets, service.classifies)
        parts = Parts(session, previewed, looked, source, view, controls)
        panels = make_panels(service.attributes)
        with gr.Accordion(text("notes.title"), open=False):
            models = gr.HTML(elem_id="models")
            gr.HTML(text("notes"), elem_id="notes")
        updates = Updates(service, parts)
        add_opening(service, parts, updates, EXAMPLES, PRIVATE)
        add_editing(service, parts, updates)
        add_controls(service, parts, updates)
        if service.classifies:
            add_celeba(service, parts)
        add_likeness(service, parts, updates)
        add_variants(service, parts, updates, panels.variants)
        add_morphing(service, parts, updates, panels.morphing)
        add_comparing(service, parts, updates, panels.comparing)

        def greet(visit: Visit, request: gr.Request) -> str:
            visit.language, decided = language_of(request.headers), service.decided
            why = all_translated(visit.language, decided.why)
            return readout.models(visit.say, decided.selection, why)

        async def wait_for_models(request: gr.Request) -> AsyncIterator[dict[str, Any]]:
            language = language_of(request.headers)
            while service.status == "loading":
                if file := service.fetching:
                    yield gr.update(value=say(language, "fetching", file=file))
                await asyncio.sleep(0.3)
            ready = service.status == "ready"
            yield gr.update(value=text("failed"), visible=not ready)

        page.load(greet, [session], [models], queue=False, **QUIETLY)
        page.load(wait_for_models, outputs=[banner], concurrency_limit=None, **QUIETLY)
        add_endpoints(service)
    for event in page.fns.values():
        # Every message of any event makes the browser look at all components that have ever shown
        # progress; where an event names none, at all its outputs, even if it shows nothing.
        if event.show_progress == "hidden" and not event.show_progress_on:
            event.show_progress_on = [header]
    return page.queue(max_size=20)


def launch(page: gr.Blocks, service: Service, **options: Any) -> tuple[Any, str, str]:  # noqa: ANN401
    """Serves the page with our settings; `options` are those of `gr.Blocks.launch`."""

    async def health(request: Request) -> JSONResponse:
        del request
        code = 503 if service.status == "failed" else 200
        return JSONResponse({"status": service.status}, code)

    fetch_nothing()
    gradio.mcp.GradioMCPServer = Tools  # there is no other way to hand it over
    return page.launch(
        mcp_server=True,
        theme=make_theme(),
        i18n=I18N,
        css_paths=[STYLE, PANELS_STYLE],
        js=SCRIPT.read_text(encoding="utf-8"),
        footer_links=["api"],
        show_error=False,
        ssr_mode=False,
        run_history=False,
        max_file_size="25mb",
        allowed_paths=[str(file) for file in EXAMPLES],
        blocked_paths=[str(service.photos.folder)],  # kept photos are never served
        state_session_capacity=500,
        app_kwargs={
            "routes": [Route("/healthz", health)],
            "exception_handlers": dict.fromkeys((TypeError, KeyError), misspelt),
        },
        **options,
    )


def main() -> None:
    """Starts the server on GRADIO_SERVER_NAME and port 7860, loading the models meanwhile."""
    atexit.register(shutil.rmtree, PRIVATE, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the folder goes
    try:
        decided = decide()
        print(f"Models: {decided.selection.name}. {decided.why}".rstrip(), file=sys.stderr)
        service = Service(PRIVATE / "made", decided=decided, tell=Notes())
        service.start()
        page = make_page(service)
    except (ValueError, WeightsError) as error:
        sys.exit(f"error: {error}")
    threading.Thread(target=service.keep_tidy, daemon=True).start()
    launch(page, service)


if __name__ == "__main__":
    main()
