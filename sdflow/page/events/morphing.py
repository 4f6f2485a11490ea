"""Morph: a video from the original to the edit, or through a list of edits; progress and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import gradio as gr

from sdflow.page import tiles
from sdflow.page.boards import small
from sdflow.page.endpoints import LONG
from sdflow.page.errors import told
from sdflow.page.events.returning import AT_ONCE, add_return, at
from sdflow.page.events.variants import BOARDS
from sdflow.page.layout import Parts
from sdflow.page.many import Progress, check_morph, morph_file
from sdflow.page.panels import GIF, Morphing
from sdflow.page.pictures import PREVIEW
from sdflow.page.service import NO_FACE, Service
from sdflow.page.tried import MOST_EDITS, Job, Tried
from sdflow.page.updates import PRIVATELY, QUIETLY, Changes, Updates
from sdflow.page.visit import Visit
from sdflow.page.work import Abandoned, Work

FPS = 25


def add_morphing(service: Service, parts: Parts, updates: Updates, panel: Morphing) -> None:
    """Connects the tab."""
    session = parts.session

    def listed(visit: Visit) -> Changes:
        """The way of the morph."""
        stops, is_there = visit.trials.stops, visit.chosen is not None
        start, present = (visit.trials.picture_of(edit) for edit in ({}, visit.strengths))
        way = tiles.path(visit.language, start, present, stops, visit.strengths)
        return {
            panel.path: way if is_there else "",
            panel.add: gr.update(interactive=is_there and len(stops) < MOST_EDITS),
            panel.clear: gr.update(interactive=bool(stops)),
        }

    def result(visit: Visit) -> Changes:
        """The latest morph of the face."""
        file, job = visit.trials.morph, visit.trials.job
        empty = tiles.empty(visit.say("morph.empty"))
        stopped = job is not None and job.stopped
        return {
            panel.working: tiles.ended(visit.say("morph.stopped")) if stopped else "",
            panel.player: tiles.player(visit.language, file) if file else empty,
            panel.file: gr.update(value=file, interactive=file is not None),
        }

    def follow(visit: Visit) -> Changes:
        job, make = visit.trials.job, {panel.make: gr.update(interactive=visit.chosen is not None)}
        busy = job is not None and job.work is not None
        return listed(visit) | make | ({} if busy else result(visit))

    @told
    def add(visit: Visit) -> Changes:
        if visit.chosen is None:
            raise ValueError(NO_FACE)
        stops, token, strengths = visit.trials.stops, visit.chosen.token, visit.strengths
        if len(stops) >= MOST_EDITS:
            raise ValueError(visit.say("morph.full"))
        picture = service.renderer(service.face(token), PREVIEW)(strengths)
        stops.append(Tried(strengths, small(service, picture, token)))
        return listed(visit)

    @told
    def remove(visit: Visit, event: gr.EventData) -> Changes:
        visit.trials.stops.remove(at(visit.trials.stops, event.index))
        return listed(visit)

    def clear(visit: Visit) -> Changes:
        visit.trials.stops.clear()
        return listed(visit)

    @told
    def ask(visit: Visit, seconds: float, back: bool, form: str, size: int) -> Changes:
        if visit.chosen is None:
            raise ValueError(NO_FACE)
        stops = way(visit, back)
        if all(stop == stops[0] for stop in stops):
            raise ValueError(visit.say("morph.nothing"))
        check_morph(service, stops, seconds, FPS, size_of(form, size), form)
        stop(visit)
        visit.trials.job = Job()
        words = visit.say("morph.waiting")
        return {panel.working: tiles.progress(visit.say("morph.progress"), words)}

    def stop(visit: Visit) -> Changes:
        job = visit.trials.job
        if job:
            job.stop()
        return {panel.working: tiles.ended(visit.say("morph.stopped"))}

    @told
    async def make(
        visit: Visit, seconds: float, back: bool, form: str, size: int
    ) -> AsyncIterator[Changes]:
        trials, token = visit.trials, visit.token
        job = trials.job
        if job is None or job.stopped or job.work:  # stopped while it waited for its turn
            yield {panel.working: gr.skip()}
            return
        face, stops = service.face(token), way(visit, back)
        job.work = work = Work(
            lambda on_step: morph_file(
                service, face, stops, seconds, FPS, size_of(form, size), form, token, on_step
            )
        )
        try:
            async for step in work.steps():
                if visit.trials is not trials:  # another face
                    job.stop()
                yield {panel.working: frames(visit, step)}
            file = await work.result()
            if job.stopped:  # while it was written
                file.unlink(missing_ok=True)
            else:
                trials.morph = file
        except Abandoned:
            pass
        except Exception:
            yield {panel.working: ""}
            raise
        finally:
            work.abandon()
            job.work = None
        yield result(visit)

    def frames(visit: Visit, step: Progress) -> str:
        words = "morph.frame" if step.done < step.steps else "morph.writing"
        told_words = visit.say(words, done=step.done, steps=step.steps)
        return tiles.progress(visit.say("morph.progress"), told_words, step.done, step.steps)

    panel.add.click(add, [session], [panel.path, panel.add, panel.clear], **BOARDS, **QUIETLY)
    panel.path.delete(remove, [session], [panel.path, panel.add, panel.clear], **AT_ONCE)
    panel.clear.click(
        clear, [session], [panel.path, panel.add, panel.clear], queue=False, **QUIETLY
    )
    add_return(parts, updates, panel.path, lambda visit: visit.trials.stops)
    wishes = [session, panel.seconds, panel.back, panel.form, panel.size]
    outcome = [panel.working, panel.player, panel.file]
    asked = panel.make.click(ask, wishes, [panel.working], **AT_ONCE)
    asked.success(
        make, wishes, outcome, show_progress_on=[panel.player], **LONG, **PRIVATELY
    )
    panel.stop.click(stop, [session], [panel.working], queue=False, **QUIETLY)
    parts.looked.change(
        follow,
        [session],
        [panel.path, panel.add, panel.clear, panel.make, *outcome],
        trigger_mode="always_last",
        queue=False,
        **QUIETLY,
    )


def way(visit: Visit, back: bool) -> list[Mapping[str, float]]:
    """The strengths that a morph passes: from the original through the list of edits, or to the
    present one; and back again."""
    edits = [stop.strengths for stop in visit.trials.stops] or [visit.strengths]
    stops = [{}, *edits]
    return stops + stops[-2::-1] * back


def size_of(form: str, size: int) -> int:
    """The size of a morph's pictures."""
    return PREVIEW if form == GIF else size
