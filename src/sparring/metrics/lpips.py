"""LPIPS: how different two pictures look (Zhang, Isola, Efros, Shechtman, Wang 2018), version 0.1.

    d(x, y) = sum over taps l of  mean over places of  w_l . (u_l(x) - u_l(y))^2,    u = features / (|features| + 1e-10)

with the length taken over channels, and w_l the heads, one weight of 0 or more a channel, fitted to what people say.
Weights are never fetched: the trunk is torchvision's own file or a safetensors copy of it, the heads are the authors',
``lin0.model.1.weight`` and so on, as safetensors.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from sparring.core.errors import SparringError, did_you_mean
from sparring.core.files import sha256, sha256_file
from sparring.core.weights import WeightsFile, fill, find, read_tensors
from sparring.metrics.lpips_trunks import KINDS, Kind, Trunk
from sparring.metrics.squeezenet import load_squeezenet
from sparring.nn.squeezenet import less_mean_colour

EPSILON = 1e-10
# SHA-256 of the numbers of the authors' heads, whatever file they come in: float32, little-endian, lin0 first.
HEADS = {
    "squeeze": "68f1b1752260e0335c6394983132e210e3ed5c2540e78d239be07671a77130e4",
    "alex": "718a8b40b0d22f96192d34ab93c0db5c7943558ff6c2407f44812dce2f29b5f4",
    "vgg": "9153a2043dccf3b525d4f13db916e93ef040548ea923b6f2100de5ebac141a78",
}


class PerceptualDistance(nn.Module):
    """LPIPS, or the same sum over other taps and heads: its name says which.

    Args:
        trunk: pictures float ``(n, 3, h, w)`` in [-1, 1] to a list of features ``(n, c_l, ...)``.
        heads: a weight ``(c_l,)`` for each; None: every channel counts 1, the authors' uncalibrated baseline.
        name: for protocols. `load_lpips` says ``LPIPS-v0.1-alex`` only where both files hold the published weights.
        digests: full SHA-256 of the trunk's file and of the heads.
        smallest: pixels a side that the trunk needs.
    """

    def __init__(
        self,
        trunk: nn.Module,
        heads: Sequence[Tensor] | None,
        name: str,
        digests: tuple[str, str] = ("", ""),
        smallest: int = 1,
    ):
        super().__init__()
        self.trunk, self.name, self.digests, self.smallest = trunk, name, digests, smallest
        self.heads = None if heads is None else nn.ParameterList(nn.Parameter(head) for head in heads)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, others: Tensor) -> Tensor:
        """Distances ``(n,)`` of float ``(n, c, h, w)`` in [-1, 1], c 1 or 3; differentiable in both.

        Raises:
            SparringError: different shapes, uint8, other channels, or pictures too small for the trunk.
        """
        images, others = self.check(images, others)
        both = self.trunk(torch.cat([images, others]))
        distance = torch.zeros(len(images), dtype=images.dtype, device=images.device)
        for place, features in enumerate(both):
            unit = features / (features.norm(dim=1, keepdim=True) + EPSILON)
            squares = (unit[: len(images)] - unit[len(images) :]).square().flatten(2).mean(2)
            distance = distance + (squares if self.heads is None else squares * self.heads[place]).sum(1)
        return distance

    def check(self, images: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Both with three channels."""
        if images.shape != others.shape or images.ndim != 4 or images.shape[1] not in {1, 3}:
            raise SparringError(
                f"{self.name} compares grey or colour pictures of one shape; got {tuple(images.shape)} and "
                f"{tuple(others.shape)}"
            )
        if not (images.is_floating_point() and others.is_floating_point()):
            raise SparringError(f"{self.name} takes values from -1 to 1; scale pictures in {images.dtype} first")
        if min(images.shape[2:]) < self.smallest:
            raise SparringError(
                f"{self.name} needs pictures of {self.smallest} pixels a side; got {tuple(images.shape[2:])}"
            )
        return images.expand(-1, 3, -1, -1), others.expand(-1, 3, -1, -1)


def load_lpips(
    kind: str, heads: str | Path, trunk: str | Path | None = None, device: torch.device | None = None
) -> PerceptualDistance:
    """LPIPS from two files.

    Args:
        kind: ``squeeze`` (SqueezeNet 1.1), ``alex`` or ``vgg``.
        heads: safetensors, of about 10 kB.
        trunk: torchvision's file (``squeezenet1_1-b8a52dc0.pth``, ``alexnet-owt-7be5be79.pth``, ``vgg16-397923af.pth``)
            or a safetensors copy of it; None: torchvision's, where `weights.find` finds it.

    Raises:
        SparringError: no such kind; a file that is missing, damaged, or does not hold these tensors.
    """
    if kind not in KINDS:
        raise SparringError(f"there is no LPIPS network '{kind}'{did_you_mean(kind, KINDS)}")
    wanted = KINDS[kind]
    path, of_heads = find(wanted.file, trunk), Path(heads)
    with torch.device("meta"):
        network, weights = Trunk(wanted), _empty_heads(wanted)
    digest = sha256_file(path)
    published = digest == wanted.file.sha256
    # VGG's own file is of the format before zip, which is read for these known bytes alone.
    tensors = torch.load(path, map_location="cpu", weights_only=True) if published else read_tensors(path)
    fill(network, {name: tensors[name] for name in tensors if name.startswith("features.")}, path)
    fill(weights, read_tensors(of_heads), of_heads)
    flat = [weight.flatten() for weight in weights.parameters()]
    if min(head.min().item() for head in flat) < 0:
        raise SparringError(f"{heads} are no heads of LPIPS: a weight is below 0")
    digest_of_heads = sha256(torch.cat(flat).numpy().tobytes())
    name = f"LPIPS-v0.1-{kind}"
    if not (published and digest_of_heads == HEADS[kind]):
        name = f"LPIPS-like-{kind}[trunk {digest[:8]}, heads {digest_of_heads[:8]}]"
    return PerceptualDistance(network, flat, name, (digest, digest_of_heads), wanted.smallest).to(device)


def find_lpips(shape: Sequence[int], device: torch.device | None = None) -> PerceptualDistance | None:
    """LPIPS for pictures ``(c, h, w)``, of the first network whose trunk and heads `weights.find` finds.

    VGG first, which PPL is published with, then AlexNet and SqueezeNet. Heads are looked for as
    ``lpips_v0.1_vgg_heads.safetensors`` and so on. None where nothing is found that takes such pictures.
    """
    for kind in ("vgg", "alex", "squeeze"):
        known = KINDS[kind]
        if shape[0] not in {1, 3} or min(shape[1:]) < known.smallest:
            continue
        heads = WeightsFile(f"lpips_v0.1_{kind}_heads.safetensors", HEADS[kind], "the authors of LPIPS")
        try:
            files = find(heads, None), find(known.file, None)
        except SparringError:
            continue
        return load_lpips(kind, *files, device)
    return None


def load_squeezenet_taps(weights: str | Path | None = None, device: torch.device | None = None) -> PerceptualDistance:
    """The uncalibrated sum over the taps of SqueezeNet 1.0: a stand-in under a name of its own, as its heads are none.

    Args:
        weights: as `squeezenet.load_squeezenet` takes them. Raises `SparringError` where they are not found.
    """
    extractor = load_squeezenet(weights)
    name = f"taps-{extractor.name}[{extractor.digest[:8]}]"
    return PerceptualDistance(_CaffeTaps(extractor.net), None, name, (extractor.digest, ""), smallest=21).to(device)


class _CaffeTaps(nn.Module):
    """Pictures in [-1, 1], at their own size, to the seven taps."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        taps: list[Tensor] = self.network.taps(less_mean_colour((images + 1) * 127.5))  # type: ignore[operator]
        return taps


def _empty_heads(kind: Kind) -> nn.Module:
    """As the authors name them: ``lin0.model.1.weight``; the 0 between was dropout."""
    heads = [nn.Conv2d(channels, 1, 1, bias=False) for channels in kind.channels]
    return nn.ModuleDict(
        {f"lin{place}": nn.ModuleDict({"model": nn.ModuleDict({"1": head})}) for place, head in enumerate(heads)}
    )
