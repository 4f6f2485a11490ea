"""What changes on the page when a face, an edit or a result is there: component → its update."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import gradio as gr

from sdflow.edit import POLES
from sdflow.faces import Face
from sdflow.page import readout
from sdflow.page.layout import Parts
from sdflow.page.pictures import FORMATS
from sdflow.page.scales import Strengths, mapping_of, to_settings, to_sliders
from sdflow.page.service import Opened, Service
from sdflow.page.shown import Seen, Shown, full_size
from sdflow.page.texts.sentences import translated
from sdflow.page.visit import COMPARE, Visit

Changes = dict[Any, Any]  # component → its update
PRIVATELY = {"api_visibility": "private"}
QUIETLY = {"show_progress": "hidden", **PRIVATELY}


class Updates:
    """Makes them for one page; every handler of events returns some.

    Attributes:
        nothing: leaves the page as it is.
        seen, files, states: components of `looks`, of `downloads` and of `state`.
        of_a_face: those of `show`.
        all: those of `show_new` and `nobody`.
    """

    def __init__(self, service: Service, parts: Parts) -> None:
        view, controls = parts.view, parts.controls
        self._service, self._parts = service, parts
        self._looks = count(1)
        self.nothing: Changes = {view.caption: gr.skip()}
        self.seen = [
            view.picture, view.alone, view.inset, view.caption, parts.source.table, parts.looked,
        ]  # fmt: skip
        self.files = [view.format, view.picture_file, view.mask_file, view.recipe_file]
        self.states = [view.undo, view.redo, view.reset, controls.settings]
        self.of_a_face = [
            view.where, view.working, view.likeness, view.notice, view.refine,
            view.tune, view.face_file, *self.seen, *self.files, *self.states,
        ]  # fmt: skip
        self.all = [
            parts.source.photo, parts.source.faces, *self.of_a_face, controls.apply,
            controls.mapping, *controls.sliders.values(), *controls.presets.values(),
        ]  # fmt: skip

    def readout(self, visit: Visit, shown: Any) -> str:  # noqa: ANN401 - a Shown or an Edited
        """The table of values before and after."""
        return readout.readout(visit.say, self._service.attributes, shown.before, shown.after)

    def picture(self, seen: Seen) -> Changes:
        """A pair to compare, or the one picture that stands in its place."""
        view = self._parts.view
        if isinstance(seen, tuple):
            return {view.picture: seen, view.alone: None}
        return {view.alone: seen}

    def looks(self, visit: Visit, shown: Shown) -> Changes:
        """A result, to look at."""
        view, (width, height) = self._parts.view, shown.size
        words = visit.say("caption.full", width=width, height=height, seconds=shown.seconds)
        return self.picture(shown.seen) | {
            view.inset: None,
            view.caption: readout.caption(visit.say, words, sides=isinstance(shown.seen, tuple)),
            self._parts.source.table: self.readout(visit, shown),
            self._parts.looked: next(self._looks),
        }

    def downloads(self, visit: Visit, shown: Shown) -> Changes:
        """A result, to take along."""
        view = self._parts.view
        suffix = visit.suffixes.get(visit.in_photo, shown.suffix)
        picture, mask = shown.write(suffix)
        return {
            view.format: gr.update(value=suffix, interactive=True),
            view.picture_file: gr.update(value=picture, interactive=True),
            view.mask_file: gr.update(
                value=mask, visible=mask is not None, interactive=mask is not None
            ),
            view.recipe_file: gr.update(value=shown.recipe(), interactive=True),
        }

    def state(self, visit: Visit, strengths: Strengths | None = None) -> Changes:
        """Where the sliders are, or go, among what can be undone or redone, and as JSON."""
        view, strengths = self._parts.view, visit.strengths if strengths is None else strengths
        history = visit.chosen and visit.chosen.history
        return {
            view.undo: gr.update(interactive=bool(history and history.can_undo(strengths))),
            view.redo: gr.update(interactive=bool(history and history.can_redo(strengths))),
            view.reset: gr.update(interactive=bool(strengths)),
            self._parts.controls.settings: json.dumps(to_settings(strengths)),
        }

    def sliders(self, strengths: Strengths) -> Changes:
        """Sliders at strengths, and what they mean then; their change then renders."""
        at, meaning = to_sliders(strengths), self._parts.controls.mapping
        changes = {slider: at.get(name, 0) for name, slider in self._parts.sliders.items()}
        return changes | ({meaning: mapping_of(strengths)} if strengths else {})

    def notices(self, visit: Visit, face: Face) -> str:
        """What speaks against the photo, or for what there is none."""
        placeless = visit.in_photo and not self._service.has_photo(visit.token)
        doubts = [translated(visit.language, sentence) for sentence in face.warnings]
        return readout.notice([*doubts, *([visit.say("no_place")] if placeless else [])])

    def show(self, visit: Visit, opened: Opened) -> Changes:
        """All that changes when a face was opened or refined, but for its sliders."""
        visit.ask()
        visit.tokens.add(opened.token)
        view, face = self._parts.view, opened.face
        shown, from_photo = full_size(self._service, visit), face.crop is not None
        return {
            view.where: gr.update(interactive=True),
            view.working: "",
            view.likeness: readout.likeness(visit.say, face.confidence),
            view.notice: self.notices(visit, face),
            # refinement would drop a tuning
            view.refine: gr.update(interactive=from_photo and face.tuning is None),
            view.tune: gr.update(interactive=from_photo and self._service.can_tune),
            view.face_file: gr.update(value=opened.face_file, interactive=True),
            **self.looks(visit, shown),
            **self.downloads(visit, shown),
            **self.state(visit),
        }

    def show_face(self, visit: Visit, opened: Opened) -> Changes:
        """The same with its sliders, as they were left."""
        controls, strengths = self._parts.controls, visit.strengths
        usable = gr.update(interactive=True)
        if strengths:
            visit.mapping = mapping_of(strengths)
        at = to_sliders(strengths)
        return {
            **self.show(visit, opened),
            controls.apply: usable,
            **{preset: usable for preset in controls.presets.values()},
            controls.mapping: gr.update(value=visit.mapping, interactive=True),
            **{
                slider: gr.update(value=at.get(name, 0), interactive=True)
                for name, slider in self._parts.sliders.items()
            },
        }

    def show_new(
        self,
        visit: Visit,
        opened: Opened,
        path: str | None = None,
        strengths: dict[str, float] | None = None,
    ) -> Changes:
        """The same for the first face of another photo, or one without a photo."""
        visit.begin(path, opened.token)
        visit.chosen.strengths = strengths or {}
        visit.chosen.history.settle(visit.strengths)
        return self.show_face(visit, opened) | self._source(path)

    def nobody(self) -> Changes:
        """The page as it was before the first face."""
        view, controls = self._parts.view, self._parts.controls
        off = gr.update(interactive=False)
        no_file = gr.update(value=None, interactive=False)
        return {
            **{part: off for part in (view.undo, view.redo, view.reset, view.refine, view.tune,
                                      controls.apply, *controls.presets.values())},
            **{part: no_file for part in (view.picture_file, view.face_file, view.recipe_file)},
            **{part: "" for part in (view.working, view.likeness, view.notice,
                                     self._parts.source.table)},
            **{part: None for part in (view.picture, view.alone, view.inset)},
            **{slider: gr.update(value=0, interactive=False)
               for slider in controls.sliders.values()},
            view.mask_file: gr.update(value=None, visible=False),
            view.where: gr.update(value=COMPARE, interactive=False),
            view.format: gr.update(value=FORMATS[0], interactive=False),
            view.caption: readout.caption(),
            controls.mapping: gr.update(value=POLES, interactive=False),
            controls.settings: "{}",
            self._parts.looked: next(self._looks),
            **self._source(None),
        }  # fmt: skip

    def _source(self, path: str | None) -> Changes:
        """The photo with one face, or none."""
        source = self._parts.source
        return {source.photo: path, source.faces: gr.update(value=[], selected_index=None)}
