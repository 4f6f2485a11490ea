"""The house of every test of weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdflow import manifest, weights
from tests.weights.house import House


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(tmp_path)
    monkeypatch.setattr(manifest, "REPOSITORY_WEIGHTS", made.repository)
    monkeypatch.setattr(weights, "_checked", set())
    monkeypatch.delenv("SDFLOW_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("SDFLOW_CACHE", str(made.cache))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.shelf))
    return made
