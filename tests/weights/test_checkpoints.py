"""Published checkpoints, as their authors nested and prefixed them."""

from __future__ import annotations

import argparse
import os
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdflow import checkpoints, manifest
from sdflow.weights import WeightsError
from tests.weights.house import House
from tests.weights.published import NAMES, keys, published, save

KINDS = {name: name.replace("a3", "a{}").replace("a5", "a{}") for name in NAMES}


def edited(name: str, edit: Callable[[dict[str, Tensor]], object], tmp_path: Path) -> str:
    """What is told of a published file with other tensors."""
    content = published(name)
    edit(content.get("g_ema", content.get("state_dict", content)))
    with pytest.raises(WeightsError) as told:
        checkpoints.read(save(content, tmp_path / "file"))
    assert str(told.value).startswith("file is ") and "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old format"])
@pytest.mark.parametrize("name", NAMES)
def test_a_published_file_is_known_by_its_keys(name: str, is_zip: bool, tmp_path: Path) -> None:
    path = save(published(name), tmp_path / "any name", is_zip)
    read = checkpoints.read(path)
    assert read.name == name and read.kind.name == KINDS[name]
    wanted = keys(name)
    assert read.state.keys() == wanted.keys()
    for key, (shape, dtype) in wanted.items():
        value = read.state[key]
        assert (list(value.shape), str(value.dtype)) == (list(shape), f"torch.{dtype}")
        assert bool((value == len(key)).all())  # what `published` fills it with
    mean = {"stylegan2": (512,), "e4e": (18, 512)}.get(name)
    assert (read.w_mean is None) if mean is None else (read.w_mean.shape == mean)
    assert len(read.attributes) == {"a3": 3, "a5": 5}.get(name[-2:], 0)


def test_attributes_are_in_the_order_of_their_contract(tmp_path: Path) -> None:
    order = checkpoints.read(save(published("flow_a5"), tmp_path / "flow")).attributes
    assert order == ("Eyeglasses", "Male", "Smiling", "Wavy_Hair", "Young")


def test_the_mean_code_of_e4e_may_be_one_for_all_layers(tmp_path: Path) -> None:
    content = published("e4e")
    content[checkpoints.MEAN_CODE] = torch.arange(512.0)
    read = checkpoints.read(save(content, tmp_path / "e4e"))
    assert torch.equal(read.w_mean, torch.arange(512.0).repeat(18, 1))


@pytest.mark.parametrize("name", ["stylegan2", "e4e"])
def test_a_file_without_its_mean_code(name: str, tmp_path: Path) -> None:
    content = published(name)
    del content[checkpoints.MEAN_CODE]
    with pytest.raises(WeightsError, match="latent_avg is missing. Fetch it again"):
        checkpoints.read(save(content, tmp_path / "file"))


def test_options_beside_the_encoder_are_read_as_data(tmp_path: Path) -> None:
    content = published("e4e")
    content["opts"] = argparse.Namespace(device="cuda:0", size=1024, weights=OrderedDict(a=1))
    assert checkpoints.read(save(content, tmp_path / "e4e")).name == "e4e"
    flat = {**content["state_dict"], checkpoints.MEAN_CODE: content[checkpoints.MEAN_CODE]}
    assert checkpoints.read(save(flat, tmp_path / "flat")).name == "e4e"


def test_only_a_leading_prefix_of_parallel_training_goes(tmp_path: Path) -> None:
    content = {f"module.{key}": value for key, value in published("classifier").items()}
    read = checkpoints.read(save(content, tmp_path / "classifier"))
    assert read.state.keys() == keys("classifier").keys()
    content["extractor.module.conv1.weight"] = content.pop("module.extractor.conv1.weight")
    with pytest.raises(WeightsError, match="extractor.conv1.weight is missing"):
        checkpoints.read(save(content, tmp_path / "classifier"))


def test_counters_of_batches_may_be_missing(tmp_path: Path) -> None:
    content = published("estimator_a3")
    counters = [key for key in content if key.endswith("num_batches_tracked")]
    for key in counters:
        del content[key]
    read = checkpoints.read(save(content, tmp_path / "estimator"))
    assert len(counters) == 36 and all(read.state[key] == 0 for key in counters)
    assert read.state.keys() == keys("estimator_a3").keys()


def test_files_that_do_not_fit_their_network(tmp_path: Path) -> None:
    key = "chain.0.running_var"
    told = edited("flow_a3", lambda state: state.pop(key), tmp_path)
    assert f"but {key} is missing. Fetch it again" in told
    told = edited("flow_a3", lambda state: state.update({key: torch.ones(256)}), tmp_path)
    assert f"{key} has the shape (256,) instead of (512,)." in told
    told = edited("flow_a3", lambda state: state.update({"x": torch.ones(1), "y": 2}), tmp_path)
    assert "x does not belong there, and 1 more such." in told
    name = "chain.1.odefunc.diffeq.layers.0._hyper_gate.weight"
    told = edited("flow_a3", lambda state: state.update({name: torch.ones(512, 5)}), tmp_path)
    assert "for 4 attributes, and the released ones have 3 or 5." in told
    told = edited("estimator_a3", lambda state: state.pop("backbone.fc.weight"), tmp_path)
    assert "is none of the published files" in told
    told = edited("stylegan2", lambda state: state.pop("noises.noise_16"), tmp_path)
    assert "noises.noise_16 is missing" in told


@pytest.mark.parametrize(
    "content", [{}, {"a": torch.ones(2)}, [torch.ones(2)], torch.ones(2), {"g_ema": None}]
)
def test_other_files_of_pytorch(content: Any, tmp_path: Path) -> None:  # noqa: ANN401
    with pytest.raises(WeightsError, match="is none of the published files .* README.md names"):
        checkpoints.read(save(content, tmp_path / "file"))


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old format"])
def test_a_file_that_would_run_code_is_refused(is_zip: bool, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "evil"),))

    path = save({**published("flow_a3"), "options": Evil()}, tmp_path / "flow", is_zip)
    with pytest.raises(WeightsError, match=r"would run code \(\w+\.mkdir\) when it is opened"):
        checkpoints.read(path)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", ["zip", "old format", "safetensors"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_file_that_is_cut_off(kind: str, share: float, tmp_path: Path) -> None:
    path = save(published("flow_a3"), tmp_path / "flow", kind != "old format")
    if kind == "safetensors":
        path, _ = checkpoints.convert(path, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError, match="(cut off|damaged).* Fetch it again"):
        checkpoints.read(path)


def test_a_web_page_and_other_bytes(tmp_path: Path) -> None:
    path = tmp_path / "prior-0010000"
    path.write_text("<!DOCTYPE html><html>Too large to be scanned for viruses</html>")
    with pytest.raises(WeightsError, match="is a web page. Open its address in a browser"):
        checkpoints.read(path)
    for content in (b"\x89PNG\r\n" * 9, b"\x80\x02}q\x00.", b"PK\x05\x06" + bytes(18), b"text"):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=re.escape("prior-0010000 is ")):
            checkpoints.read(path)
    with pytest.raises(FileNotFoundError):
        checkpoints.read(tmp_path / "nothing")


def test_weights_that_are_not_what_their_name_says(house: House, tmp_path: Path) -> None:
    path, _ = checkpoints.convert(save(published("flow_a3"), tmp_path / "flow"), tmp_path)
    for name in ("flow_a3", "flow_a5"):
        file = house.repository / f"{name}.safetensors"
        file.write_bytes(path.read_bytes())
        manifest.add_repository_entry(name, [file], "full-size", "none")
    assert checkpoints.load("flow_a3").attributes == ("Eyeglasses", "Male", "Young")
    with pytest.raises(WeightsError, match=r"'flow_a5' are .* \(flow_a3\). Correct"):
        checkpoints.load("flow_a5")
