"""The residual networks for CIFAR-10 (He et al. 2016, section 4.2), shortcuts without parameters (option A).

A feature space for small colour pictures of objects: 64 features and ten classes, fast on a CPU.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparring.core.weights import WeightsFile, check_digest, fill, find, read_tensors
from sparring.metrics.network import NetworkExtractor
from sparring.metrics.resize import antialiased, imagenet_mean_std

_ORIGIN = "github.com/akamaster/pytorch_resnet_cifar10, as safetensors"
WEIGHTS = {
    20: WeightsFile(
        "cifar10_resnet20.safetensors", "f4469447618315de7b3a2f650aa67bb0119968913d8768de32aceba4a0b61288", _ORIGIN
    ),
    56: WeightsFile(
        "cifar10_resnet56.safetensors", "30cc1924a858cd437921832d4a74cdb7fdd724cd0db0c3db3162640d737bb636", _ORIGIN
    ),
}


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut that skips every other pixel and pads channels with zeros."""

    def __init__(self, before: int, after: int):
        super().__init__()
        stride = 1 if before == after else 2
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.padding = stride, (after - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(y + shortcut)


class CifarResNet(nn.Module):
    """``(n, 3, 32, 32)`` normalised like ImageNet, to features ``(n, 64)`` and logits ``(n, 10)``.

    Args:
        depth: layers in all, 6 k + 2.
    """

    def __init__(self, depth: int):
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16) for _ in range(blocks)))
        self.layer2 = nn.Sequential(Block(16, 32), *(Block(32, 32) for _ in range(blocks - 1)))
        self.layer3 = nn.Sequential(Block(32, 64), *(Block(64, 64) for _ in range(blocks - 1)))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.bn1(self.conv1(x)))
        features = self.layer3(self.layer2(self.layer1(x))).mean((2, 3))
        return features, self.linear(features)


def cifar_input(images: Tensor) -> Tensor:
    """Uint8 images to 32x32, 0..1, normalised by ImageNet's mean and deviation, as the authors trained."""
    mean, std = imagenet_mean_std(images.device)
    return (antialiased(images, 32) / 255 - mean) / std


def load_cifar_resnet(
    depth: int = 56, weights: str | Path | None = None, device: torch.device | str = "cpu"
) -> NetworkExtractor:
    """The network of 20 or 56 layers with the weights that lie at ``weights`` (see `weights.find`)."""
    path = find(WEIGHTS[depth], weights)
    digest = check_digest(path, WEIGHTS[depth])
    with torch.device("meta"):
        net = CifarResNet(depth)
    return NetworkExtractor(
        fill(net, read_tensors(path), path),
        cifar_input,
        device,
        chunk=256,
        name=f"cifar10-resnet{depth}",
        digest=digest,
        preprocessing="antialiased-32",
        layer="penultimate-64",
        dim=64,
    )
