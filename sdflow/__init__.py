"""SDFlow: edit faces in real photos, attribute by attribute, on small models that run on a CPU.

`Editor` and `ATTRIBUTES` are imported on first use, so that `import sdflow` stays quick.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["ATTRIBUTES", "Editor", "__version__"]

_HOMES = {"ATTRIBUTES": "sdflow.attributes", "Editor": "sdflow.pipeline"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sdflow' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
