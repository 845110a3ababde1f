"""CAS: how well a classifier that learnt from fakes alone knows reals (Ravuri and Vinyals 2019).

A small classifier is trained on generated pictures with the labels they were asked for, and tested on real pictures
held out from everything. Beside it the same classifier trained on as many reals: what fakes as good as reals would
reach. Fakes that are sharp but all alike, or of the wrong class, teach little. The paper trains ResNet-50 for ImageNet;
with another classifier the number is another, and only the gap to the reals can be read.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.core.errors import SparringError
from sparring.metrics.classifier import network_input, train
from sparring.metrics.features import FitData
from sparring.metrics.network import exact

BATCH = 512

Predict = Callable[[Tensor], Tensor]  # uint8 (n, c, h, w) to logits (n, classes)
Fit = Callable[[Tensor, Tensor], Predict]


@dataclass(frozen=True)
class ClassificationAccuracy:
    """Shares of held-out reals that were recognised, 0..1.

    Attributes:
        from_fakes: by the classifier trained on fakes: the CAS.
        from_reals: by the one trained on as many reals.
        by_class: as `from_fakes`, of each class, ``(classes,)``; NaN where the held-out reals have none of it.
        by_class_from_reals: the same from reals.
        trained_on: pictures each was trained on.
        tested_on: held-out reals.
    """

    from_fakes: float
    from_reals: float
    by_class: tuple[float, ...]
    by_class_from_reals: tuple[float, ...]
    trained_on: int
    tested_on: int


def small_classifier(images: Tensor, labels: Tensor) -> Predict:
    """Train the classifier of `metrics.classifier` on uint8 ``(n, c, h, w)`` and labels ``(n,)``.

    Raises `SparringError` for fewer than 100 pictures or two classes, or fewer than 8 pixels a side.
    """
    network, _, _ = train(FitData(images, labels, fingerprint=""))
    channels = 1 if images.shape[1] == 1 else 3

    def predict(pictures: Tensor) -> Tensor:
        with torch.no_grad(), exact(torch.device("cpu")):
            logits: Tensor = network(network_input(pictures.cpu(), channels))[1]
            return logits

    return predict


def classification_accuracy(
    fakes: Tensor,
    asked: Tensor,
    reals: Tensor,
    labels: Tensor,
    held_out: Tensor,
    held_out_labels: Tensor,
    classes: int,
    fit: Fit = small_classifier,
    seed: int = 0,
) -> ClassificationAccuracy:
    """Train on fakes, train on reals, test both on other reals.

    Args:
        fakes, asked: uint8 ``(n, c, h, w)`` and the int64 labels ``(n,)`` that they were asked for.
        reals, labels: those that the GAN was trained on. Of the larger of the two sets, a random part is used.
        held_out, held_out_labels: reals that neither the GAN nor a classifier was trained on.
        classes: how many, at least 2.
        fit: trains a classifier from scratch, the same way each time.
        seed: of the random part.

    Raises:
        SparringError: fewer than two classes, an empty set, pictures of different shapes, or fewer or more labels than
            pictures.
    """
    if classes < 2:
        raise SparringError("CAS needs data with at least two classes")
    for name, images, given in (
        ("fakes", fakes, asked),
        ("reals", reals, labels),
        ("held-out reals", held_out, held_out_labels),
    ):
        if not len(images) or len(images) != len(given):
            raise SparringError(f"CAS needs a label for each picture; got {len(images)} {name}, {len(given)} labels")
        if images.shape[1:] != held_out.shape[1:]:
            raise SparringError(
                f"CAS needs pictures of one shape; {name} have {tuple(images.shape[1:])}, held-out reals "
                f"{tuple(held_out.shape[1:])}"
            )
    count = min(len(fakes), len(reals))
    on_fakes, on_reals = (
        _correct(fit(*_part(images, given, count, seed)), held_out, held_out_labels)
        for images, given in ((fakes, asked), (reals, labels))
    )
    return ClassificationAccuracy(
        from_fakes=on_fakes.mean().item(),
        from_reals=on_reals.mean().item(),
        by_class=_by_class(on_fakes, held_out_labels, classes),
        by_class_from_reals=_by_class(on_reals, held_out_labels, classes),
        trained_on=count,
        tested_on=len(held_out),
    )


def _part(images: Tensor, labels: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    if count == len(images):
        return images, labels
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count].to(images.device)
    return images[chosen], labels[chosen.to(labels.device)]


def _correct(predict: Predict, images: Tensor, labels: Tensor) -> Tensor:
    """Float64 ``(n,)``, 1 where the label was found."""
    found = torch.cat([predict(batch).argmax(1).cpu() for batch in images.split(BATCH)])
    return (found == labels.cpu()).double()


def _by_class(correct: Tensor, labels: Tensor, classes: int) -> tuple[float, ...]:
    return tuple(correct[labels.cpu() == index].mean().item() for index in range(classes))  # the mean of none is NaN
