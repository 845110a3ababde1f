"""How far made pictures are from the ones they should match: pixel by pixel, by slopes, by features, by patches.

Each returns a scalar mean. Pictures are ``(n, c, h, w)`` of one shape.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

Features = Callable[[Tensor], Sequence[Tensor]]


def l1(made: Tensor, wanted: Tensor) -> Tensor:
    """E |made - wanted|: also the cycle loss and the identity loss of Zhu et al. 2017, eq. 2 and sec. 5.2."""
    _check(made, wanted)
    return (made - wanted).abs().mean()


def squared(made: Tensor, wanted: Tensor) -> Tensor:
    """E (made - wanted)^2, which PSNR is the logarithm of."""
    _check(made, wanted)
    return (made - wanted).square().mean()


def charbonnier(made: Tensor, wanted: Tensor, epsilon: float = 1e-3) -> Tensor:
    """E sqrt((made - wanted)^2 + epsilon^2): L1 with a round bottom (Charbonnier et al. 1994; Lai et al. 2017)."""
    _check(made, wanted)
    return ((made - wanted).square() + epsilon**2).sqrt().mean()


PIXELS = {"l1": l1, "l2": squared, "charbonnier": charbonnier}


def gradient_difference(made: Tensor, wanted: Tensor) -> Tensor:
    """E | |slope of made| - |slope of wanted| | along both sides (Mathieu, Couprie, LeCun 2016, eq. 6, exponent 1).

    A blurred edge pays for it, one moved by a pixel hardly more than with L1.
    """
    _check(made, wanted)
    down = (made.diff(dim=2).abs() - wanted.diff(dim=2).abs()).abs().mean()
    return down + (made.diff(dim=3).abs() - wanted.diff(dim=3).abs()).abs().mean()


def perceptual(features: Features, made: Tensor, wanted: Tensor) -> Tensor:
    """E |phi(made) - phi(wanted)|, summed over the layers of ``phi`` (Johnson et al. 2016; Wang et al. 2018 for L1).

    Layers with features of any size count alike only where ``features`` has brought them to one scale.
    """
    _check(made, wanted)
    with torch.no_grad():
        wanted_features = features(wanted)
    return feature_matching(features(made), wanted_features)


def feature_matching(made: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Sum over layers of E |made - wanted|, the wanted ones as constants (Wang et al. 2018, pix2pixHD, eq. 4)."""
    if not made or len(made) != len(wanted):
        raise ValueError(f"{len(made)} layers of features cannot be matched with {len(wanted)}")
    return torch.stack([l1(own, other.detach()) for own, other in zip(made, wanted, strict=True)]).sum()


def statistics_matching(made: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Sum over layers of E (mean - mean')^2 + E (std - std')^2 of each channel over places (Huang and Belongie 2017,
    eq. 13, squared): what a style loss compares. The wanted ones are constants, and may be of another size.
    """
    if not made or len(made) != len(wanted):
        raise ValueError(f"{len(made)} layers of features cannot be matched with {len(wanted)}")
    losses = []
    for own, other in zip(made, wanted, strict=True):
        for a, b in zip(_statistics(own), _statistics(other.detach()), strict=True):
            losses.append((a - b).square().mean())
    return torch.stack(losses).sum()


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    flat = features.flatten(2)
    return flat.mean(2), (flat.var(2, unbiased=False) + 1e-5).sqrt()


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """-E log of the softmax of q.k / temperature at the key of the query's own place (Park et al. 2020, eq. 3).

    Args:
        queries, keys: features ``(n, places, d)``, brought to length 1 here; keys have no gradient. The keys of a
            picture's other places are the negatives; those of other pictures are none.
    """
    if queries.shape != keys.shape or queries.ndim != 3:
        raise ValueError(f"queries {tuple(queries.shape)} and keys {tuple(keys.shape)} are (n, places, d), both alike")
    queries, keys = normalize(queries, dim=2), normalize(keys.detach(), dim=2)
    likeness = queries @ keys.transpose(1, 2) / temperature
    own = torch.arange(queries.shape[1], device=queries.device).expand(len(queries), -1)
    return cross_entropy(likeness.flatten(0, 1), own.flatten())


def _check(made: Tensor, wanted: Tensor) -> None:
    if made.shape != wanted.shape:
        raise ValueError(f"made {tuple(made.shape)} and wanted {tuple(wanted.shape)} differ in shape")
