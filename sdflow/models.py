"""Model sets: loads the networks behind one interface; nothing else knows which ones run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from torch.overrides import TorchFunctionMode

from sdflow import checkpoints, weights
from sdflow.allocator import tune_allocator
from sdflow.attributes import ATTRIBUTES
from sdflow.networks.cnf import Flow
from sdflow.networks.corrector import Corrector
from sdflow.networks.e4e import E4E
from sdflow.networks.encoder import Encoder
from sdflow.networks.estimator import Estimator
from sdflow.networks.fast_synthesis import FastSynthesis, native_dtype
from sdflow.networks.identity import IdentityNetwork, state_from_dlib
from sdflow.networks.mobile_stylegan import MobileStyleGAN, state_from_ir
from sdflow.networks.parsing import CLASSES, ParsingNetwork
from sdflow.networks.resnet import AttributeClassifier, ReleasedEstimator
from sdflow.networks.stylegan2 import StyleGAN2, Synthesis
from sdflow.openvino_ir import read_constants
from sdflow.selection import CELEBA, OVERSHOOT, Selection, check, classifies, decide

COMPILE = "SDFLOW_COMPILE"  # variable of the environment; 1 compiles StyleGAN2 when it first draws


@dataclass(frozen=True)
class ModelSet:
    """The loaded networks of one set, in eval mode and frozen.

    Attributes:
        selection: which networks they are.
        generator: w → image, differentiable; owns ``mapping``, ``truncate`` and ``w_mean``.
        synthesis: (w, size, tuning) → image (B, 3, size, size), the fast path, differentiable;
            size 1024 or 512, a tuning or None.
        can_tune: whether it takes a tuning.
        encoder: crop (B, 3, 256, 256) → w (B, 18, 512).
        corrector: photo and rendering → offset of w; None beside an encoder that has none.
        estimator: crop (B, 3, 256, 256) → c (B, A).
        flow: w ↔ z under c.
        identity: crop → dlib descriptor (B, 128), differentiable.
        parser: crop → logits of the parsing classes (B, 8, 256, 256).
        axes: principal axes of W times their standard deviations, (512, 512): ``u @ axes`` is
            an offset of w for u in standard deviations.
        classes: names of the parser's classes, in order.
        attributes: names of c's entries, in order.
        shipped: those of them that evaluation found good enough for a slider.
        poles: c at strength −1 and at strength +1, (A, 2).
        gates: share of its change that each attribute gives each layer of w, (A, 18) in 0..1;
            None where every attribute moves all layers.
        classifier: crop (B, 3, 256, 256) → CelebA's attributes; None where it is not at hand.
        device: where all of them are.
    """

    selection: Selection
    generator: MobileStyleGAN | StyleGAN2
    synthesis: Callable[..., torch.Tensor]
    can_tune: bool
    encoder: nn.Module
    corrector: Corrector | None
    estimator: nn.Module
    flow: Flow
    identity: IdentityNetwork
    parser: ParsingNetwork
    axes: torch.Tensor
    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    shipped: tuple[str, ...]
    poles: torch.Tensor
    gates: torch.Tensor | None
    classifier: AttributeClassifier | None
    device: torch.device

    @property
    def name(self) -> str:
        """Of the set, or of the mix; face files and recipes carry it."""
        return self.selection.name


@dataclass(frozen=True)
class Semantics:
    """What a `ModelSet` has of them, under its names."""

    estimator: nn.Module
    flow: Flow
    attributes: tuple[str, ...]
    shipped: tuple[str, ...]
    poles: torch.Tensor
    gates: torch.Tensor | None


def load_models(
    selection: Selection | None = None, device: torch.device | str | None = None
) -> ModelSet:
    """Loads a model set; weights that are not there yet are fetched.

    Args:
        selection: which networks; default what the environment asks for, see `sdflow.selection`.
        device: default CUDA where there is one, else the CPU.

    Raises:
        ValueError: the environment asks for what there is not.
        WeightsError: a file cannot be had, or is not what the manifest says.
    """
    selection = selection or decide().selection
    check(selection)
    tune_allocator()  # for the whole process
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    light, ours = selection.generator == "mobile", selection.encoder == "ours"
    generator = load_generator(device) if light else load_stylegan2(device)
    if selection.released:
        semantics = load_released(selection.released, device)
    else:
        semantics = load_ours(device)
    return ModelSet(
        selection=selection,
        generator=generator,
        synthesis=make_synthesis(generator),
        can_tune=light,
        encoder=load_encoder(device) if ours else load_e4e(device),
        corrector=load_corrector(device) if ours else None,
        identity=load_identity(device),
        parser=load_parsing(device),
        axes=principal_axes(generator),
        classes=CLASSES,
        classifier=load_classifier(device) if classifies(selection) else None,
        device=device,
        **vars(semantics),
    )


def move_models(models: ModelSet, device: torch.device | str) -> ModelSet:
    """The set on another device. Its networks go there: what was handed in is of no use after."""
    there = {
        name: value.to(device)
        for name, value in vars(models).items()
        if isinstance(value, nn.Module | torch.Tensor) and name != "synthesis"
    }
    there["synthesis"] = make_synthesis(there["generator"])
    return replace(models, **there, device=torch.device(device))


def make_synthesis(generator: MobileStyleGAN | StyleGAN2) -> Callable[..., torch.Tensor]:
    """The fast path of a generator, in what precision its device computes natively.

    The environment may ask for StyleGAN2's to be compiled: a minute's work, see README.md.
    """
    if isinstance(generator, MobileStyleGAN):
        return FastSynthesis(generator)
    compiler = "inductor" if os.environ.get(COMPILE) == "1" else None
    return Synthesis(generator, native_dtype(generator.w_mean.device), compiler=compiler)


def is_full(error: RuntimeError) -> bool:
    """Whether an error says that a device has no memory left; CUDA's libraries have own words."""
    words = ("ALLOC_FAILED", "out of memory")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)


def load_generator(device: torch.device | str = "cpu") -> MobileStyleGAN:
    """The 1024 px generator in float32, from the exported IR files."""
    constants = [
        read_constants(
            weights.path("mobile_stylegan", f"{network}.xml"),
            weights.path("mobile_stylegan", f"{network}.bin"),
        )
        for network in ("MappingNetwork", "SynthesisNetwork")
    ]
    state = state_from_ir(*constants, weights.load("w_mean")["w_mean"])
    return _fill(MobileStyleGAN, state, device)


def load_stylegan2(device: torch.device | str = "cpu") -> StyleGAN2:
    """The full-size generator in float32."""
    found = checkpoints.load("stylegan2")
    generator = _fill(StyleGAN2, found.state, device)
    generator.w_mean.copy_(found.w_mean)
    return generator


@torch.no_grad()
def principal_axes(generator: MobileStyleGAN | StyleGAN2, codes: int = 8000) -> torch.Tensor:
    """Axes of W (512, 512), one a row, as long as w's standard deviation along each."""
    z = torch.randn(codes, 512, generator=torch.Generator().manual_seed(0))
    w = generator.mapping(z.to(generator.w_mean.device))
    variances, axes = torch.linalg.eigh(torch.cov(w.T))
    return (axes * variances.clamp(min=0).sqrt()).T.contiguous()


def load_encoder(device: torch.device | str = "cpu") -> Encoder:
    """Our encoder, stored in float16, run in float32."""
    return _fill(Encoder, weights.load("encoder"), device)


def load_corrector(device: torch.device | str = "cpu") -> Corrector:
    """Our corrector of the encoder's codes, stored in float16, run in float32."""
    return _fill(Corrector, weights.load("corrector"), device)


def load_e4e(device: torch.device | str = "cpu") -> E4E:
    """The full-size encoder in float32."""
    found = checkpoints.load("e4e")
    encoder = _fill(E4E, found.state, device)
    encoder.w_mean.copy_(found.w_mean)
    return encoder


def load_classifier(device: torch.device | str = "cpu") -> AttributeClassifier:
    """The classifier of CelebA's attributes and of age in float32."""
    return _fill(AttributeClassifier, checkpoints.load("classifier").state, device)


def load_released(attributes: int, device: torch.device | str = "cpu") -> Semantics:
    """The estimator and flow that SDFlow's authors released, for 3 or 5 attributes."""
    estimator, flow = (checkpoints.load(f"{name}_a{attributes}") for name in ("estimator", "flow"))
    names = tuple(CELEBA[name] for name in flow.attributes)
    return Semantics(
        _fill(partial(ReleasedEstimator, attributes), estimator.state, device),
        _fill(partial(Flow, attributes), flow.state, device),
        names,
        tuple(name for name in ATTRIBUTES if name in names),
        torch.tensor([OVERSHOOT] * attributes, device=device),
        None,
    )


def load_ours(device: torch.device | str = "cpu") -> Semantics:
    """Our estimator and flow, with what the flow's file says of them."""
    estimator, flow, settings = load_semantics(device)
    return Semantics(
        estimator,
        flow,
        tuple(settings["attributes"]),
        tuple(settings["shipped"]),
        by_attribute(settings, "poles", device),
        by_attribute(settings, "gates", device),
    )


def load_semantics(
    device: torch.device | str = "cpu", folder: Path | None = None
) -> tuple[Estimator | None, Flow, dict]:
    """Our estimator and flow, trained together, and the flow's settings, see `load_flow`.

    Args:
        device: where.
        folder: of another training than the one in ``weights/``; it may lack an estimator.
    """
    flow, settings = load_flow(device, folder)
    if folder is not None and not (folder / "estimator.safetensors").exists():
        return None, flow, settings
    state, _ = _state("estimator", folder)
    return _fill(partial(Estimator, flow.attributes), state, device), flow, settings


def load_flow(
    device: torch.device | str = "cpu", folder: Path | None = None
) -> tuple[Flow, dict]:
    """The flow, and what its file says: ``attributes`` (names of c's entries), ``shipped`` (which
    of them have a slider), ``poles`` and ``gates`` (name → numbers), ``hidden`` (widths)."""
    state, metadata = _state("flow", folder)
    settings = json.loads(metadata["settings"])
    make = partial(Flow, len(settings["attributes"]), hidden=settings["hidden"])
    return _fill(make, state, device), settings


def by_attribute(settings: dict, what: str, device: torch.device | str = "cpu") -> torch.Tensor:
    """``poles`` (A, 2) or ``gates`` (A, 18) out of a flow's settings, in c's order."""
    return torch.tensor([settings[what][name] for name in settings["attributes"]], device=device)


def _state(name: str, folder: Path | None) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata, out of ``weights/`` or another folder."""
    if folder is None:
        return weights.load(name), weights.metadata(name)
    with safe_open(folder / f"{name}.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()


def load_identity(device: torch.device | str = "cpu") -> IdentityNetwork:
    """dlib's face recognition network in PyTorch."""
    file = weights.path("dlib_identity")
    return _fill(IdentityNetwork, state_from_dlib(file.read_bytes()), device)


def load_parsing(device: torch.device | str = "cpu") -> ParsingNetwork:
    """Our face parser, stored in float16, run in float32."""
    return _fill(ParsingNetwork, weights.load("parsing"), device)


class _Unfilled(TorchFunctionMode):
    """Draws no random numbers for networks whose own are read the next moment."""

    def __torch_function__(
        self, function: Callable, types: tuple, given: tuple = (), named: dict | None = None
    ) -> object:
        named = named or {}
        if getattr(function, "__module__", "") == "torch.nn.init":
            return given[0] if given else named["tensor"]
        return function(*given, **named)


def _fill(
    make: Callable[[], nn.Module], state: dict[str, torch.Tensor], device: torch.device | str
) -> nn.Module:
    """A network with these parameters, which become its own without being copied."""
    with _Unfilled():
        network = make()
    state = {key: value.float() for key, value in state.items()}
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False).to(device)
