"""Runs an editor on a GPU that the package `spaces` emulates on the CPU: whatever meets a tensor
of another device fails, as on a real one. `python -m tests.on_emulated_gpu [GENERATOR ENCODER
SEMANTICS]` does every step, with `few` in front the most telling ones.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["SPACES_ZERO_GPU"] = ""  # of that package only its emulation is wanted

import torch

EXAMPLES = Path(__file__).parents[1] / "examples"


def emulate() -> None:
    """From now on `cuda` is a device of this machine, in this thread."""
    torch.version.cuda = "12.8"
    for name in ("_cuda_init", "_cuda_exchangeDevice", "_cuda_maybeExchangeDevice"):
        setattr(torch._C, name, getattr(torch._C, name, lambda *given: 0))
    from spaces.zero.torch import patching

    patching.patch()
    plainly = torch.Tensor.to

    def to(tensor: torch.Tensor, *given: object, **named: object) -> torch.Tensor:
        """The emulation does not know of `a.to(b)`."""
        if given and isinstance(given[0], torch.Tensor):
            return plainly(tensor, device=given[0].device, dtype=given[0].dtype)
        return plainly(tensor, *given, **named)

    torch.Tensor.to = to


def main(few: bool, *parts: str) -> None:
    """Every step; the first that fails ends it."""
    from PIL import Image

    from sdflow import tuning
    from sdflow.models import load_models, move_models
    from sdflow.pipeline import Editor
    from sdflow.selection import Selection

    def did(what: str, step: Callable) -> object:
        start = time.perf_counter()
        result = step()
        print(f"{what}: {time.perf_counter() - start:.1f} s", flush=True)
        return result

    on_cpu = did("load", lambda: load_models(Selection(*parts), "cpu"))
    Editor(on_cpu).random(3)  # it has been used there before, as on ZeroGPU
    models = did("move", lambda: move_models(on_cpu, "cuda"))
    assert {tensor.device.type for tensor in models.flow.state_dict().values()} == {"cuda"}
    editor = Editor(models)
    assert editor.batch > 1
    first, second = models.shipped[:2]
    tuning.STEPS = 1
    face = did("random", lambda: editor.random(3))
    both = [(face, {first: 0.5, second: -1.0}), (face, {})]
    did("edit", lambda: editor.edit_many(both, 512))
    photo = Image.open(min(EXAMPLES.glob("*.jpg")))
    opened = did("open", lambda: editor.open(photo, steps=1))
    if models.can_tune:
        opened = did("tune", lambda: editor.refine(opened, 0, tune=True))
    edited = did("edit", lambda: editor.edit(opened, {first: 1.0}))
    did("paste", lambda: editor.paste(photo, (opened, edited)))
    if few:
        return
    did("refine", lambda: editor.refine(opened, 2))
    did("detail", lambda: editor.edit(opened, {first: 1.0}, detail=True))
    did("paste plainly", lambda: editor.paste(photo, (opened, edited), plain=True))
    did("cut out", lambda: editor.cut_out(edited.image))
    if models.classifier is not None:
        did("classify", lambda: editor.classify(opened))
        did("as the original", lambda: editor.edit(opened, {first: 0.2}, mapping="original"))


if __name__ == "__main__":
    emulate()
    given = sys.argv[1:]
    main(given[:1] == ["few"], *[word for word in given if word != "few"])
