"""The sets known by name. Digests are those of the files as their authors published them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sparring.data.arrays import Arrays, digits, read_cifar10, read_idx
from sparring.data.download import Remote, cache_folder, fetch
from sparring.data.parallel import Progress

_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
_FASHION = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_CIFAR = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
)
CLOTHES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip


def _remote(name: str, sha256: str, mirrors: tuple[str, ...]) -> Remote:
    return Remote(name, sha256, tuple(mirror + name for mirror in mirrors))


FILES: dict[str, tuple[Remote, ...]] = {
    "digits": (),
    "mnist": (
        _remote(
            "train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", _MNIST
        ),
        _remote(
            "train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", _MNIST
        ),
    ),
    "fashion-mnist": (
        _remote(
            "train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", _FASHION
        ),
        _remote(
            "train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", _FASHION
        ),
    ),
    "cifar10": (
        _remote("cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", _CIFAR),
    ),
}


def read_builtin(name: str, progress: Progress | None = None) -> Arrays:
    """A set of `FILES` by name, downloaded into the cache when it is not there yet."""
    paths = [fetch(remote, cache_folder() / name, progress) for remote in FILES[name]]
    readers: dict[str, Callable[[list[Path]], Arrays]] = {
        "digits": lambda _: digits(),
        "mnist": lambda p: read_idx(p[0], p[1]),
        "fashion-mnist": lambda p: replace(read_idx(p[0], p[1]), classes=CLOTHES),
        "cifar10": lambda p: read_cifar10(p[0]),
    }
    return readers[name](paths)
