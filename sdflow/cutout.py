"""An edited face without its background: the head, cut out along its hair with a soft edge.

The parser says where the head ends, but for hair only roughly. There, in a band around its line, a
pixel belongs to the head by as much as its colour is nearer to the head's colours nearby than to
the background's. What the background has mixed into the edge is taken out again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sdflow.compose import parse
from sdflow.detail import blur, resize
from sdflow.images import to_image, to_tensor
from sdflow.models import ModelSet
from sdflow.paste import PERSON

BAND = 9  # of 256 pixels, to each side of the line
NEAR = 10.0  # of 256 pixels, deviation of what colours count as those there
ALIKE = 0.15  # distance of colours, in -1..1, from which on they count more than the parser


@torch.no_grad()
def cut_out(models: ModelSet, picture: Image.Image) -> Image.Image:
    """The person's head in an aligned picture, everything else transparent.

    Args:
        models: with the parsing network.
        picture: aligned face, RGB, square.

    Returns:
        RGBA of the same size; what is wholly transparent is black, so that it tells nothing.
    """
    seen = to_tensor(picture, device=models.device)  # (1, 3, S, S)
    few, size = resize(seen, 256), seen.shape[-1]
    classes = parse(models, few)  # (1, K, 256, 256)
    rows = [models.classes.index(name) for name in PERSON]
    person = classes[:, rows].sum(1, keepdim=True)  # (1, 1, 256, 256)
    hair = blur(classes[:, models.classes.index("hair")][:, None], BAND)
    hair = hair / blur(person, BAND).clamp(min=1e-3)
    inside, outside = _eroded(person), _eroded(1 - person)
    head, behind = _colours(few, inside, size), _colours(few, outside, size)
    apart = ((head - behind) ** 2).sum(1, keepdim=True)
    nearer = ((seen - behind) * (head - behind)).sum(1, keepdim=True) / (apart + 1e-6)
    trust = resize(hair.clamp(0, 1) ** 2, size) * apart / (apart + ALIKE**2)
    within = ((resize(person, size) - 0.4) / 0.5).clamp(0, 1)  # a little inside of the line
    cover = torch.lerp(within, nearer.clamp(0, 1), trust)
    cover = torch.maximum(cover, resize(inside, size)) * (1 - resize(outside, size))
    cover = (((cover - 0.1) / 0.8).clamp(0, 1) * 255).round() / 255
    own = (seen - (1 - cover) * behind) / cover.clamp(min=0.1)
    own = torch.where(cover < 1, own, seen)
    own = torch.where(cover > 0, own.clamp(-1, 1), -1.0)
    cut = to_image(own)
    cut.putalpha(Image.fromarray((cover[0, 0] * 255).round().byte().cpu().numpy()))
    return cut


def _eroded(cover: Tensor) -> Tensor:
    """What lies a band's width inside of it, with a soft rim, (1, 1, 256, 256) in 0..1.

    At the upper rim nothing does: the parser likes to see hair there.
    """
    away = F.pad((cover < 0.5).float(), (0, 0, BAND, 0), value=1.0)
    away = F.max_pool2d(away, 2 * BAND + 1, 1, BAND)[:, :, BAND:]
    return blur(1 - away, 1.0)


def _colours(picture: Tensor, cover: Tensor, size: int) -> Tensor:
    """Colours of what is covered, carried on into the band, (1, 3, size, size)."""
    total, colours = cover, picture * cover
    near, mean = blur(total, NEAR), blur(colours, NEAR)
    everywhere = colours.sum((2, 3), keepdim=True) / total.sum((2, 3), keepdim=True).clamp(min=1)
    return resize((mean + 1e-3 * everywhere) / (near + 1e-3), size)
