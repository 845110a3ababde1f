"""The sets known by name. Digests are those of the files as their authors published them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sparring.core.files import cache_folder
from sparring.data.arrays import Arrays, digits, read_cifar10, read_idx
from sparring.data.download import Remote, fetch
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


# The test parts, where they are files of their own or inside the training file's archive (CIFAR-10).
TESTS: dict[str, tuple[Remote, ...]] = {
    "mnist": (
        _remote(
            "t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", _MNIST
        ),
        _remote(
            "t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", _MNIST
        ),
    ),
    "fashion-mnist": (
        _remote(
            "t10k-images-idx3-ubyte.gz", "78cb45a589ec14266eab4ac0cb2e9e10a4c076ae2d337fe86383d761bff83f32", _FASHION
        ),
        _remote(
            "t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", _FASHION
        ),
    ),
    "cifar10": FILES["cifar10"],
}


def read_builtin_test(name: str, progress: Progress | None = None) -> Arrays:
    """The published test part of a set of `TESTS`, downloaded into the cache when it is not there yet."""
    paths = [fetch(remote, cache_folder() / name, progress) for remote in TESTS[name]]
    if name == "cifar10":
        return read_cifar10(paths[0], "test_batch")
    arrays = read_idx(paths[0], paths[1])
    return replace(arrays, classes=CLOTHES) if name == "fashion-mnist" else arrays


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
