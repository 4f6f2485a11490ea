"""Runs app.py as ZeroGPU does, with its own package `spaces`, but on a machine without CUDA.

Everything of `spaces` runs as it is (scheduling, the forked process, what goes in and out) except
its part that patches PyTorch, which needs a build for CUDA: the "GPU" of the fork is its CPU.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def nothing(*given: object, **named: object) -> int:
    """Packs, moves and patches nothing."""
    del given, named
    return 0


def is_in_bad_fork() -> bool:
    """Asked when `spaces` is imported, which has to be before PyTorch."""
    return "torch" in sys.modules


patching = ModuleType("spaces.zero.torch")
for name in ("enter_mode", "patch", "unpatch", "pack", "init", "size", "move"):
    setattr(patching, name, nothing)
patching.is_in_bad_fork = is_in_bad_fork
sys.modules[patching.__name__] = patching
sys.path.insert(0, str(ROOT))
runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
