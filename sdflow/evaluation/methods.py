"""What is compared: (face, strengths) → edited codes, by a flow or along straight directions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from sdflow import weights
from sdflow.edit import edit, target_semantics
from sdflow.evaluation.populations import Face, render
from sdflow.models import ModelSet, by_attribute, load_semantics
from sdflow.networks.cnf import FINE, Flow

Strengths = Mapping[str, float]  # attribute → −1..1
OURS = "ours"
UNGATED = "ungated"  # an ablation: our flow, with every attribute moving all layers


class Method(Protocol):
    """A way to edit faces.

    Attributes:
        name: under which the report has it.
        key: hash of everything that its edits depend on beside the face.
        attributes: that it can move.
    """

    name: str
    key: str
    attributes: tuple[str, ...]

    def edit(self, face: Face, strengths: Sequence[Strengths]) -> Tensor:
        """Codes (S, 18, 512) of one face at S strengths; 0 leaves w, ±1 is the whole edit."""
        ...


class FlowMethod:
    """SDFlow, or a flow under labels: c moves to a pole, z stays.

    Args:
        name: see `Method`.
        key: see `Method`.
        flow, attributes, poles, gates: as a `ModelSet` has them.
        read: face → c (1, A).
    """

    def __init__(
        self, name: str, key: str, flow: Flow, attributes: tuple[str, ...], poles: Tensor,
        gates: Tensor, read: Callable[[Face], Tensor],
    ) -> None:  # fmt: skip
        self.name, self.key, self.attributes = name, key, attributes
        self.flow, self.poles, self.gates, self.read = flow, poles, gates, read

    def with_poles(self, poles: Mapping[str, tuple[float, float]]) -> FlowMethod:
        """The same with other poles for some of the attributes."""
        changed = self.poles.clone()
        for name, pair in poles.items():
            changed[self.attributes.index(name)] = torch.tensor(pair)
        key = f"{self.key}-{hash_tensors({'poles': changed})}"
        return FlowMethod(
            self.name, key, self.flow, self.attributes, changed, self.gates, self.read
        )

    @torch.inference_mode()
    def edit(self, face: Face, strengths: Sequence[Strengths]) -> Tensor:
        """See `Method.edit`."""
        moved = torch.tensor([[s.get(name, 0.0) for name in self.attributes] for s in strengths])
        w = face.w.to(self.poles)
        c = self.read(face).to(self.poles)  # (1, A)
        z = self.flow.encode(w, c, FINE)  # (1, 18, 512)
        w, z, c = (x.expand(len(moved), *x.shape[1:]) for x in (w, z, c))
        c_target = target_semantics(c, moved.to(c), self.poles)
        return edit(self.flow, w, z, c, c_target, self.gates).cpu()


@dataclass(frozen=True, eq=False)
class Direction:
    """A straight way in W: w + step * way, the step such that w's score reaches its target.

    Attributes:
        normal: the score of w is ``normal . mean over layers of w``, (512,).
        way: (512,), with ``normal . way`` = 1, so that a step of 1 raises the score by 1.
        poles: scores at strength −1 and +1.
    """

    normal: Tensor
    way: Tensor
    poles: tuple[float, float]


class DirectionMethod:
    """Moves a face's score linearly from its own value to a pole's, as the flow moves c."""

    def __init__(self, name: str, directions: dict[str, Direction]) -> None:
        self.name, self.directions = name, directions
        self.attributes = tuple(directions)
        parts = [part for d in directions.values()
                 for part in (d.normal, d.way, torch.tensor(d.poles))]  # fmt: skip
        self.key = hash_tensors(dict(enumerate(parts)))

    def edit(self, face: Face, strengths: Sequence[Strengths]) -> Tensor:
        """See `Method.edit`."""
        codes = []
        for moved in strengths:
            w = face.w
            for name, strength in moved.items():
                direction = self.directions[name]
                score = float(w.mean((0, 1)) @ direction.normal)
                pole = direction.poles[int(strength > 0)]
                ahead = (pole - score) * strength > 0  # a face beyond the pole stays
                if ahead:
                    w = w + abs(strength) * (pole - score) * direction.way
            codes.append(w)
        return torch.cat(codes)


def our_method(models: ModelSet, gated: bool = True) -> FlowMethod:
    """The loaded model set's own edits, or those without its gates."""
    gates = models.gates if gated else torch.ones_like(models.gates)
    moved = {"poles": models.poles, "gates": gates}
    key = hash_tensors(models.flow.state_dict() | models.estimator.state_dict() | moved)
    return FlowMethod(
        OURS if gated else UNGATED, key, models.flow, models.attributes, models.poles, gates,
        _reader(models.estimator, models),
    )  # fmt: skip


def variant_method(models: ModelSet, name: str) -> FlowMethod | None:
    """Another training, out of the cache's folder of variants; None if it is not there.

    A variant without an estimator is conditioned on the teachers' labels. `UNGATED` is made here.
    """
    if name == UNGATED:
        return our_method(models, gated=False)
    folder = weights.cache_dir() / "training" / "variants" / name
    if not (folder / "flow.safetensors").exists():
        return None
    estimator, flow, settings = load_semantics(models.device, folder)
    poles, gates = (by_attribute(settings, what, models.device) for what in ("poles", "gates"))
    attributes = tuple(settings["attributes"])
    state = estimator.state_dict() if estimator else {}
    key = hash_tensors(flow.state_dict() | state | {"poles": poles, "gates": gates})
    read = _reader(estimator, models) if estimator else _labeller(models, attributes)
    return FlowMethod(name, key, flow, attributes, poles, gates, read)


def hash_tensors(tensors: Mapping[object, Tensor]) -> str:
    """A short name for the values of named tensors."""
    data = b"".join(t.cpu().contiguous().float().numpy().tobytes() for t in tensors.values())
    return hashlib.sha256(data).hexdigest()[:12]


def _reader(estimator: nn.Module, models: ModelSet) -> Callable[[Face], Tensor]:
    return lambda face: estimator(face.picture.to(models.device))


def _labeller(models: ModelSet, attributes: tuple[str, ...]) -> Callable[[Face], Tensor]:
    """c by the teachers; loaded on first use, and every face is labelled once."""
    from sdflow.training.teachers import Teachers, probabilities

    teachers: list[Teachers] = []
    known: dict[bytes, Tensor] = {}

    def read(face: Face) -> Tensor:
        place = face.w.numpy().tobytes()
        if place not in known:
            if not teachers:
                teachers.append(Teachers())
            values = probabilities(teachers[0].label(render(models, face.w)))
            c = torch.stack([values[name].float() for name in attributes], 1)  # (1, A)
            known[place] = c.nan_to_num(0.5)  # nobody can tell: half way
        return known[place]

    return read
