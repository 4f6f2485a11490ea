"""The full-size benchmark: every step is measured, in one run with the original's slider move."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sdflow import bench_full_size
from sdflow.__main__ import main
from sdflow.bench_full_size import NETWORKS, ORIGINAL, OURS, WAYS, benchmark_full_size, make_steps
from sdflow.networks.stylegan2 import StyleGAN2


@pytest.fixture(scope="module")
def report() -> dict:
    return benchmark_full_size(repeat=1, device="cpu")


def test_every_step_is_measured(report: dict) -> None:
    assert set(report["steps"]) == {
        *ORIGINAL, *OURS, "synthesis_preview", "slider_move_original", "slider_move"
    }  # fmt: skip
    assert all(step["ms"] > 0 for step in report["steps"].values())
    assert report["steps"]["slider_move_original"]["of_original"] == 1
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_slider_move_is_the_sum_of_what_it_does(report: dict) -> None:
    ms = {name: step["ms"] for name, step in report["steps"].items()}
    expected = sum(times * ms[name] for name, times in ORIGINAL.items())
    assert ms["slider_move_original"] == pytest.approx(expected, abs=0.1)
    assert ms["slider_move"] == pytest.approx(ms["edit"] + ms["synthesis"], abs=0.1)
    assert ms["slider_move"] < ms["slider_move_original"]


def test_memory_is_that_of_one_network(report: dict) -> None:
    memory = report["peak_memory_mb"]
    assert set(memory) == set(NETWORKS)
    assert memory["e4e"] > 267e6 * 4 / 2**20 > memory["flow"] > 100


def test_drawn_networks_give_numbers() -> None:
    generator = bench_full_size.drawn("stylegan2")
    assert bool(torch.isfinite(generator.mapping(torch.randn(2, 512))).all())
    z = bench_full_size.drawn("flow").encode(torch.randn(1, 18, 512), torch.rand(1, 5))
    assert bool(torch.isfinite(z).all())


def test_other_ways_draw_the_same_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {**NETWORKS, "stylegan2": lambda: StyleGAN2(16)}
    monkeypatch.setattr(bench_full_size, "NETWORKS", small)
    monkeypatch.setattr(torch, "compile", lambda function, backend: function)  # takes a minute
    with torch.no_grad():
        steps = make_steps(tmp_path, torch.device("cpu"), ways=True)
        expected = steps["synthesis_float32"]()
        for name in WAYS:
            error = (steps[name]() - expected).abs().mean() / expected.abs().mean()
            assert error < (1e-4 if "float32" in name else 0.05), name


def test_the_table_names_every_step(
    report: dict, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_full_size, "benchmark_full_size", lambda repeat, ways: report)
    assert main(["bench", "--full-size"]) == 0
    table = capsys.readouterr().out
    assert all(f"\n{name} " in table for name in report["steps"])
    assert main(["bench", "--full-size", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repeat"] == 1
