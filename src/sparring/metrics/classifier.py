"""A small network that learns the real data's own classes: the feature space for data that no known network fits.

Trained once for a data set in a minute or so of CPU time, kept in the cache folder under the set's fingerprint together
with the accuracy it has on a tenth that it never saw: how far its judgement goes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from sparring.core.errors import SparringError
from sparring.core.files import cache_folder, sha256, sha256_file, write_atomic, write_json
from sparring.core.weights import fill, read_tensors
from sparring.metrics.features import FitData
from sparring.metrics.network import NetworkExtractor, exact
from sparring.metrics.resize import shrink, shrunk, to_rgb

NAME = "classifier"
DIM = 64
SIDE = 32  # larger pictures are shrunk to it: time stays bounded, and classes can be told at this size
BATCH = 128
FEWEST = 100
MOST_ROUNDS, MOST_SHOWN = 40, 130_000  # few images are shown often, many as often as a minute allows
RATE = 0.01
VERSION = 1  # of network and training: raise it when the same data would give other weights
Progress = Callable[[str, int, int], None]


class SmallCNN(nn.Module):
    """``(n, c, h, w)`` in [-1, 1], 8 pixels a side or more, to features ``(n, 64)`` and logits ``(n, classes)``."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        widths = (channels, 32, 64, 96)
        self.layers = nn.Sequential(
            *(layer for i in range(3) for layer in _stage(widths[i], widths[i + 1], stride=2 if i < 2 else 1)),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * widths[3], DIM, bias=False),
            nn.BatchNorm1d(DIM),
            nn.ReLU(),
        )
        self.classes = nn.Linear(DIM, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.layers(x)
        return features, self.classes(features)


def _stage(before: int, after: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


@dataclass(frozen=True)
class Trained:
    """What is kept beside the weights.

    Attributes:
        accuracy: on the held-out tenth, 0..1.
        held_out: how many images that tenth has.
        classes: how many.
        channels, height, width: of the images it was trained on.
        digest: SHA-256 of the weights' file.
    """

    accuracy: float
    held_out: int
    classes: int
    channels: int
    height: int
    width: int
    digest: str


class ClassifierExtractor(NetworkExtractor):
    """The trained classifier; ``trained.accuracy`` says how far to trust it."""

    def __init__(self, net: SmallCNN, trained: Trained, device: torch.device | str):
        size = shrunk(trained.height, trained.width, SIDE)
        same = size == (trained.height, trained.width)
        super().__init__(
            net,
            lambda images: network_input(images, trained.channels),
            device,
            chunk=512,
            name=NAME,
            digest=trained.digest,
            preprocessing="none" if same else f"area-{size[0]}x{size[1]}",
            layer=f"penultimate-{DIM}",
            dim=DIM,
        )
        self.trained = trained


def network_input(images: Tensor, channels: int) -> Tensor:
    """Uint8 images to [-1, 1], the longer side 32 pixels at most; alpha lies over white."""
    return shrink(images if channels == 1 else to_rgb(images), SIDE) / 127.5 - 1


def load_classifier(
    fit: FitData, device: torch.device | str = "cpu", folder: Path | None = None, progress: Progress | None = None
) -> ClassifierExtractor:
    """The classifier of ``fit``, from the cache ``folder`` where it lies, else trained and put there.

    Raises `SparringError` where there are no labels, too few images or classes, or pictures too small.
    """
    folder = folder or cache_folder() / "classifiers"
    stem = folder / f"{sha256(f'{VERSION} {fit.fingerprint}'.encode())[:32]}"
    weights, notes = stem.with_suffix(".safetensors"), stem.with_suffix(".json")
    found = _read(weights, notes)
    if found is None:
        net, accuracy, held_out = train(fit, progress)
        content = save({key: tensor.contiguous() for key, tensor in net.state_dict().items()})
        found = Trained(accuracy, held_out, net.classes.out_features, *_shape(fit), sha256(content))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(weights, content)
            write_json(notes, vars(found))
        except OSError as error:
            raise SparringError(
                f"cannot keep the classifier in {folder}: {error.strerror or error}; make room or set SPARRING_CACHE"
            ) from None
    with torch.device("meta"):
        net = SmallCNN(found.channels, found.classes)
    return ClassifierExtractor(fill(net, read_tensors(weights), weights), found, device)


def _read(weights: Path, notes: Path) -> Trained | None:
    """What was kept, or None where it is not there or not whole: it can be made again."""
    try:
        trained = Trained(**json.loads(notes.read_text(encoding="utf-8")))
        return trained if sha256_file(weights) == trained.digest else None
    except (OSError, ValueError, TypeError):
        return None


def _shape(fit: FitData) -> tuple[int, int, int]:
    channels, height, width = fit.images.shape[1:]
    return 1 if channels == 1 else 3, height, width


def train(fit: FitData, progress: Progress | None = None) -> tuple[SmallCNN, float, int]:
    """Train on nine tenths; measure on the tenth. Returns the network, its accuracy there and that tenth's size.

    AdamW with a one-cycle rate (Smith & Topin 2018), pictures moved by up to an eighth of their side. Always on the CPU
    and from seed 0, so that the same data gives the same network on the same machine with the same number of threads.
    """
    if fit.labels is None:
        raise SparringError("the classifier needs labelled real data; choose another extractor, such as pixels-pca")
    labels, classes = fit.labels.cpu(), int(fit.labels.max()) + 1 if len(fit.labels) else 0
    channels, height, width = _shape(fit)
    if len(labels) < FEWEST or classes < 2 or min(height, width) < 8:
        raise SparringError(
            f"the classifier needs at least {FEWEST} real images of two classes, 8 pixels a side or more, not "
            f"{len(labels)} of {classes} at {height}x{width}; choose another extractor, such as pixels-pca"
        )
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(labels), generator=generator)
    held_out, taught = order[: len(order) // 10], order[len(order) // 10 :]
    with torch.random.fork_rng(devices=[]), exact(torch.device("cpu")), torch.enable_grad():
        torch.manual_seed(0)
        net = SmallCNN(channels, classes)
        _descend(net, fit.images, labels, taught, generator, progress)
    net.eval()
    with torch.no_grad():
        right = [
            net(network_input(fit.images[some].cpu(), channels))[1].argmax(1) == labels[some]
            for some in held_out.split(512)
        ]
    return net, torch.cat(right).double().mean().item(), len(held_out)


def _descend(
    net: SmallCNN,
    images: Tensor,
    labels: Tensor,
    taught: Tensor,
    generator: torch.Generator,
    progress: Progress | None,
) -> None:
    """Show each image as often as the two bounds allow."""
    steps_a_round = max(1, len(taught) // BATCH)
    steps = min(steps_a_round * MOST_ROUNDS, MOST_SHOWN // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.2)
    order = taught
    for step in range(steps):
        place = step % steps_a_round
        if place == 0:
            order = taught[torch.randperm(len(taught), generator=generator)]
        chosen = order[place * BATCH : (place + 1) * BATCH]
        pictures = _moved(network_input(images[chosen].cpu(), net.layers[0].in_channels), generator)  # type: ignore[arg-type]
        loss = F.cross_entropy(net(pictures)[1], labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        if progress:
            progress("train the classifier", step + 1, steps)


def _moved(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """The whole batch moved by one random offset, its border repeated: cheap, and other for each batch."""
    height, width = pictures.shape[2:]
    most = (height // 8, width // 8)
    down, right = (int(torch.randint(0, 2 * side + 1, (), generator=generator)) for side in most)
    padded = F.pad(pictures, (most[1], most[1], most[0], most[0]), mode="replicate")
    return padded[:, :, down : down + height, right : right + width]
