"""What an evaluation works with: networks, faces, methods, and the run folder with its files."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

from sdflow import invert, tuning, weights
from sdflow.align import crop_face, find_faces
from sdflow.evaluation import directions as linear
from sdflow.evaluation import likeness, poles, populations, trials
from sdflow.evaluation.methods import (
    OURS,
    DirectionMethod,
    FlowMethod,
    Method,
    our_method,
    variant_method,
)
from sdflow.evaluation.populations import GENERATED, PEOPLE, Population
from sdflow.evaluation.protocol import STRENGTHS, TARGETS, Task, choose_faces, run_task
from sdflow.images import open_photo
from sdflow.manifest import read_manifest
from sdflow.models import ModelSet, load_models
from sdflow.training.bank import WITH_CODES, write_whole
from sdflow.training.labels import label_path, labelled_shards

PART = 20  # faces of a population that are made at once
SEEN_BY = (
    "mobile_stylegan", "encoder", "dlib_identity", "dlib_landmarks", "faceres", "age_gender",
    "probes",
)  # fmt: skip
INVERTED_BY = ("encoder", "corrector")
INVERTED_WITH = (
    "LOOKS", "STEPS", "REFINED", "RATE", "DECAY", "PIXELS", "IDENTITY", "FEATURES", "STAY",
    "OUTSIDE", "OVAL",
)  # fmt: skip
LINEAR = (linear.LINEAR, linear.PROJECTED)


@dataclass(frozen=True)
class Settings:
    """What is evaluated.

    Attributes:
        faces: generated faces.
        people: real ones.
        attributes: to flip with our method; baselines flip those of them that are targets.
        per_target: faces on which a target attribute is flipped; others are on half as many.
        per_person: the same among people.
        variants: names of other trainings, folders in the cache's ``training/variants``.
        linear: whether our own linear directions are measured.
        opened: people whose inversions are refined as when a photo is opened, not only
            feed-forward.
        refined: people whose inversions are refined too, and edited at each stage.
        tuned: how many of these are tuned too.
        portraits: folder of photos to invert besides, or None.
        published: file of published directions, or None.
        trial: faces for the trials beyond the sweeps, at most.
        workers: processes.
    """

    faces: int = 500
    people: int = 200
    attributes: tuple[str, ...] = ()
    per_target: int = 60
    per_person: int = 24
    variants: tuple[str, ...] = ()
    linear: bool = True
    opened: int = 200
    refined: int = 0
    tuned: int = 0
    portraits: Path | None = None
    published: Path | None = None
    trial: int = 100
    workers: int = 1

    def share(self, population: str, attribute: str) -> int:
        """On how many faces an attribute is flipped."""
        most = self.per_target if population == GENERATED else self.per_person
        return most if attribute in TARGETS else -(-most // 2)


@dataclass
class Workbench:
    """Networks, faces and methods of one process."""

    settings: Settings
    models: ModelSet = field(default_factory=load_models)
    _populations: dict[str, Population] = field(default_factory=dict)
    _methods: dict[str, Method | None] = field(default_factory=dict)
    _variants: dict[str, FlowMethod | None] = field(default_factory=dict)

    @cached_property
    def folder(self) -> Path:
        """Of the run: named after the weights that make and judge the unedited faces."""
        manifest = read_manifest()
        parts = [file.sha256 for name in SEEN_BY for file in manifest[name].files]
        digest = hashlib.sha256("".join(parts).encode()).hexdigest()[:12]
        folder = weights.cache_dir() / "evaluation" / digest
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def inverted(self) -> Path:
        """Of what depends on how photos are inverted: named after what inverts them."""
        manifest = read_manifest()
        parts = [file.sha256 for name in INVERTED_BY for file in manifest[name].files]
        settings = {name: getattr(invert, name) for name in INVERTED_WITH}
        parts += [repr(settings), repr((tuning.STEPS, tuning.RATE))]
        digest = hashlib.sha256("".join(parts).encode()).hexdigest()[:12]
        folder = self.folder / f"inverted-{digest}"
        folder.mkdir(exist_ok=True)
        return folder

    def folder_of(self, population: str) -> Path:
        """Where a population's faces and their edits lie."""
        return self.folder if population == GENERATED else self.inverted

    @cached_property
    def bank(self) -> Path:
        """The training's faces."""
        return weights.cache_dir() / "training" / "bank"

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Those to flip."""
        return self.settings.attributes or self.models.attributes

    @cached_property
    def people(self) -> int:
        """How many real people there are, at most as many as asked for."""
        asked = self.settings.people
        return len(populations.first_photos(self.bank, asked)) if asked else 0

    def parts(self, name: str) -> list[range]:
        """The rows of a population, part by part."""
        size = self.settings.faces if name == GENERATED else self.people
        return [range(start, min(start + PART, size)) for start in range(0, size, PART)]

    def population(self, name: str) -> Population:
        """The finished faces."""
        if name not in self._populations:
            parts = self.parts(name)
            self._populations[name] = populations.load_population(
                self.models, name, parts, self.folder_of(name)
            )
        return self._populations[name]

    def method(self, name: str) -> Method | None:
        """A method by name, its poles tuned; None for a variant that was not trained."""
        if name not in self._methods:
            if name == OURS:
                self._methods[name] = our_method(self.models)
            elif name in (linear.PUBLISHED, *LINEAR):
                found = {a: self.direction_path(name, a) for a in self.moved_by(name)}
                ways = {a: linear.load_direction(p) for a, p in found.items()}
                self._methods[name] = DirectionMethod(name, ways)
            elif (variant := self.variant(name)) is None:
                self._methods[name] = None
            else:
                found = {a: self.poles(name, a) for a in self.moved_by(name)}
                self._methods[name] = variant.with_poles(found)
        return self._methods[name]

    def variant(self, name: str) -> FlowMethod | None:
        """A training as it was stored, ours or another; None if there is none."""
        if name not in self._variants:
            ours = name == OURS
            self._variants[name] = (
                our_method(self.models) if ours else variant_method(self.models, name)
            )
        return self._variants[name]

    def method_names(self) -> list[str]:
        """Ours first; variants that were not trained are left out."""
        settings = self.settings
        names = [OURS]
        names += [linear.PUBLISHED] if settings.published else []
        names += LINEAR if settings.linear else ()
        return names + [name for name in settings.variants if self.variant(name)]

    def moved_by(self, name: str) -> list[str]:
        """Which attributes a method flips: ours all, the others the targets."""
        if name == OURS:
            return list(self.attributes)
        if name == linear.PUBLISHED:
            return [a for a in (*TARGETS, "yaw") if a in self.attributes and a in linear.OUTSIDE]
        known = self.attributes if name in LINEAR else self.variant(name).attributes
        return [a for a in TARGETS if a in self.attributes and a in known]

    def expected_edits(self) -> int:
        """How many edits the sweeps will take if every attribute has faces enough."""
        return (len(STRENGTHS) - 1) * sum(
            min(self.settings.share(name, attribute), self.parts(name)[-1].stop)
            for name in (GENERATED, PEOPLE) if self.parts(name)
            for method in (self.method_names() if name == GENERATED else [OURS])
            for attribute in self.moved_by(method)
        )  # fmt: skip

    def tasks(self) -> list[Task]:
        """All sweeps."""
        tasks = []
        for name in (GENERATED, PEOPLE):
            if not self.parts(name):
                continue
            verdicts = self.population(name).verdicts
            for method in self.method_names() if name == GENERATED else [OURS]:
                for attribute in self.moved_by(method):
                    most = self.settings.share(name, attribute)
                    rows, signs = choose_faces(verdicts, attribute, most)
                    if rows:
                        tasks.append(Task(name, method, attribute, rows, signs))
        return tasks

    @cached_property
    def bank_name(self) -> str:
        """A short name for the bank's present state and how baselines are fitted to it."""
        state = [(p.name, p.stat().st_size, label_path(p).stat().st_mtime_ns)
                 for kind in WITH_CODES for p in labelled_shards(self.bank, kind)]  # fmt: skip
        constants = (linear.RIDGES, linear.FOLDS, linear.REACHES, poles.TUNED_ON)
        return _short(repr((state, self.models.attributes, constants)))

    def boundary_path(self, attribute: str) -> Path:
        """File of a logistic normal."""
        return self.folder / f"boundary-{attribute}-{self.bank_name}.safetensors"

    def direction_path(self, method: str, attribute: str) -> Path:
        """File of a direction with its poles."""
        name = f"direction-{method}-{attribute}-{self.bank_name}"
        if method == linear.PUBLISHED:
            name += f"-{_short(self.settings.published.read_bytes())}"
        return self.folder / f"{name}.safetensors"

    def poles_path(self, variant: str, attribute: str) -> Path:
        """File of the poles of an attribute under another training."""
        key = _short(f"{self.variant(variant).key}{poles.ENDS}")
        return self.folder / f"poles-{variant}-{attribute}-{key}-{self.bank_name}.safetensors"

    def poles(self, variant: str, attribute: str) -> tuple[float, float]:
        """What `make_poles` found."""
        negative, positive = load_file(self.poles_path(variant, attribute))["poles"].tolist()
        return round(negative, 3), round(positive, 3)

    @cached_property
    def bank_codes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Training codes of one w, and labels, for the linear baselines."""
        return linear.bank_codes(self.bank, self.models.attributes)

    def make_part(self, name: str, rows: range) -> None:
        """Stage 1."""
        folder = self.folder_of(name)
        populations.make_part(self.models, name, rows, folder, self.bank)

    def make_boundary(self, attribute: str) -> None:
        """Stage 2."""
        w, labels = self.bank_codes
        normal, found = linear.fit_boundary(w, labels[:, self.models.attributes.index(attribute)])
        print(f"boundary of {attribute}: {found}", file=sys.stderr)
        write_whole({"normal": normal}, self.boundary_path(attribute), {})

    def make_direction(self, method: str, attribute: str) -> None:
        """Stage 3."""
        w, labels = self.bank_codes
        index = self.models.attributes.index(attribute)
        if method == linear.PUBLISHED:
            path = self.settings.published
            normal = way = linear.published_normal(path, attribute, w, labels[:, index])
        elif method == linear.PROJECTED:
            paths = [self.boundary_path(name) for name in self.models.attributes]
            normals = torch.stack([load_file(path)["normal"] for path in paths])
            normal, way = normals[index], linear.project_out(normals, index)
        else:
            normal = way = load_file(self.boundary_path(attribute))["normal"]
        direction, shares = linear.tune_poles(
            self.models, attribute, normal, way, w, labels[:, index]
        )
        print(f"{method} {attribute}: flipped at {linear.REACHES}: {shares}", file=sys.stderr)
        linear.save_direction(direction, self.direction_path(method, attribute))

    def make_poles(self, variant: str, attribute: str) -> None:
        """Stage 3."""
        w, labels = self.bank_codes
        label = labels[:, self.models.attributes.index(attribute)]
        found, shares = poles.tune_flow(self.models, self.variant(variant), attribute, w, label)
        print(f"{variant} {attribute}: flipped up to {found}: {shares}", file=sys.stderr)
        write_whole({"poles": torch.tensor(found)}, self.poles_path(variant, attribute), {})

    def sweep(self, task: Task) -> None:
        """Stage 4."""
        method, population = self.method(task.method), self.population(task.population)
        folder = self.folder_of(task.population)
        run_task(self.models, method, population, task, folder)

    @cached_property
    def photos(self) -> list[Image.Image]:
        """512 px crops to invert: the people's first photos, then the portraits."""
        return populations.first_photos(self.bank, self.people) + self.portraits

    @cached_property
    def portraits(self) -> list[Image.Image]:
        """512 px crops of the photos in the settings' folder."""
        folder = self.settings.portraits
        files = sorted(folder.iterdir()) if folder else []
        photos = [open_photo(path) for path in files if path.suffix in (".jpg", ".png")]
        return [crop_face(photo, find_faces(photo)[0].landmarks, 512)[0] for photo in photos]

    def likeness(self, index: int) -> None:
        """Stage 4."""
        stages, edits = self.inversion_stages(index), index < self.settings.refined
        likeness.judge_inversions(
            self.models, self.photos[index], stages, self.likeness_path(index), edits
        )

    def inversion_stages(self, index: int) -> int:
        """How many stages of inversion a photo goes through; portraits go through all."""
        settings, portrait = self.settings, index >= self.people
        most = (settings.opened, settings.refined, settings.tuned)
        return len(likeness.STAGES) if portrait else 1 + sum(index < count for count in most)

    def likeness_path(self, index: int) -> Path:
        """File of one photo's inversions."""
        stages = self.inversion_stages(index)
        name = "person" if index < self.people else "portrait"
        return self.inverted / f"{name}-{index:04d}-{stages}.json"

    def trial(self, name: str, method: str) -> None:
        """Stage 4."""
        trials.TRIALS[name](self.models, self.method(method), self.population(GENERATED),
                            self.settings.trial, self.trial_path(name, method))  # fmt: skip

    def trial_path(self, name: str, method: str) -> Path:
        """File of one trial."""
        settings = self.settings
        what = f"{self.method(method).key} {settings.faces} {settings.trial}"
        digest = hashlib.sha256(what.encode()).hexdigest()[:10]
        return self.folder / f"trial-{name}-{method}-{digest}.parquet"


def _short(state: str | bytes) -> str:
    data = state.encode() if isinstance(state, str) else state
    return hashlib.sha256(data).hexdigest()[:8]
