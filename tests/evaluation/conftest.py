"""A made-up world for evaluations: w's first entries are the attributes, pictures show them.

A picture is a row of stripes, one an attribute, as bright as the entry; the judges and the
estimator read them off. The flow adds the log-odds of c. Editing age drags eyeglasses along.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from sdflow.evaluation import directions, poles, populations, protocol, trials
from sdflow.evaluation.judges import JUDGED
from sdflow.evaluation.workbench import Settings, Workbench

NAMES = ("eyeglasses", "gender", "young", "smiling", "yaw")
STRIPE = 2  # pixels
DRAG = 0.4  # of age on eyeglasses
BRIGHT = 0.2  # of a picture, for one unit of an entry


def draw(w: Tensor, size: int = 512) -> Tensor:
    """(B, 18, 512) → (B, 3, 10, 10), instead of 512 px."""
    assert size == 512
    image = torch.zeros(len(w), 3, STRIPE * len(NAMES), STRIPE * len(NAMES))
    for i in range(len(NAMES)):
        value = (BRIGHT * w.mean(1)[:, i]).tanh()
        image[..., i * STRIPE : (i + 1) * STRIPE] = value[:, None, None, None]
    return image


def entries(images: Tensor) -> Tensor:
    """(B, 3, H, H) → the entries (B, A)."""
    stripe = images.shape[-1] // len(NAMES)
    middles = [images[..., int((i + 0.5) * stripe)].mean((1, 2)) for i in range(len(NAMES))]
    return torch.stack(middles, 1).clamp(-0.999, 0.999).atanh() / BRIGHT


def see(images: Tensor, identity: bool = True) -> dict[str, np.ndarray]:
    """The judge."""
    assert not identity
    seen = entries(images)
    verdict = {j.measure: np.zeros(len(images)) for j in JUDGED.values()}
    for i, name in enumerate(NAMES):
        judged = JUDGED[name]
        verdict[judged.measure] = judged.threshold + judged.sign * seen[:, i].double().numpy()
    return verdict | {"faceres": seen.double().numpy()}


class MadeUpEstimator:
    """Reads the entries as log-odds."""

    def __call__(self, crop: Tensor) -> Tensor:
        return entries(crop).sigmoid()

    def state_dict(self) -> dict[str, Tensor]:
        return {}


class MadeUpFlow:
    """w = z + the log-odds of c in the first entries, age dragging eyeglasses along."""

    def state_dict(self) -> dict[str, Tensor]:
        return {"drag": torch.tensor(DRAG)}

    @staticmethod
    def shift(c: Tensor) -> Tensor:
        odds = torch.zeros(len(c), 1, 512)
        odds[:, 0, : len(NAMES)] = c.logit(1e-3)
        odds[:, 0, 0] -= DRAG * c[:, NAMES.index("young")].logit(1e-3)
        return odds

    def encode(self, w: Tensor, c: Tensor, solver: object = None) -> Tensor:
        return w - self.shift(c)

    def decode(self, z: Tensor, c: Tensor, solver: object = None) -> Tensor:
        return z + self.shift(c)


class MadeUpTeachers:
    """Age in years falls with "young"; glasses from the entry's middle on."""

    def label(self, images: Tensor, groups: tuple[str, ...]) -> dict[str, Tensor]:
        seen = entries(images)
        return {"age": 40 - 20 * seen[:, 2], "glasses": (seen[:, 0] > 0).float()}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workbench:
    """Sixty made-up faces, three flipping methods, an own cache folder."""
    monkeypatch.setenv("SDFLOW_CACHE", str(tmp_path))
    for module in (populations, protocol, poles, trials):
        monkeypatch.setattr(module, "judge", see)
    monkeypatch.setattr(trials, "Teachers", MadeUpTeachers)
    a = len(NAMES)
    models = SimpleNamespace(
        generator=SimpleNamespace(mapping=lambda z: z, truncate=lambda w, psi: psi * w),
        synthesis=draw, estimator=MadeUpEstimator(), flow=MadeUpFlow(),
        attributes=NAMES, shipped=NAMES, device=torch.device("cpu"),
        poles=torch.tensor([[0.05, 0.95]] * a), gates=torch.ones(a, 18),
    )  # fmt: skip
    bank = tmp_path / "training" / "bank"
    bank.mkdir(parents=True)
    codes = torch.randn(300, 1, 512, generator=torch.Generator().manual_seed(3))
    (bank / "generated-00000.safetensors").touch()
    (bank / "generated-00000.labels.parquet").touch()
    monkeypatch.setattr(directions, "read_arrays", lambda *_: {"w": codes.repeat(1, 18, 1)})
    labels = codes[:, 0, :a].sigmoid()
    monkeypatch.setattr(directions, "read_labels", lambda *_: labels)
    published = np.zeros((3, 512), np.float32)
    published[0, 3], published[1, [2, 0]], published[2, 4] = 1, (-0.9, 0.45), 1
    np.savez(tmp_path / "published.npz", smile=published[0], age=published[1], pose=published[2])
    monkeypatch.setattr(directions, "RIDGES", (1e-2,))
    monkeypatch.setattr(directions, "FOLDS", 2)
    settings = Settings(
        faces=60, people=0, per_target=20, trial=10, published=tmp_path / "published.npz"
    )
    return Workbench(settings, models)
