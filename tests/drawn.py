"""Drawn class maps, for the tests of what follows the parser."""

from __future__ import annotations

import torch
from torch import Tensor

from sdflow.networks.parsing import CLASSES


def classes_of(**blocks: tuple[slice, slice]) -> Tensor:
    """Classes (1, 8, 256, 256): blocks of rows and columns, the later on top; else background."""
    label = torch.zeros(256, 256, dtype=torch.long)
    for name, place in blocks.items():
        label[place] = CLASSES.index(name)
    return torch.nn.functional.one_hot(label, len(CLASSES)).permute(2, 0, 1)[None].float()


FACE = slice(90, 200), slice(80, 176)
