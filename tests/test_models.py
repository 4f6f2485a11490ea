"""Loading of semantics: the shipped ones, and a variant in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import torch

from sdflow.attributes import ATTRIBUTES
from sdflow.models import load_models, load_semantics
from sdflow.networks.cnf import Flow
from sdflow.networks.estimator import Estimator
from sdflow.training.export import store


def test_shipped_semantics_fit_the_table() -> None:
    models = load_models()
    entries = len(models.attributes)
    assert set(models.shipped) <= set(models.attributes) <= set(ATTRIBUTES)
    assert models.flow.attributes == entries and models.poles.shape == (entries, 2)
    assert bool((models.poles[:, 0] < models.poles[:, 1]).all())
    table = torch.tensor([ATTRIBUTES[name].poles for name in models.attributes])
    assert torch.allclose(models.poles, table)
    assert models.gates.shape == (entries, 18)
    assert bool(((models.gates >= 0) & (models.gates <= 1)).all())
    assert bool((models.gates.amax(1) > 0.5).all())  # every attribute moves something
    assert models.estimator(torch.zeros(1, 3, 256, 256)).shape == (1, entries)


def test_a_variant_comes_from_its_folder(tmp_path: Path) -> None:
    settings = {
        "attributes": ["smiling", "hat"],
        "shipped": ["smiling"],
        "poles": {"hat": [0.0, 1.0], "smiling": [0.1, 0.9]},
        "gates": {"hat": [0.5] * 18, "smiling": [1.0] * 18},
        "hidden": [8],
    }
    flow = Flow(2, hidden=(8,))
    store(tmp_path, "flow", flow, settings)
    estimator, loaded, told = load_semantics(folder=tmp_path)
    assert estimator is None and told == settings
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, flow.state_dict()[key].half().float()), key
    store(tmp_path, "estimator", Estimator(2))
    assert load_semantics(folder=tmp_path)[0](torch.zeros(1, 3, 256, 256)).shape == (1, 2)
