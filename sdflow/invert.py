"""Step 2: aligned crop (B, 3, 256, 256) → w (B, 18, 512): encoder, corrector, then steps of Adam.

Feed-forward, the encoder's code is rendered and corrected by what the rendering lacks. Refinement
goes on through the differentiable generator. The rendered face must be described by the identity
network as the photo is, look like it at three scales, mostly inside the oval of the face, and stay
near the code it started from, where faces are natural and edits work. Steps are taken along the
principal axes of W, each in units of its standard deviation: codes then move the way generated
faces differ, and do not drift into haze. Where even that is not alike enough, `sdflow.tuning`
changes the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sdflow.models import ModelSet
from sdflow.networks.corrector import Seen

LOOKS = 2  # corrections of the encoder's code
STEPS = 10  # of refinement when a photo is opened
REFINED = 60  # of refinement when likeness is asked for
RATE, DECAY = 0.05, 0.7  # standard deviations a step, and the share lost by the last
PIXELS, IDENTITY, FEATURES, STAY = 2.0, 2.0, 0.1, 0.1  # weights of the terms
OVAL = (0.5, 0.54, 0.31, 0.39)  # of the face in an FFHQ crop: middle x, y, half axes
OUTSIDE = 0.6  # what a pixel outside the oval weighs


@dataclass(frozen=True, eq=False)
class Step:
    """Where an optimisation stands.

    Attributes:
        done: steps taken.
        steps: in all.
        distance: of the identity network's descriptors, photo to best rendering; 0.6 and more is
            another person.
        image: the best rendering so far, (B, 3, 512, 512) in about [-1, 1].
    """

    done: int
    steps: int
    distance: float
    image: torch.Tensor


OnStep = Callable[[Step], bool | None]  # told after each step; True stops and keeps the best


def invert(
    models: ModelSet, crop: torch.Tensor, steps: int = STEPS, on_step: OnStep | None = None
) -> torch.Tensor:
    """Finds the code of an aligned face; the same in every run of as many threads on one machine.

    Args:
        models: a loaded model set.
        crop: aligned face (B, 3, 256, 256) in [-1, 1].
        steps: of refinement; 0 is feed-forward.
        on_step: told after each step.

    Returns:
        w (B, 18, 512).
    """
    w = encode(models, crop)
    return refine(models, crop, w, steps, on_step) if steps else w


@torch.no_grad()
def encode(models: ModelSet, crop: torch.Tensor, looks: int = LOOKS) -> torch.Tensor:
    """The encoder's code of a crop (B, 3, 256, 256), corrected ``looks`` times, (B, 18, 512)."""
    w = models.encoder(crop)
    if models.corrector is None:
        return w
    photo = look(models, crop)
    for _ in range(looks):
        rendered = F.avg_pool2d(models.synthesis(w, 512), 2)  # (B, 3, 256, 256)
        w = w + models.corrector(photo, look(models, rendered))
    return w


def look(models: ModelSet, picture: torch.Tensor) -> Seen:
    """A picture (B, 3, 256, 256) and what the identity network says of it."""
    return picture, *models.identity.forward_with_features(picture)


@torch.enable_grad()  # a caller may have switched it off
def refine(
    models: ModelSet,
    crop: torch.Tensor,
    start: torch.Tensor,
    steps: int,
    on_step: OnStep | None = None,
) -> torch.Tensor:
    """Moves start (B, 18, 512) so that its rendering comes nearer to crop (B, 3, 256, 256).

    Returns:
        The best code found, also when `on_step` has stopped it.
    """
    shared = torch.zeros_like(start[:, :1], requires_grad=True)  # (B, 1, 512), of all layers
    own = torch.zeros_like(start, requires_grad=True)  # (B, 18, 512), of each layer
    optimiser = torch.optim.Adam([{"params": [shared], "peak": 2 * RATE},
                                  {"params": [own], "peak": RATE}], betas=(0.9, 0.95))  # fmt: skip
    target = Target(models, crop)

    def render() -> tuple[torch.Tensor, torch.Tensor]:
        moved = shared + own
        return models.synthesis(start + moved @ models.axes, 512), STAY * moved.square().mean()

    best = optimise(render, target, optimiser, [shared, own], steps, on_step)
    return start + (best[0] + best[1]) @ models.axes


class Target:
    """What a rendering shall look like: one photo.

    Args:
        models: generator and identity network.
        photo: aligned crop (B, 3, H, H) in [-1, 1], 256 or 512 px.
    """

    def __init__(self, models: ModelSet, photo: torch.Tensor) -> None:
        self.identity = models.identity
        self.size = photo.shape[-1]
        self.weights = pyramid(face_weights(self.size).to(photo))
        with torch.no_grad():
            self.pixels = pyramid(photo)
            self.person, self.features = self.identity.forward_with_features(shrink(photo, 256))

    def gradient(self, image: torch.Tensor) -> tuple[float, float, torch.Tensor]:
        """Loss and identity distance of a rendering (B, 3, 512, 512), and the loss's gradient.

        In one thread: with more of them the gradient of the identity network's last stage differs
        from run to run in its last bits, which optimisation then makes visible.
        """
        seen = image.detach().requires_grad_()
        with one_thread():
            picture = shrink(seen, self.size)
            pixels = sum(
                ((a - b).abs() * weight).mean()
                for a, b, weight in zip(pyramid(picture), self.pixels, self.weights, strict=True)
            )
            now, details = self.identity.forward_with_features(shrink(picture, 256))
            distances = (now - self.person).square().sum(1)  # (B,)
            loss = PIXELS * pixels + IDENTITY * distances.mean()
            loss = loss + FEATURES * feature_distance(details, self.features)
            loss.backward()
        return float(loss.detach()), float(distances.detach().sqrt().mean()), seen.grad


def optimise(
    render: Callable[[], tuple[torch.Tensor, torch.Tensor | None]],
    target: Target,
    optimiser: torch.optim.Optimizer,
    parameters: list[torch.Tensor],
    steps: int,
    on_step: OnStep | None,
) -> list[torch.Tensor]:
    """Adam towards a photo.

    Args:
        render: parameters → image (B, 3, 512, 512), and a penalty to add to the loss or None.
        target: the photo.
        optimiser: of the parameters; each group's ``peak`` is its first learning rate.
        parameters: what changes.
        steps: how many.
        on_step: told after each; may stop.

    Returns:
        The parameters with the smallest loss.
    """
    smallest, kept, shown = float("inf"), [p.detach().clone() for p in parameters], None
    distance = float("nan")
    for step in range(steps + 1):  # the last round only looks at what the last step did
        image, penalty = render()
        loss, now, gradient = target.gradient(image)
        loss += 0.0 if penalty is None else float(penalty.detach())
        if loss < smallest:
            smallest, distance, shown = loss, now, image.detach()
            kept = [p.detach().clone() for p in parameters]
        if step and on_step and on_step(Step(step, steps, distance, shown)):
            break
        if step < steps:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * (1 - DECAY * step / steps)
            optimiser.zero_grad()
            image.backward(gradient, retain_graph=penalty is not None)
            if penalty is not None:
                penalty.backward()
            optimiser.step()
    return kept


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch's CPU operators of the calling thread run in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def shrink(image: torch.Tensor, size: int) -> torch.Tensor:
    """Box average of (B, 3, H, H) at a size that divides H."""
    factor = image.shape[-1] // size
    return F.avg_pool2d(image, factor) if factor > 1 else image


def pyramid(image: torch.Tensor) -> list[torch.Tensor]:
    """The image at its size, at a half and at an eighth of it."""
    return [image, F.avg_pool2d(image, 2), F.avg_pool2d(image, 8)]


def feature_distance(first: list[torch.Tensor], second: list[torch.Tensor]) -> torch.Tensor:
    """Squared distance of two lists of the identity network's features, unit vectors a pixel."""
    pairs = zip(first[:4], second[:4], strict=True)  # the fifth stage is the descriptor's
    return sum((F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean()
               for a, b in pairs)  # fmt: skip


def face_weights(size: int) -> torch.Tensor:
    """Weight of each pixel of a crop, (1, 1, size, size): 1 in the face's oval, less outside."""
    x, y = (torch.linspace(0, 1, size) - middle for middle in OVAL[:2])
    inside = ((x / OVAL[2])[None] ** 2 + (y / OVAL[3])[:, None] ** 2 < 1).float()
    edge = size // 12
    soft = F.avg_pool2d(F.pad(inside[None, None], [edge] * 4), 2 * edge + 1, 1)
    return OUTSIDE + (1 - OUTSIDE) * soft
