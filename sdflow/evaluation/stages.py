"""Runs an evaluation's jobs in one or several processes; whatever is finished is kept.

Four stages, each a list of jobs that need earlier stages only: the faces in parts; the linear
boundaries; the baselines' poles; sweeps and trials. A job leaves one file in the run
folder, so a killed run goes on where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from sdflow.evaluation.directions import PROJECTED, PUBLISHED
from sdflow.evaluation.methods import OURS
from sdflow.evaluation.populations import GENERATED, PEOPLE, part_path
from sdflow.evaluation.trials import AGE, FIVE, FIVE_AT_ONCE, FLOOR
from sdflow.evaluation.workbench import LINEAR, Settings, Workbench
from sdflow.training.progress import Progress

SECONDS = {  # of one core
    "make_boundary": 3.0, "make_direction": 100.0, "make_poles": 80.0, "sweep": 0.35,
    "trial": 250.0, "inversion": (1.0, 6.0, 36.0, 70.0),
}  # fmt: skip

_bench: Workbench | None = None  # of a worker process


@dataclass(frozen=True)
class Job:
    """A call of one of the workbench's methods, the file it leaves, and its cost in seconds."""

    method: str
    arguments: tuple
    path: Path
    seconds: float


def run_stages(bench: Workbench) -> None:
    """Does whatever is not done yet, and says before how long each stage will take."""
    for what, jobs in _stages(bench):
        run_jobs(bench, what, jobs)


def run_jobs(bench: Workbench, what: str, jobs: Sequence[Job]) -> None:
    """Does the jobs whose files are missing, in as many processes as the settings say."""
    missing = [job for job in jobs if not job.path.exists()]
    if not missing:
        return
    workers = min(bench.settings.workers, len(missing))
    minutes = sum(job.seconds for job in missing) / 60
    share = f"{len(missing)} of {len(jobs)} jobs to do"
    print(f"{what}: {share}, about {minutes:.0f} core minutes", file=sys.stderr)
    progress = Progress(what, len(missing))
    if workers == 1:
        for job in missing:
            getattr(bench, job.method)(*job.arguments)
            progress.advance()
        return
    missing.sort(key=lambda job: -job.seconds)  # long ones first, so that all end together
    with ProcessPoolExecutor(
        workers, get_context("spawn"), _start_worker, (bench.settings,)
    ) as pool:
        futures = [pool.submit(_work, job) for job in missing]
        for future in as_completed(futures):
            future.result()
            progress.advance()


def tune_ours(bench: Workbench) -> dict[str, tuple[float, float]]:
    """Poles of our own flow, by attribute, found as those of every baseline are."""
    names = bench.models.attributes
    run_jobs(bench, "poles", _pole_jobs(bench, OURS, names))
    return {name: bench.poles(OURS, name) for name in names}


def count_edits(bench: Workbench) -> dict[str, int]:
    """Pictures to render and judge in the sweeps, finished ones included, by population."""
    counts: dict[str, int] = {}
    for task in bench.tasks():
        counts[task.population] = counts.get(task.population, 0) + task.edits()
    return counts


def _stages(bench: Workbench) -> Iterator[tuple[str, list[Job]]]:
    yield "faces", [
        Job("make_part", (name, rows), part_path(bench.folder_of(name), name, rows),
            len(rows) * (4.5 if name == PEOPLE else 0.4))
        for name in (GENERATED, PEOPLE) for rows in bench.parts(name)
    ]  # fmt: skip
    names = bench.method_names()
    fitted = bench.models.attributes if PROJECTED in names else ()
    yield "linear boundaries", [
        Job("make_boundary", (name,), bench.boundary_path(name), SECONDS["make_boundary"])
        for name in fitted
    ]
    yield "poles of baselines", [
        Job("make_direction", (method, name), bench.direction_path(method, name),
            SECONDS["make_direction"])
        for method in (PUBLISHED, *LINEAR) if method in names for name in bench.moved_by(method)
    ] + [
        job for method in bench.settings.variants if method in names
        for job in _pole_jobs(bench, method, bench.moved_by(method))
    ]  # fmt: skip
    jobs = []
    for task in bench.tasks():
        path = task.path(bench.folder_of(task.population), bench.method(task.method).key)
        jobs.append(Job("sweep", (task,), path, task.edits() * SECONDS["sweep"]))
    for name, method in trials_of(bench):
        jobs.append(Job("trial", (name, method), bench.trial_path(name, method),
                        SECONDS["trial"]))  # fmt: skip
    for index in range(len(bench.photos) if bench.people or bench.settings.portraits else 0):
        seconds = SECONDS["inversion"][bench.inversion_stages(index) - 1]
        jobs.append(Job("likeness", (index,), bench.likeness_path(index), seconds))
    yield "sweeps and trials", jobs


def _pole_jobs(bench: Workbench, method: str, names: Sequence[str]) -> list[Job]:
    seconds = SECONDS["make_poles"]
    return [Job("make_poles", (method, a), bench.poles_path(method, a), seconds) for a in names]


def trials_of(bench: Workbench) -> list[tuple[str, str]]:
    """Trials and the methods that stand them."""
    if not bench.settings.trial or not bench.settings.faces:
        return []
    ageing = [name for name in (OURS, PUBLISHED)
              if name in bench.method_names() and "young" in bench.moved_by(name)]  # fmt: skip
    trials = [(FLOOR, OURS), *((AGE, name) for name in ageing)]
    if all(name in bench.models.attributes for name in FIVE):
        trials.append((FIVE_AT_ONCE, OURS))
    return trials


def _start_worker(settings: Settings) -> None:
    global _bench
    torch.set_num_threads(1)
    _bench = Workbench(settings)


def _work(job: Job) -> None:
    getattr(_bench, job.method)(*job.arguments)
