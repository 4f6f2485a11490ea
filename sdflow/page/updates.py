"""What changes on the page when a face, an edit or a result is there: component → its update."""

from __future__ import annotations

from typing import Any

import gradio as gr

from sdflow.faces import Face
from sdflow.page import readout
from sdflow.page.layout import Parts
from sdflow.page.service import Opened, Service
from sdflow.page.shown import Shown, full_size
from sdflow.page.visit import Visit

Changes = dict[Any, Any]  # component → its update
PRIVATELY = {"api_visibility": "private"}
QUIETLY = {"show_progress": "hidden", **PRIVATELY}


class Updates:
    """Makes them for one page; every handler of events returns some.

    Attributes:
        nothing: leaves the page as it is.
        seen, files: components of `looks` and of `downloads`.
        of_a_face: those of `show`.
    """

    def __init__(self, service: Service, parts: Parts) -> None:
        view = parts.view
        self._service, self._parts = service, parts
        self.nothing: Changes = {view.caption: gr.skip()}
        self.seen = [view.picture, view.inset, view.caption, view.table]
        self.files = [view.picture_file, view.mask_file]
        self.of_a_face = [
            view.where, view.empty, view.working, view.likeness, view.notice, view.refine,
            view.tune, view.face_file, *self.seen, *self.files,
        ]  # fmt: skip

    def readout(self, shown: Any) -> str:  # noqa: ANN401 - a Shown or an Edited
        """The table of values before and after."""
        return readout.readout(self._service.attributes, shown.before, shown.after)

    def looks(self, shown: Shown) -> Changes:
        """A result, to look at."""
        view = self._parts.view
        return {
            view.picture: shown.pair,
            view.inset: None,
            view.caption: readout.caption(shown.caption),
            view.table: self.readout(shown),
        }

    def downloads(self, shown: Shown) -> Changes:
        """A result, to take along."""
        view, (picture, mask) = self._parts.view, shown.write()
        return {
            view.picture_file: gr.update(value=picture, label=shown.label, interactive=True),
            view.mask_file: gr.update(
                value=mask, visible=mask is not None, interactive=mask is not None
            ),
        }

    def notices(self, visit: Visit, face: Face) -> str:
        """What speaks against the photo, or for what there is none."""
        placeless = visit.in_photo and not self._service.has_photo(visit.token)
        return readout.notice([*face.warnings, *([readout.NO_PLACE] if placeless else [])])

    def show(self, visit: Visit, opened: Opened) -> Changes:
        """All that changes when a face was opened or refined, but for its sliders."""
        visit.ask()
        view, face = self._parts.view, opened.face
        shown, from_photo = full_size(self._service, visit), face.crop is not None
        return {
            view.where: gr.update(interactive=True),
            view.empty: "",  # style.css then uncovers the picture
            view.working: "",
            view.likeness: readout.likeness(face.confidence),
            view.notice: self.notices(visit, face),
            # refinement would drop a tuning
            view.refine: gr.update(interactive=from_photo and face.tuning is None),
            view.tune: gr.update(interactive=from_photo),
            view.face_file: gr.update(value=opened.face_file, interactive=True),
            **self.looks(shown),
            **self.downloads(shown),
        }

    def show_face(self, visit: Visit, opened: Opened) -> Changes:
        """The same with its sliders, as they were left."""
        strengths = visit.strengths
        return self.show(visit, opened) | {
            slider: gr.update(value=strengths.get(name, 0), interactive=True)
            for name, slider in self._parts.sliders.items()
        }

    def show_new(self, visit: Visit, opened: Opened, path: str | None = None) -> Changes:
        """The same for the first face of another photo, or one without a photo."""
        visit.begin(path, opened.token)
        source, nobody_else = self._parts.source, gr.update(value=[], selected_index=None)
        return self.show_face(visit, opened) | {source.photo: path, source.faces: nobody_else}
