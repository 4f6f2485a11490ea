"""BiSeNet, the face parser behind several teachers: (B, 3, 512, 512) in, class scores at 1/8 out.

ResNet-18 context path with two attention refinements, fused with its own 1/8 features; keys as in
the checkpoint `79999_iter.pth` trained on CelebAMask-HQ. Architecture: Yu et al., BiSeNet, ECCV
2018. Inference only: the batch norms fold away, the auxiliary heads of training are left out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 19
SKIN, GLASSES, MOUTH, UPPER_LIP, LOWER_LIP, HAIR, HAT = 1, 6, 11, 12, 13, 17, 18


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class BasicBlock(nn.Module):
    """ResNet's two 3x3 convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs or stride != 1:
            self.downsample = nn.Sequential(
                _conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class Resnet18(nn.Module):
    """ResNet-18 without its classifier; returns the features at 1/8, 1/16 and 1/32."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (B, 64, H/2, W/2)
        x = self.layer1(F.max_pool2d(x, 3, 2, 1))  # (B, 64, H/4, W/4)
        eighth = self.layer2(x)  # (B, 128, H/8, W/8)
        sixteenth = self.layer3(eighth)  # (B, 256, H/16, W/16)
        return eighth, sixteenth, self.layer4(sixteenth)  # last (B, 512, H/32, W/32)


class ConvBnRelu(nn.Module):
    """A convolution, its batch norm and a ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.conv, self.bn = _conv(inputs, outputs, size), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class AttentionRefinement(nn.Module):
    """Features weighted per channel by a gate computed from their own average."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBnRelu(inputs, outputs, 3)
        self.conv_atten, self.bn_atten = _conv(outputs, outputs, 1), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True))).sigmoid()


class ContextPath(nn.Module):
    """The backbone and the way back up to 1/8."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = Resnet18()
        self.arm16 = AttentionRefinement(256, 128)
        self.arm32 = AttentionRefinement(512, 128)
        self.conv_head32 = ConvBnRelu(128, 128, 3)
        self.conv_head16 = ConvBnRelu(128, 128, 3)
        self.conv_avg = ConvBnRelu(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        eighth, sixteenth, last = self.resnet(x)
        up = self.arm32(last) + self.conv_avg(last.mean((2, 3), keepdim=True))
        up = self.conv_head32(F.interpolate(up, scale_factor=2.0, mode="nearest"))
        up = self.arm16(sixteenth) + up
        return eighth, self.conv_head16(F.interpolate(up, scale_factor=2.0, mode="nearest"))


class FeatureFusion(nn.Module):
    """Detail and context joined, then re-weighted per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = ConvBnRelu(256, 256, 1)
        self.conv1, self.conv2 = _conv(256, 64, 1), _conv(64, 256, 1)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        x = self.convblk(torch.cat([detail, context], 1))
        gate = self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True)))).sigmoid()
        return x * gate + x


class Output(nn.Module):
    """The head: 256 features to class scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvBnRelu(256, 256, 3)
        self.conv_out = _conv(256, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """The face parser; `forward` itself normalises with ImageNet's mean and deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.cp, self.ffm, self.conv_out = ContextPath(), FeatureFusion(), Output()
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (B, 19, H/8, W/8) of images (B, 3, H, W) in [-1, 1].

        Enlarge them with corners aligned, as in training.
        """
        x = ((images + 1) / 2 - self.mean) / self.std
        x = x.to(self.conv_out.conv_out.weight.dtype, memory_format=torch.channels_last)
        return self.conv_out(self.ffm(*self.cp(x)))


def load_state(network: BiSeNet, state: dict[str, Tensor]) -> None:
    """Load the released checkpoint strictly, its auxiliary training heads apart."""
    heads = ("conv_out16.", "conv_out32.")
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith(heads)})


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place; returns the network."""
    network.eval()
    for module in network.modules():
        children = list(module.named_children())
        for (before, conv), (name, norm) in zip(children, children[1:], strict=False):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, before, nn.utils.fuse_conv_bn_eval(conv, norm))
                setattr(module, name, nn.Identity())
    return network
