"""SqueezeNet 1.0 (Iandola et al. 2016): 1.2 million weights, 5 MB, ImageNet accuracy of AlexNet's kind.

A feature space for general pictures that a CPU can afford. Its numbers are its own: they are neither FID nor LPIPS.
"""

from pathlib import Path

import torch
from torch import Tensor

from sparring.core.weights import check_digest, fill, find, read_tensors
from sparring.metrics.network import NetworkExtractor
from sparring.metrics.resize import antialiased
from sparring.nn.squeezenet import WEIGHTS, SqueezeNet, less_mean_colour, parameter_names

NAME = "squeezenet1_0"
SIZE = 227


def squeezenet_input(images: Tensor) -> Tensor:
    """Uint8 images to 227x227 in the order blue, green, red, 0..255 less the mean colour, as Caffe had it."""
    return less_mean_colour(antialiased(images, SIZE))


def load_squeezenet(weights: str | Path | None = None, device: torch.device | str = "cpu") -> NetworkExtractor:
    """The network with the weights that lie at ``weights`` (see `weights.find`)."""
    path = find(WEIGHTS, weights)
    digest = check_digest(path, WEIGHTS)
    with torch.device("meta"):
        net = SqueezeNet()
    return NetworkExtractor(
        fill(net, parameter_names(read_tensors(path)), path),
        squeezenet_input,
        device,
        chunk=64,
        name=NAME,
        digest=digest,
        preprocessing=f"antialiased-{SIZE}",
        layer="fire9-512",
        dim=512,
    )
