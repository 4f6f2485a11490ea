"""Checkpoints of the full-size networks: a file as its authors published it in, tensors out.

A file is known by its keys, whatever its name, and must fit its network exactly. Reading runs no
code of the file. `convert` writes the same tensors as safetensors, which `read` takes as well.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sdflow import weights
from sdflow.manifest import WeightsError, hash_file
from sdflow.networks.cnf import Flow
from sdflow.networks.e4e import E4E
from sdflow.networks.resnet import AttributeClassifier, ReleasedEstimator
from sdflow.networks.stylegan2 import StyleGAN2
from sdflow.selection import RELEASED
from sdflow.small_files import first_bytes

MEAN_CODE = "latent_avg"  # its key in the files
FETCH_IT = "Fetch it again from where its authors published it."


@dataclass(frozen=True)
class Kind:
    """One published file: how to know it, the network it fits, and what its authors say."""

    name: str  # of the manifest's entry; "{}" stands for the number of attributes
    what: str
    origin: str
    licence: str  # one line; NOTICE has the whole story
    mark: str  # a key that no other kind has
    build: Callable[[int], nn.Module]  # number of attributes → the network
    attributes: Callable[[Tensor], int] | None = None  # the marked tensor → how many
    w_mean: tuple[int, ...] | None = None  # shape of the mean code that goes with it


SDFLOW = "https://arxiv.org/abs/2309.05314: a shared drive that its code's README names"
UNSTATED = "none stated by its authors: research only, and to be kept private"
KINDS = (
    Kind(
        "stylegan2",
        "StyleGAN2 generator, FFHQ, configuration F, 1024 px",
        "stylegan2-ffhq-config-f.pt: NVIDIA's weights in the PyTorch port's layout",
        "Nvidia Source Code License-NC: research / non-commercial use",
        "to_rgb1.bias",
        lambda _: StyleGAN2(),
        w_mean=(512,),
    ),
    Kind(
        "e4e",
        "e4e encoder, FFHQ: aligned crop → W+ code",
        "e4e_ffhq_encode.pt of encoder4editing, https://arxiv.org/abs/2102.02766",
        "MIT says its code; learned from StyleGAN2-FFHQ: research / non-commercial use",
        "latlayer1.weight",
        lambda _: E4E(),
        w_mean=(18, 512),
    ),
    Kind(
        "classifier",
        "classifier of CelebA's 40 attributes and of age",
        f"r34_a40_age_256_classifier.pth of SDFlow, {SDFLOW}",
        UNSTATED,
        "age_heads.fc.weight",
        lambda _: AttributeClassifier(),
    ),
    Kind(
        "estimator_a{}",
        "SDFlow's released semantic estimator: aligned crop → c",
        f"labeldist-0010000 of SDFlow, {SDFLOW}",
        UNSTATED,
        "backbone.fc.weight",
        lambda attributes: ReleasedEstimator(attributes),
        attributes=lambda weight: weight.shape[0],
    ),
    Kind(
        "flow_a{}",
        "SDFlow's released flow: w ↔ z under c",
        f"prior-0010000 of SDFlow, {SDFLOW}",
        UNSTATED,
        "chain.1.odefunc.diffeq.layers.0._hyper_gate.weight",
        lambda attributes: Flow(attributes),
        attributes=lambda weight: weight.shape[-1] - 1,  # the first column is for the time
    ),
)


@dataclass(frozen=True)
class Checkpoint:
    """One network's tensors, under exactly the keys and shapes of its class.

    Attributes:
        kind: which network.
        name: of the manifest's entry, such as ``stylegan2`` or ``flow_a3``.
        state: its state dict, as stored, on the CPU.
        w_mean: the mean code beside it, (512,) for the generator and (18, 512) for e4e.
        attributes: CelebA's names of c's entries, in order; empty where there is no c.
    """

    kind: Kind
    name: str
    state: dict[str, Tensor] = field(repr=False)
    w_mean: Tensor | None = field(default=None, repr=False)
    attributes: tuple[str, ...] = ()


def load(name: str) -> Checkpoint:
    """A network of the manifest, fetched if this machine does not have it.

    Raises:
        WeightsError: it cannot be had, or is not what its name says.
    """
    found = read(weights.path(name))
    if found.name != name:
        raise WeightsError(
            f"The weights {name!r} are {found.kind.what} ({found.name}). Correct the list of "
            "weights, or the folder that SDFLOW_WEIGHTS_DIR names."
        )
    return found


def read(path: Path) -> Checkpoint:
    """A published file, or one that `convert` wrote.

    Raises:
        WeightsError: a damaged or foreign file, or one that would run code.
        OSError: no such file, or it cannot be read.
    """
    content = _read_tensors(path)
    state, w_mean = _state_of(content), content.get(MEAN_CODE)
    kind = next((kind for kind in KINDS if isinstance(state.get(kind.mark), Tensor)), None)
    if kind is None:
        raise WeightsError(
            f"{path.name} is none of the published files ({', '.join(k.name for k in KINDS)}). "
            "Choose one of those that README.md names."
        )
    count = kind.attributes(torch.atleast_1d(state[kind.mark])) if kind.attributes else 0
    if count not in (0, *RELEASED):
        raise WeightsError(
            f"{path.name} is {kind.what} for {count} attributes, and the released ones have 3 "
            "or 5. Choose one of those."
        )
    return Checkpoint(
        kind,
        kind.name.format(count),
        _fitting(state, kind.build, count, f"{path.name} is {kind.what}, but"),
        None if kind.w_mean is None else _mean_code(w_mean, kind, path),
        RELEASED.get(count, ()),
    )


def convert(path: Path, folder: Path) -> tuple[Path, bool]:
    """Writes a published file as safetensors; the same file always gives the same bytes.

    Args:
        path: the file; one that was converted before is taken as well.
        folder: where to; it is made if needed.

    Returns:
        The safetensors file, and whether it was written now rather than found there.

    Raises:
        WeightsError: as for `read`; or there is no room.
        OSError: the folder cannot be written.
    """
    found = read(path)
    told = weights.describe(path) or {
        "network": found.name,
        "what": found.kind.what,
        "origin": found.kind.origin,
        "licence": found.kind.licence,
        "attributes": found.attributes,
        "source_size": path.stat().st_size,
        "source_sha256": hash_file(path),
    }
    target = folder / f"{found.name}.safetensors"
    if target.exists() and weights.describe(target) == json.loads(json.dumps(told)):
        return target, False
    tensors = found.state if found.w_mean is None else {**found.state, MEAN_CODE: found.w_mean}
    tensors = {key: value.clone().contiguous() for key, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}-{os.getpid()}.part")
    try:
        save_file(tensors, part, {weights.CONVERTED: json.dumps(told, ensure_ascii=False)})
        part.chmod(0o644)
        os.replace(part, target)
    except SafetensorError as error:
        raise WeightsError(
            f"{target} cannot be written ({error}). Free some space, or name another folder."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target, True


def _read_tensors(path: Path) -> dict[str, Any]:
    """The file's content, tensors on the CPU and mapped into memory where the format allows it."""
    with path.open("rb"):
        start = first_bytes(path)
    is_zip = zipfile.is_zipfile(path)
    if start.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise WeightsError(
            f"{path.name} is a web page. Open its address in a browser, and save the file that "
            "it offers."
        )
    if not start or (start.startswith(b"PK") and not is_zip):
        raise WeightsError(f"{path.name} is empty or cut off. {FETCH_IT}")
    try:
        if start[5:9] == b"\0\0\0{":
            return load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace]):  # of e4e's options
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        if wanted := re.search(r"GLOBAL (\S+)", str(error)):
            raise WeightsError(
                f"{path.name} would run code ({wanted[1]}) when it is opened, which no published "
                f"file does. {FETCH_IT}"
            ) from error
        raise _unreadable(path) from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle may fail in any way
        raise _unreadable(path) from error
    return content if isinstance(content, dict) else {}


def _unreadable(path: Path) -> WeightsError:
    return WeightsError(
        f"{path.name} is damaged, or neither a PyTorch nor a safetensors file. {FETCH_IT}"
    )


def _state_of(content: dict[str, Any]) -> dict[str, Any]:
    """The tensors of the network that a file is known for, without prefixes.

    The generator's lie below ``g_ema``; the encoder's may lie below ``state_dict``, beside a
    decoder's; a network that was trained on several GPUs has ``module.`` before each key.
    """
    state = content.get("g_ema", content.get("state_dict", content))
    if not isinstance(state, dict):
        return {}
    state = {str(key).removeprefix("module."): value for key, value in state.items()}
    encoder = {
        key.removeprefix("encoder."): value
        for key, value in state.items()
        if key.startswith("encoder.")
    }
    return encoder or {key: value for key, value in state.items() if key != MEAN_CODE}


def _fitting(
    state: dict[str, Any], build: Callable[[int], nn.Module], count: int, complaint: str
) -> dict[str, Tensor]:
    """The state in the network's order; counters of batches that old files lack are zero."""
    with torch.device("meta"):
        expected = build(count).state_dict()
    for key in expected.keys() - state.keys():
        if key.endswith(".num_batches_tracked"):
            state[key] = torch.zeros((), dtype=torch.int64)
    wrong = [
        *(f"{key} is missing" for key in expected if not isinstance(state.get(key), Tensor)),
        *(f"{key} does not belong there" for key in state if key not in expected),
        *(
            f"{key} has the shape {tuple(state[key].shape)} instead of {tuple(value.shape)}"
            for key, value in expected.items()
            if isinstance(state.get(key), Tensor) and state[key].shape != value.shape
        ),
    ]
    if wrong:
        others = f", and {len(wrong) - 1} more such" if len(wrong) > 1 else ""
        raise WeightsError(f"{complaint} {wrong[0]}{others}. {FETCH_IT}")
    return {key: state[key] for key in expected}


def _mean_code(stored: object, kind: Kind, path: Path) -> Tensor:
    """The mean code in the shape of its kind; of e4e it may be stored once for all layers."""
    shape = tuple(stored.shape) if isinstance(stored, Tensor) else None
    if shape not in (kind.w_mean, (512,)):
        found = "is missing" if shape is None else f"has the shape {shape}"
        raise WeightsError(f"{path.name} is {kind.what}, but {MEAN_CODE} {found}. {FETCH_IT}")
    return stored.expand(kind.w_mean)
