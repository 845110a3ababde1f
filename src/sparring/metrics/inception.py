"""The Inception network of FID: the 2015-12-05 TensorFlow graph, in PyTorch under the names of its known weights.

It is not the usual Inception v3: 1008 classes, no auxiliary head, average pools that leave padding out, and a maximum
pool in the last block, where the paper (Szegedy et al. 2016) has an average. Weights: Heusel et al. 2017, converted by
pytorch-fid; 94 convolutions with BatchNorm and one linear layer, 23,885,392 numbers.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparring.core.files import sha256, sha256_file
from sparring.core.weights import WeightsFile, check_digest, fill, find, read_tensors
from sparring.metrics.network import NetworkExtractor
from sparring.metrics.resize import fid_input

NAME = "inception-2015-12-05"
WEIGHTS = WeightsFile(
    name="pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    origin="the releases of github.com/mseitzer/pytorch-fid (or github.com/toshas/torch-fidelity)",
    other_names=("weights-inception-2015-12-05-6726825d.pth",),
)


class Conv(nn.Module):
    """Convolution, BatchNorm (eps 1e-3), ReLU. ``kernel`` is (high, wide); ``same`` pads to keep the size."""

    def __init__(self, before: int, after: int, kernel: tuple[int, int] = (1, 1), stride: int = 1, same: bool = True):
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if same else (0, 0)
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def average_pool(x: Tensor) -> Tensor:
    """3x3 around each pixel; what lies outside does not count."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class MixedA(nn.Module):
    """35x35: one 1x1, a 5x5, a double 3x3 and a pool."""

    def __init__(self, before: int, pool: int):
        super().__init__()
        self.branch1x1 = Conv(before, 64)
        self.branch5x5_1 = Conv(before, 48)
        self.branch5x5_2 = Conv(48, 64, (5, 5))
        self.branch3x3dbl_1 = Conv(before, 64)
        self.branch3x3dbl_2 = Conv(64, 96, (3, 3))
        self.branch3x3dbl_3 = Conv(96, 96, (3, 3))
        self.branch_pool = Conv(before, pool)

    def forward(self, x: Tensor) -> Tensor:
        branch5x5 = self.branch5x5_2(self.branch5x5_1(x))
        branch3x3dbl = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), branch5x5, branch3x3dbl, self.branch_pool(average_pool(x))], 1)


class MixedB(nn.Module):
    """35x35 to 17x17."""

    def __init__(self, before: int):
        super().__init__()
        self.branch3x3 = Conv(before, 384, (3, 3), stride=2, same=False)
        self.branch3x3dbl_1 = Conv(before, 64)
        self.branch3x3dbl_2 = Conv(64, 96, (3, 3))
        self.branch3x3dbl_3 = Conv(96, 96, (3, 3), stride=2, same=False)

    def forward(self, x: Tensor) -> Tensor:
        branch3x3dbl = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), branch3x3dbl, F.max_pool2d(x, 3, stride=2)], 1)


class MixedC(nn.Module):
    """17x17: 7x7 convolutions taken apart into 1x7 and 7x1, ``width`` channels inside."""

    def __init__(self, width: int):
        super().__init__()
        flat, tall = (1, 7), (7, 1)
        self.branch1x1 = Conv(768, 192)
        self.branch7x7_1 = Conv(768, width)
        self.branch7x7_2 = Conv(width, width, flat)
        self.branch7x7_3 = Conv(width, 192, tall)
        self.branch7x7dbl_1 = Conv(768, width)
        self.branch7x7dbl_2 = Conv(width, width, tall)
        self.branch7x7dbl_3 = Conv(width, width, flat)
        self.branch7x7dbl_4 = Conv(width, width, tall)
        self.branch7x7dbl_5 = Conv(width, 192, flat)
        self.branch_pool = Conv(768, 192)

    def forward(self, x: Tensor) -> Tensor:
        branch7x7 = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        branch7x7dbl = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        branch7x7dbl = self.branch7x7dbl_5(self.branch7x7dbl_4(branch7x7dbl))
        return torch.cat([self.branch1x1(x), branch7x7, branch7x7dbl, self.branch_pool(average_pool(x))], 1)


class MixedD(nn.Module):
    """17x17 to 8x8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(768, 192)
        self.branch3x3_2 = Conv(192, 320, (3, 3), stride=2, same=False)
        self.branch7x7x3_1 = Conv(768, 192)
        self.branch7x7x3_2 = Conv(192, 192, (1, 7))
        self.branch7x7x3_3 = Conv(192, 192, (7, 1))
        self.branch7x7x3_4 = Conv(192, 192, (3, 3), stride=2, same=False)

    def forward(self, x: Tensor) -> Tensor:
        branch3x3 = self.branch3x3_2(self.branch3x3_1(x))
        branch7x7x3 = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([branch3x3, branch7x7x3, F.max_pool2d(x, 3, stride=2)], 1)


class MixedE(nn.Module):
    """8x8: branches that fork into 1x3 and 3x1. ``last``: its pool takes the maximum, as the 2015 graph does."""

    def __init__(self, before: int, last: bool):
        super().__init__()
        self.last = last
        self.branch1x1 = Conv(before, 320)
        self.branch3x3_1 = Conv(before, 384)
        self.branch3x3_2a = Conv(384, 384, (1, 3))
        self.branch3x3_2b = Conv(384, 384, (3, 1))
        self.branch3x3dbl_1 = Conv(before, 448)
        self.branch3x3dbl_2 = Conv(448, 384, (3, 3))
        self.branch3x3dbl_3a = Conv(384, 384, (1, 3))
        self.branch3x3dbl_3b = Conv(384, 384, (3, 1))
        self.branch_pool = Conv(before, 192)

    def forward(self, x: Tensor) -> Tensor:
        fork = self.branch3x3_1(x)
        branch3x3 = [self.branch3x3_2a(fork), self.branch3x3_2b(fork)]
        fork = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branch3x3dbl = [self.branch3x3dbl_3a(fork), self.branch3x3dbl_3b(fork)]
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.last else average_pool(x)
        return torch.cat([self.branch1x1(x), *branch3x3, *branch3x3dbl, self.branch_pool(pooled)], 1)


class FIDInception(nn.Module):
    """``(n, 3, 299, 299)`` in [-1, 1] to features ``(n, 2048)`` and logits without bias ``(n, 1008)``, as IS wants."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, (3, 3), stride=2, same=False)
        self.Conv2d_2a_3x3 = Conv(32, 32, (3, 3), same=False)
        self.Conv2d_2b_3x3 = Conv(32, 64, (3, 3))
        self.Conv2d_3b_1x1 = Conv(64, 80)
        self.Conv2d_4a_3x3 = Conv(80, 192, (3, 3), same=False)
        self.Mixed_5b = MixedA(192, pool=32)
        self.Mixed_5c = MixedA(256, pool=64)
        self.Mixed_5d = MixedA(288, pool=64)
        self.Mixed_6a = MixedB(288)
        self.Mixed_6b = MixedC(128)
        self.Mixed_6c = MixedC(160)
        self.Mixed_6d = MixedC(160)
        self.Mixed_6e = MixedC(192)
        self.Mixed_7a = MixedD()
        self.Mixed_7b = MixedE(1280, last=False)
        self.Mixed_7c = MixedE(2048, last=True)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)  # 73x73
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, stride=2)  # 35x35
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))  # 17x17
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # 8x8
        pool3 = x.mean((2, 3))
        return pool3, F.linear(pool3, self.fc.weight)


def load_inception(
    weights: str | Path | None = None, rule: str = "tf1-bilinear-299", device: torch.device | str = "cpu"
) -> NetworkExtractor:
    """The network with the weights that lie at ``weights`` (see `weights.find`), behind the pixel rule ``rule``.

    A ``.pth`` must be the known file, byte for byte. A ``.safetensors`` may hold anything that fits: its own digest
    stands beside every number, so that none is called FID.
    """
    path = find(WEIGHTS, weights)
    digest = sha256_file(path) if path.suffix == ".safetensors" else check_digest(path, WEIGHTS)
    with torch.device("meta"):
        net = FIDInception()
    return _extractor(fill(net, read_tensors(path), path), rule, device, NAME, digest)


def random_inception(
    seed: int = 0, rule: str = "tf1-bilinear-299", device: torch.device | str = "cpu"
) -> NetworkExtractor:
    """The network with seeded random weights, for testing what is around it. No number of it means anything."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = FIDInception()
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
                module.running_mean = torch.randn(module.num_features) * 0.1
                module.running_var = torch.rand(module.num_features) + 0.5
    digest = sha256(b"".join(tensor.numpy().tobytes() for tensor in net.state_dict().values()))
    return _extractor(net.requires_grad_(False).eval(), rule, device, "inception-random", digest)


def _extractor(net: nn.Module, rule: str, device: torch.device | str, name: str, digest: str) -> NetworkExtractor:
    return NetworkExtractor(
        net,
        fid_input(rule),
        device,
        chunk=32,
        name=name,
        digest=digest,
        preprocessing=rule,
        layer="pool3-2048",
        dim=2048,
    )
