"""The house of every test of weights, and the hub of some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sdflow import manifest, weights
from tests.weights.house import House
from tests.weights.hub import Hub


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


@pytest.fixture
def hub(house: House, tmp_path: Path) -> Iterator[Hub]:
    """A Hub on this machine; processes with its environment use it."""
    del house
    made = Hub(tmp_path / "hf")
    yield made
    made.close()
