"""The feature networks by name."""

from pathlib import Path

import torch

from sparring.core.errors import SparringError, did_you_mean
from sparring.metrics.cifar_resnet import load_cifar_resnet
from sparring.metrics.classifier import Progress, load_classifier
from sparring.metrics.features import Extractor, FitData
from sparring.metrics.foundation import load_foundation
from sparring.metrics.inception import load_inception
from sparring.metrics.pixels import PixelExtractor
from sparring.metrics.resize import FID_RULES
from sparring.metrics.squeezenet import load_squeezenet

EXTRACTORS = {
    "inception-2015-12-05": "the network of FID, KID and IS; weights of 96 MB that you bring",
    "classifier": "a small network trained on your own labelled data, with the accuracy it reached",
    "pixels-pca": "shrunken pixels on 64 principal directions of the real data: no weights, seconds",
    "squeezenet1_0": "a small ImageNet network, 5 MB: for general pictures on a CPU",
    "cifar10-resnet20": "a CIFAR-10 classifier, 1 MB: for small colour pictures of objects",
    "cifar10-resnet56": "a better one, 3 MB",
    "dinov2-vitl14": "FD-DINOv2's network, from a folder that you bring",
    "clip-vitl14-336": "CMMD's network, from a folder that you bring",
}
FITTED = frozenset({"classifier", "pixels-pca"})


def make_extractor(
    name: str,
    weights: str | Path | None = None,
    resize: str | None = None,
    fit: FitData | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Extractor:
    """The extractor ``name``, ready.

    Args:
        name: one of `EXTRACTORS`.
        weights: its file or folder; else it is looked for in ``$SPARRING_WEIGHTS`` and the cache folder.
        resize: of the Inception network, one of `FID_RULES`; the others have one rule of their own.
        fit: real data, for those in `FITTED`.
        progress: told (stage, done, total) while a classifier is trained.

    Raises:
        SparringError: no such name or rule, weights missing or wrong, or data that cannot be fitted on.
        ValueError: one of `FITTED` without ``fit``.
    """
    if name not in EXTRACTORS:
        raise SparringError(f"there is no extractor '{name}'{did_you_mean(name, EXTRACTORS)}")
    if resize is not None and (name != "inception-2015-12-05" or resize not in FID_RULES):
        raise SparringError(
            f"resize '{resize}' does not go with {name}: "
            + (
                f"choose one of {', '.join(FID_RULES)}"
                if name == "inception-2015-12-05"
                else "it has a rule of its own"
            )
        )
    if name in FITTED:
        if fit is None:
            raise ValueError(f"{name} is fitted on real data: give fit=FitData(...)")
        if weights is not None:
            raise SparringError(f"{name} is fitted on the real data and takes no weights; leave --weights out")
        return load_classifier(fit, device, progress=progress) if name == "classifier" else PixelExtractor(fit, device)
    if name == "inception-2015-12-05":
        return load_inception(weights, resize or FID_RULES[0], device)
    if name == "squeezenet1_0":
        return load_squeezenet(weights, device)
    if name.startswith("cifar10-resnet"):
        return load_cifar_resnet(int(name.removeprefix("cifar10-resnet")), weights, device)
    return load_foundation(name, weights, device)
