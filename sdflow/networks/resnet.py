"""ResNet-34 as the released checkpoints hold it: image (B, 3, H, W) in [-1, 1] → numbers.

Deep residual learning, arXiv 1512.03385, with torchvision's key names. Two networks have such a
trunk: SDFlow's semantic estimator, and the classifier of CelebA's 40 attributes and of age. Both
were trained on aligned crops of 256 px without ImageNet's normalisation; the trunk ends in a
global mean, so other sizes work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels and blocks
FEATURES = 512  # of the trunk
ATTRIBUTES = 40  # of CelebA, in its order
AGE_LOGITS = 6  # between seven age groups


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.downsample = nn.Sequential() if c_in == c_out else nn.Sequential(
            nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet34(nn.Module):
    """Image → outputs of the last layer.

    Args:
        outputs: how many; ``None`` leaves the last layer out and gives the 512 features.
    """

    def __init__(self, outputs: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        c_in = 64
        for i, (channels, blocks) in enumerate(STAGES):
            inputs = (c_in, *[channels] * (blocks - 1))
            stage = [Block(c, channels, 1 if i == 0 or j else 2) for j, c in enumerate(inputs)]
            self.add_module(f"layer{i + 1}", nn.Sequential(*stage))
            c_in = channels
        self.fc = nn.Identity() if outputs is None else nn.Linear(FEATURES, outputs)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """image (B, 3, H, W) in [-1, 1] → (B, outputs or 512), in the parameters' dtype."""
        x = F.relu(self.bn1(self.conv1(image.to(self.conv1.weight.dtype))))
        x = F.max_pool2d(x, 3, 2, 1)  # (B, 64, H/4, W/4)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean((2, 3)))  # (B, 512, H/32, W/32) → (B, outputs)


class ReleasedEstimator(nn.Module):
    """SDFlow's released semantic estimator: aligned crop → one value an attribute.

    Args:
        attributes: A, how many.
    """

    def __init__(self, attributes: int) -> None:
        super().__init__()
        self.backbone = ResNet34(attributes)

    def logits(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, H, H) in [-1, 1] → float32 (B, A) before the sigmoid."""
        return self.backbone(crop).float()

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, H, H) in [-1, 1] → c (B, A)."""
        return torch.sigmoid(self.logits(crop))


class AttributeClassifier(nn.Module):
    """Aligned crop → CelebA's 40 attributes and an age group, by a trunk each."""

    def __init__(self) -> None:
        super().__init__()
        self.extractor = ResNet34(None)
        self.attr_heads = nn.ModuleList(_attribute_head() for _ in range(ATTRIBUTES))
        self.age_heads = ResNet34(AGE_LOGITS)

    def attribute_logits(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, H, H) in [-1, 1] → float32 (B, 40), in CelebA's order."""
        features = self.extractor(crop)
        return torch.cat([head(features) for head in self.attr_heads], 1).float()

    def age_logits(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, H, H) in [-1, 1] → float32 (B, 6): of being older than each age group."""
        return self.age_heads(crop).float()

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """crop (B, 3, H, H) in [-1, 1] → logits (B, 46): the attributes', then those of age."""
        return torch.cat((self.attribute_logits(crop), self.age_logits(crop)), 1)


def predictions(logits: torch.Tensor) -> torch.Tensor:
    """Logits (B, 46) → (B, 41): 40 bits, then the age group 0 … 6, all as floats.

    Age is ordinal: its group is how many of its logits are positive.
    """
    positive = (logits > 0).to(logits.dtype)
    age = positive[:, ATTRIBUTES:].sum(1, keepdim=True)
    return torch.cat((positive[:, :ATTRIBUTES], age), 1)


def _attribute_head() -> nn.Sequential:
    """Three hidden layers of their own for every attribute, (B, 512) → (B, 1)."""
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(FEATURES, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(FEATURES, 1))
