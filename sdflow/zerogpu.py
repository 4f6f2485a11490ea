"""Hugging Face's ZeroGPU: a GPU that is there only while a decorated function runs.

That function runs in a process that is forked for it and may serve later calls too. Nothing that
it changes is seen by the caller: faces, photos and files stay there, what goes in and comes out is
pickled and lies on the CPU, and its generator's values are all that is heard of it on the way.

`spaces` has to be imported before PyTorch: this module is the first one that app.py imports.
"""

from __future__ import annotations

import os
import queue
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import spaces
except ImportError:
    spaces = None

if TYPE_CHECKING:
    from sdflow.invert import Step
    from sdflow.models import ModelSet
    from sdflow.pipeline import Editor

YES = ("1", "t", "true")  # as `spaces` reads its variables
IS_HERE = spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in YES
AT_ONCE = 4  # calls: each has a process of its own, and may wait long for its GPU
START = 10  # seconds that a process may take until its networks are on the GPU
TAKES = {"edit": 2, "edit_many": 5, "paste": 8}  # seconds of a method, generously; others OTHERS
OTHERS, A_STEP, TUNING = 3, 0.2, 30  # seconds; A_STEP of refinement
Run = Callable[[str, tuple, Mapping[str, Any]], Any]  # method of an editor, its arguments
_models: ModelSet | None = None  # on the CPU; processes that are forked find it here


class NoGPU(RuntimeError):
    """ZeroGPU has none for this call: none was free, or the visitor's share is used up."""


@dataclass(frozen=True)
class Done:
    """The last thing that work tells: its result."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """Or its error, with the lines that tell where it came from; ZeroGPU would replace it by a
    sentence of its own."""

    error: Exception
    lines: str


def runner(models: ModelSet) -> Run:
    """What does an editor's methods on the GPU, for `gpu.GPUEditor`.

    Args:
        models: on the CPU, where they stay.
    """
    global _models
    _models = models
    return _run


def _run(name: str, given: tuple, named: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """One method: its steps are told here, and its errors are raised here.

    Raises:
        NoGPU: it could not be done there.
    """
    import torch

    from sdflow.pipeline import Editor

    bound = signature(getattr(Editor, name)).bind(_models, *given, **named)
    on_step = bound.arguments.pop("on_step", None)
    seconds = _seconds(name, bound.arguments.get("steps"), bound.arguments.get("tune", False))
    with tempfile.TemporaryDirectory() as folder:
        stop, last = Path(folder) / "stop", None
        telling = work(seconds, name, bound.args[1:], bound.kwargs, str(stop))
        with closing(_no_gpu(telling)) as told:
            for last in told:
                if isinstance(last, Done | Failed):
                    break  # what comes after is of no use, and a scheduler that fails waits long
                if on_step and on_step(replace(last, image=torch.from_numpy(last.image))):
                    stop.touch()
    if isinstance(last, Done):
        return last.result
    if isinstance(last, Failed):
        raise last.error from RuntimeError(last.lines)
    raise NoGPU("The work on the GPU ended without a result. Try again.")


def _no_gpu(told: Iterator[Any]) -> Iterator[Any]:
    """The same. `work` tells of its errors, so that whatever is raised here is ZeroGPU's own."""
    try:
        yield from told
    except Exception as error:
        print(f"No GPU: {error}", file=sys.stderr, flush=True)
        raise NoGPU(str(error)) from error


def _seconds(name: str, steps: int | None, tune: bool) -> int:
    """For how long a GPU is asked for: shorter requests are served sooner."""
    from sdflow.invert import REFINED, STEPS

    if steps is None:
        steps = {"open": REFINED if tune else STEPS, "refine": REFINED}.get(name, 0)
    return round(START + TAKES.get(name, OTHERS) + A_STEP * steps + TUNING * tune)


def _decorated(function: Callable) -> Callable:
    return spaces.GPU(duration=lambda seconds, *rest: seconds)(function) if spaces else function


@_decorated
def work(
    seconds: int, name: str, given: tuple, named: Mapping[str, Any], stop: str
) -> Iterator[Step | Done | Failed]:
    """Runs on the GPU: a method of `Editor`, step by step; the pictures of steps are arrays here.

    Args:
        seconds: that it may take.
        name: of the method.
        given, named: its arguments.
        stop: path; when there is a file, the method is told to stop and keeps the best so far.
    """
    del seconds
    editor, ended = _editor(), threading.Event()
    told: queue.Queue[Step | Done | Failed] = queue.Queue()

    def on_step(step: Step) -> bool:
        told.put(replace(step, image=step.image.cpu().numpy()))
        return ended.is_set() or os.path.exists(stop)

    def carry_out() -> None:
        steps = {"on_step": on_step} if name in ("open", "refine") else {}
        try:
            told.put(Done(getattr(editor, name)(*given, **named, **steps)))
        except Exception as error:
            told.put(Failed(error, traceback.format_exc()))
        except BaseException as error:  # else whoever waits would wait for ever
            told.put(Failed(RuntimeError(repr(error)), traceback.format_exc()))

    thread = threading.Thread(target=carry_out)
    thread.start()
    try:
        while not isinstance(latest := _latest(told), Done | Failed):
            yield latest
        yield latest
    finally:  # nobody wants it any more
        ended.set()
        thread.join()


def _latest(told: queue.Queue) -> Step | Done | Failed:
    """Waits for something new; of steps that have gathered, the last."""
    latest = told.get()
    while not told.empty():
        latest = told.get()
    return latest


@cache  # of this process
def _editor() -> Editor:
    """The editor on the GPU, made at the first call that a process serves."""
    import torch

    from sdflow.models import COMPILE, move_models
    from sdflow.pipeline import Editor

    # Threads do not survive a fork, and OpenMP would wait for them for ever.
    torch.set_num_threads(1)
    os.environ.pop(COMPILE, None)  # a minute's work is of no use to a process of seconds
    return Editor(move_models(_models, "cuda" if torch.cuda.is_available() else "cpu"))
