"""Training from nothing at the smallest size: bank, labels, both trainings, resuming, export."""

from __future__ import annotations

import copy
import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors import safe_open

from sdflow.attributes import ATTRIBUTES
from sdflow.images import to_image, to_tensor
from sdflow.models import load_generator
from sdflow.networks.cnf import Flow
from sdflow.networks.estimator import Estimator
from sdflow.networks.fast_synthesis import FastSynthesis
from sdflow.networks.mobile_stylegan import MobileStyleGAN
from sdflow.training import bank, labels
from sdflow.training import sdflow as semantics
from sdflow.training.balance import balanced_sampler, edited_sampler
from sdflow.training.commands import choose_sliders, good_enough, ship
from sdflow.training.degrade import degrade
from sdflow.training.encoder import train_encoder
from sdflow.training.export import storage_loss, store
from sdflow.training.faces import even_weights
from sdflow.training.loop import run
from sdflow.training.recipe import RECIPES
from sdflow.training.sdflow import GATE_START, train_semantics
from sdflow.training.teachers import MEASURES

NAMES = ("eyeglasses", "gender", "young", "smiling", "yaw")


@pytest.fixture(scope="module")
def generator() -> MobileStyleGAN:
    return load_generator()


@pytest.fixture(scope="module")
def folder(generator: MobileStyleGAN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of 2 shards of 3 generated faces, and one shard of 'photos', with made-up labels."""
    folder = tmp_path_factory.mktemp("bank")
    synthesis = FastSynthesis(generator)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(bank, "SHARD", 3)
        sample = partial(bank.sample_codes, generator)
        for worker in (0, 1):  # each of two processes renders one shard
            bank.render_shards(folder, synthesis, sample, 6, worker=worker, workers=2)
        photos = folder / "photos"
        photos.mkdir()
        shard = bank.read_arrays(bank.shards(folder, "generated"), ("image",))
        for i, image in enumerate(shard["image"]):
            large = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((512, 512))
            large.save(photos / f"p{i:04d}_1.jpg")
        found = sorted(photos.glob("*.jpg"))
        bank.align_shards(folder, found, {"p0004", "p0005"})
    rng = np.random.default_rng(0)
    for path in folder.glob("*.safetensors"):
        rows = len(list(bank.unpack_jpegs(bank.load_file(path))))
        table = {"shard": [path.stem] * rows, "row": np.arange(rows)}
        table |= {measure: rng.random(rows).astype(np.float32)
                  for measures in MEASURES.values() for measure in measures}  # fmt: skip
        pq.write_table(pa.table(table), labels.label_path(path))
    return folder


def test_shards_hold_codes_and_their_pictures(folder: Path, generator: MobileStyleGAN) -> None:
    paths = bank.shards(folder, "generated")
    assert [p.stem for p in paths] == ["generated-00000", "generated-00001"]
    shard = bank.load_file(paths[1])
    image = torch.nn.functional.avg_pool2d(generator.preview(shard["w"][:1]), 2)
    stored = shard["image"][:1].float() / 127.5 - 1
    assert (image.clamp(-1, 1) - stored).abs().mean() < 0.02
    pictures = list(bank.unpack_jpegs(shard))
    assert [p.size for p in pictures] == [(512, 512)] * 3
    assert (to_tensor(pictures[0], 256) - stored).abs().mean() < 0.02


def test_a_killed_bank_goes_on_with_the_same_faces(
    folder: Path, generator: MobileStyleGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bank, "SHARD", 3)
    path = bank.shard_path(folder, "generated", 1)
    before, other = bank.load_file(path), bank.shard_path(folder, "generated", 0)
    kept = other.stat().st_mtime_ns
    path.unlink()
    with torch.inference_mode():
        bank.render_shards(folder, FastSynthesis(generator),
                           partial(bank.sample_codes, generator), 6)  # fmt: skip
    assert torch.equal(bank.load_file(path)["w"], before["w"])
    assert other.stat().st_mtime_ns == kept


def test_held_out_people_are_apart(folder: Path) -> None:
    names = {}
    for kind in ("real", "real_held_out"):
        path = bank.shard_path(folder, kind, 0)
        with safe_open(path, "pt") as file:
            names[kind] = set(file.metadata()["photos"].split())
        assert len(bank.load_file(path)["image"]) == len(names[kind]) > 0
    assert names["real"] <= {f"p{i:04d}_1" for i in range(4)}
    assert names["real_held_out"] <= {"p0004_1", "p0005_1"}
    people = bank.held_out_people([Path(f"p{i:04d}_{k}.jpg") for i in range(9) for k in (1, 2)], 3)
    assert len(people) == 3 and people <= {f"p{i:04d}" for i in range(9)}


def test_index_joins_the_labels(folder: Path) -> None:
    table = pq.read_table(labels.write_index(folder))
    assert table.num_rows >= 8 and "yaw" in table.column_names
    values = labels.read_labels(bank.shards(folder, "generated"), NAMES)
    assert values.shape == (6, 5)


def test_balanced_faces_are_of_one_code(folder: Path, generator: MobileStyleGAN) -> None:
    with torch.no_grad():
        codes = balanced_sampler(folder, generator)(np.random.default_rng(0), 10)
    assert codes.shape == (10, 18, 512)
    assert torch.equal(codes[:, 0], codes[:, 17])
    assert len({tuple(code[0, :4].tolist()) for code in codes}) == 10


def test_even_weights_favour_rare_values() -> None:
    values = torch.full((100, 1), 0.1)
    values[:5] = 0.9
    weights = even_weights(values)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 10 * weights[50]


def test_degraded_photos_stay_photos() -> None:
    image = to_tensor(Image.radial_gradient("L").convert("RGB"))  # (1, 3, 256, 256)
    many = degrade(image.repeat(12, 1, 1, 1), np.random.default_rng(0))
    assert many.shape == (12, 3, 256, 256) and many.abs().max() <= 1
    changed = (many - image).abs().mean((1, 2, 3)) > 1e-3
    assert 4 <= changed.sum() <= 11
    assert to_image(many[:1]).size == (256, 256)


def test_encoder_resumes_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    sizes = {"batch": 2, "rendered": 2, "precision": "no"}
    whole = train_encoder(folder, tmp_path / "whole", latent_steps=2, image_steps=1, **sizes)
    again = train_encoder(folder, tmp_path / "whole", latent_steps=2, image_steps=1, **sizes)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert (tmp_path / "whole" / "image" / "log.jsonl").read_text().count("identity") == 1


def test_a_measure_that_joins_later_is_added(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = bank.shard_path(folder, "generated", 0)
    path = Path(shutil.copy(source, tmp_path))
    known = pq.read_table(labels.label_path(source)).drop_columns(["yaw"])
    pq.write_table(known.append_column("p_old", known["age"]), labels.label_path(path))
    assert labels.missing_groups(path) == ("pose",)
    labels.label_shards(tmp_path)
    table = pq.read_table(labels.label_path(path))
    assert table["age"] == known["age"] and "p_old" not in table.column_names
    assert labels.missing_groups(path) == () and table["yaw"].null_count == 0
    assert table["pitch"] != known["pitch"]  # the whole group is measured


def test_edited_faces_are_the_draft_flows(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow = Flow(len(NAMES), hidden=(8,))
    torch.nn.init.normal_(flow.chain[1].odefunc.diffeq.layers[1]._hyper_bias.weight, std=0.1)
    store(tmp_path, "flow", flow, {"attributes": NAMES, "hidden": [8]})
    codes = edited_sampler(folder, tmp_path)(np.random.default_rng(0), 10)
    sources = bank.read_arrays(bank.shards(folder, "generated"), ("w",))["w"]
    assert codes.shape == (10, 18, 512) and bool(codes.isfinite().all())
    nearest = (codes[:, None] - sources).square().mean((2, 3)).min(1).values
    assert bool((nearest > 0).all()) and bool((nearest < 1).all())  # moved, and not replaced


@pytest.mark.parametrize("name", ["ours", "paper", "no_mi", "styleflow"])
def test_semantics_train(
    folder: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of 1500 steps otherwise, to read well what here is made up
    monkeypatch.setattr(semantics, "fit_reader", partial(semantics.fit_reader, steps=20))
    recipe = RECIPES[name]
    trained = train_semantics(
        folder, tmp_path, NAMES, name, recipe, estimator_steps=1, warm_up_steps=1, joint_steps=2,
        batch=2, tokens=4, rendered=2, precision="no",
    )  # fmt: skip
    assert all(bool(p.isfinite().all()) for p in trained.flow.parameters())
    warm_up = json.loads((tmp_path / name / "warm_up" / "log.jsonl").read_text())
    assert ("mi" in warm_up) == (recipe.mi > 0 or recipe.reg > 0)
    assert trained.gates.shape == (5, 18)
    if name == "styleflow":
        assert trained.estimator is None and not (tmp_path / name / "joint").exists()
        return
    joint = json.loads((tmp_path / name / "joint" / "log.jsonl").read_text())
    assert ("mi" in joint) == (recipe.mi > 0) and {"kd", "nll", "reg"} <= joint.keys()
    if recipe.gated:
        learnt = (trained.gates != torch.tensor(GATE_START).sigmoid()) & (trained.gates > 0)
        for row, attribute in zip(learnt, NAMES, strict=True):  # where it may move, all of it
            first, last = ATTRIBUTES[attribute].layers
            assert row.nonzero().flatten().tolist() == list(range(first, last))
    else:
        assert bool((trained.gates == 1).all())


def test_storage_loss_is_that_of_half_precision() -> None:
    torch.manual_seed(0)
    networks = Estimator(2), Flow(2, hidden=[8])
    rounded = copy.deepcopy(networks)
    for network in rounded:
        network.load_state_dict({k: v.half().float() for k, v in network.state_dict().items()})
    faces = torch.rand(3, 3, 160, 160) * 2 - 1, torch.randn(3, 18, 512)
    assert storage_loss(networks, networks, *faces) == {"c": 0.0, "edit": 0.0}
    lost = storage_loss(networks, rounded, *faces)
    assert 0 < lost["c"] < 1e-2 and 0 < lost["edit"] < 1e-2


def test_sliders_are_earned() -> None:
    scores = {
        "smiling": {"accuracy": 0.85, "preservation": 0.93},
        "hat": {"accuracy": 0.84, "preservation": 0.99},
        "bald": {"accuracy": 0.99, "preservation": 0.92},
        "yaw": {"accuracy": 1.0, "preservation": None},
        "means": {"four": {"accuracy": 1.0, "preservation": 1.0}},
    }
    assert good_enough(scores) == {"smiling"}
    assert choose_sliders(("hat", "yaw", "smiling", "young"), scores) == {
        "shipped": ["smiling", "young"], "below the bar": ["young"], "dropped": ["hat", "yaw"]
    }  # fmt: skip


def test_scores_of_no_attribute_are_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('{"means": {}}')
    with pytest.raises(ValueError, match="no scores of attributes"):
        ship(SimpleNamespace(scores=tmp_path / "scores.json"))


def test_a_run_goes_on_after_a_kill_and_keeps_to_its_length(tmp_path: Path) -> None:
    accelerator = Accelerator()

    def train(steps: int, stop: int | None = None) -> torch.Tensor:
        torch.manual_seed(0)
        module = torch.nn.Linear(2, 1)
        optimiser = torch.optim.Adam(module.parameters(), 0.1)

        def step(k: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
            if k == stop:
                raise KeyboardInterrupt
            loss = module(torch.from_numpy(rng.random((4, 2), np.float32))).square().mean()
            return loss, {"loss": loss.item()}

        run(accelerator, tmp_path / f"of{steps}", [module], optimiser, step, steps, save_every=2)
        return module.weight.detach().clone()

    with pytest.raises(KeyboardInterrupt):
        train(6, stop=5)
    state = tmp_path / "of6" / "checkpoint"
    shutil.rmtree(state.with_name("checkpoint.old"))
    state.rename(state.with_name("checkpoint.old"))  # a kill between the two renames of a save
    resumed = train(6)
    shutil.rmtree(tmp_path / "of6")
    assert torch.equal(train(6), resumed)
    (tmp_path / "of6").rename(tmp_path / "of8")
    with pytest.raises(ValueError, match="holds a run of 6 steps, and 8 are asked for"):
        train(8)
