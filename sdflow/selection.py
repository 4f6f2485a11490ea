"""Which networks run: a named set, or generator, encoder and semantics each for itself.

All of them share StyleGAN2's W+ space: any generator draws any code, and any flow edits it.
The command line's options and these variables of the environment choose: SDFLOW_MODELS (a set, or
`auto`), SDFLOW_GENERATOR, SDFLOW_ENCODER, SDFLOW_SEMANTICS (instead of that set's own).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from sdflow import weights
from sdflow.attributes import ATTRIBUTES, Attribute
from sdflow.manifest import HubCommit, WeightsError, find_entry


@dataclass(frozen=True)
class Selection:
    """One choice of networks.

    Attributes:
        generator: ``mobile``, the light one, or ``stylegan2``.
        encoder: ``ours`` with its corrector, or ``e4e``.
        semantics: ``ours``, or ``released`` or ``released3``, the checkpoints of SDFlow's authors
            for five and for three attributes: estimator and flow, trained together.
    """

    generator: str = "mobile"
    encoder: str = "ours"
    semantics: str = "ours"

    @property
    def name(self) -> str:
        """Of the set, or of the mix; face files and recipes carry it."""
        for name, parts in SETS.items():
            if parts == self:
                return name
        return f"{self.generator} + {self.encoder} + {self.semantics}"

    @property
    def released(self) -> int:
        """How many attributes the released semantics have; 0 for ours."""
        return {"released": 5, "released3": 3}.get(self.semantics, 0)

    @property
    def full_size(self) -> tuple[str, ...]:
        """The manifest's entries that it needs beside the embedded ones."""
        parts = (self.generator, self.encoder)
        return (*(name for name in parts if name in ("stylegan2", "e4e")), *self.checkpoints)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Those of them that SDFlow's authors have trained; none with our semantics."""
        if not self.released:
            return ()
        return f"estimator_a{self.released}", f"flow_a{self.released}"

    @property
    def files(self) -> tuple[str, ...]:
        """The manifest's entries that an edit of an opened face depends on."""
        drawn = ("mobile_stylegan", "w_mean") if self.generator == "mobile" else ("stylegan2",)
        return (*drawn, f"flow_a{self.released}" if self.released else "flow", "parsing")


SETS = {"mobile": Selection(), "stylegan2": Selection("stylegan2", "e4e", "released")}
PARTS = {
    "generator": ("mobile", "stylegan2"),
    "encoder": ("ours", "e4e"),
    "semantics": ("ours", "released", "released3"),
}
VARIABLES = {part: f"SDFLOW_{part.upper()}" for part in ("models", *PARTS)}
CELEBA = {  # what the released models call an attribute → its row
    "Eyeglasses": "eyeglasses",
    "Male": "gender",
    "Smiling": "smiling",
    "Wavy_Hair": "wavy_hair",
    "Young": "young",
}
RELEASED = {  # how many attributes released models know → CelebA's names of them, in c's order
    3: ("Eyeglasses", "Male", "Young"),
    5: tuple(CELEBA),
}
UNPUBLISHED = (
    "The released estimator and flow are not here and have no public address: ours take their "
    "place, which know more attributes."
)
ABSENT = (
    "The released estimator and flow are not on this machine: ours take their place, which know "
    "more attributes."
)
ONLY_THREE = "Of the released estimator and flow those for three attributes are here: they run."
OVERSHOOT = (-0.2, 1.2)  # c at strength -1 and +1: as far as their demo's slider goes


@dataclass(frozen=True)
class Decided:
    """A selection, and why it is this one.

    Attributes:
        selection: what is to be loaded.
        why: a sentence; empty where it is what was asked for.
    """

    selection: Selection
    why: str = ""


def decide(
    chosen: Mapping[str, str] | None = None, has_gpu: Callable[[], bool] | None = None
) -> Decided:
    """What the environment, or `chosen` in its place, asks for.

    Args:
        chosen: variable → value.
        has_gpu: asked for `auto`; default PyTorch.

    Raises:
        ValueError: a name that there is not.
    """
    chosen = os.environ if chosen is None else chosen
    asked = {part: chosen.get(variable, "") for part, variable in VARIABLES.items()}
    named = asked.pop("models") or "mobile"
    if named not in (*SETS, "auto"):
        raise ValueError(f"There is no model set {named!r}. Choose {', '.join(SETS)} or auto.")
    for part, value in asked.items():
        if value and value not in PARTS[part]:
            raise ValueError(f"There is no {part} {value!r}. Choose {' or '.join(PARTS[part])}.")
    asked = {part: value for part, value in asked.items() if value}
    why = ""
    if named == "auto":
        named, why = _automatic(has_gpu or _has_gpu)
    selection = replace(SETS[named], **asked)
    if selection.released and "semantics" not in asked:
        # `auto` fetches nothing: what it chooses shall load.
        usable, lack = (is_here, ABSENT) if why else (_can_be_had, UNPUBLISHED)
        three = replace(selection, semantics="released3")
        if not all(map(usable, selection.checkpoints)):
            if all(map(usable, three.checkpoints)):
                selection, lack = three, ONLY_THREE
            else:
                selection = replace(selection, semantics="ours")
            why = f"{why} {lack}".strip()
    return Decided(selection, why)


def shipped_attributes(selection: Selection | None = None) -> tuple[Attribute, ...]:
    """The rows that have a slider, in the table's order; no network is loaded to tell.

    Args:
        selection: default what the environment asks for.

    Raises:
        WeightsError: the flow's file is missing or damaged.
    """
    selection = selection or decide().selection
    if selection.released:
        shipped = [CELEBA[name] for name in RELEASED[selection.released]]
        return tuple(row for row in ATTRIBUTES.values() if row.name in shipped)
    settings = json.loads(weights.metadata("flow")["settings"])
    return tuple(ATTRIBUTES[name] for name in settings["shipped"])


def _automatic(has_gpu: Callable[[], bool]) -> tuple[str, str]:
    """The set for this machine, and why."""
    if not has_gpu():
        return "mobile", "There is no GPU: the embedded models run."
    missing = [name for name in ("stylegan2", "e4e") if not is_here(name)]
    if missing:
        return "mobile", (
            f"There is a GPU, but {' and '.join(missing)} are not on this machine: the embedded "
            "models run. Fetch them with `python -m sdflow weights fetch stylegan2 e4e`."
        )
    return "stylegan2", "There is a GPU, and the full-size weights: they run."


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def is_here(name: str) -> bool:
    """Whether all files of a manifest's entry are on this machine."""
    entry = find_entry(name)
    return all(weights.find(entry, file) for file in entry.files)


def options_of(name: str) -> str:
    """The command line's options for a `Selection.name`; none if it is no such name."""
    if name in SETS:
        return f"--models {name}"
    values = name.split(" + ")
    known = [value in PARTS[part] for part, value in zip(PARTS, values, strict=False)]
    if len(values) != len(PARTS) or not all(known):
        return ""
    return " ".join(f"--{part} {value}" for part, value in zip(PARTS, values, strict=True))


def classifies(selection: Selection) -> bool:
    """Whether the released classifier goes with it: with the released semantics wherever it can
    be had, else where its file is on this machine."""
    return is_here("classifier") or bool(selection.released and _can_be_had("classifier"))


def _can_be_had(name: str) -> bool:
    """Whether the files are on this machine, or have an address."""
    source = find_entry(name).source
    return is_here(name) or (isinstance(source, HubCommit) and bool(source.repository))


def check(selection: Selection) -> None:
    """Tells of networks that cannot be had, before any is loaded.

    Raises:
        WeightsError: one of them.
    """
    for name in selection.full_size:
        if not _can_be_had(name):
            others = {"released": "released3", "released3": "released"}
            other = replace(selection, semantics=others.get(selection.semantics, "ours"))
            choice = "ours"
            if other.released and all(map(_can_be_had, other.checkpoints)):
                choice = f"{other.semantics}, whose files are here"
            raise WeightsError(
                f"The weights {name!r} are not on this machine and have no public address. "
                f"README.md says how to fetch and convert them; or choose --semantics {choice}."
            )


def to_environment(parts: Mapping[str, str | None]) -> None:
    """Puts what an option chose where `decide` and processes of our own look."""
    for part, value in parts.items():
        if value:
            os.environ[VARIABLES[part]] = value


assert set(PARTS) == {field.name for field in fields(Selection)}
