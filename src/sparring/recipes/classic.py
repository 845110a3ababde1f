"""Recipes for the classic families: by class, by a distance, by a pyramid."""

from sparring.core.recipe import Recipe


def cgan_cpu() -> Recipe:
    """Handwritten digits by class in CPU minutes.

    Command: ``sparring train --recipe cgan_cpu``. Hardware: one CPU core. After its first 42 kimg (one seed; 28 took
    4 minutes on a busy core) a small convolutional classifier, right on 99.1% of the test set, took 96.3% of 2,000
    samples for the class asked for, and they differed within a class 98% as much as reals. All 80 kimg: not measured.
    """
    return Recipe("mnist", "cgan", {"train": {"kimg": 80}})


def cgan_gpu() -> Recipe:
    """Handwritten digits by class with the networks, batches and learning rate that Radford et al. released.

    Command: ``sparring train --recipe cgan_gpu``. Hardware: one GPU. Time and quality: not measured yet.
    """
    game = {"width": 64, "hidden": 1024}
    return Recipe("mnist", "cgan", {"game": game, "optim": {"lr": 2e-4}, "train": {"batch": 128, "kimg": 6000}})


def acgan_cpu() -> Recipe:
    """Handwritten digits by class in CPU minutes, told apart by an auxiliary classifier.

    Command: ``sparring train --recipe acgan_cpu``. Hardware: one CPU core. Its first 56 kimg took 8 minutes on a busy
    one (one seed): of 2,000 samples a small convolutional classifier, right on 99.1% of the test set, took 97.3% for
    the class asked for, and they differed within a class 83% as much as reals. All 80 kimg: not measured yet.
    """
    return Recipe("mnist", "acgan", {"train": {"kimg": 80}})


def acgan_gpu() -> Recipe:
    """CIFAR-10 by class.

    Command: ``sparring train --recipe acgan_gpu``. Hardware: one GPU. Time and quality: not measured yet; the paper
    reports an Inception Score of 8.25 with other networks (Odena et al. 2017).
    """
    return Recipe(
        "cifar10",
        "acgan",
        {"game": {"width": 128}, "optim": {"lr": 2e-4}, "train": {"batch": 64, "kimg": 10000}},
    )


def wgan_cpu() -> Recipe:
    """Handwritten digits by a clipped critic, at a learning rate four times the paper's.

    Command: ``sparring train --recipe wgan_cpu``. Hardware: two CPU cores. Time and quality: not measured yet.
    """
    return Recipe("mnist", "wgan", {"game": {"width": 32}, "optim": {"lr": 2e-4}, "train": {"kimg": 300}})


def wgan_gpu() -> Recipe:
    """CIFAR-10 with the settings of the authors' code, its first 25 steps of 100 critic moves included.

    Command: ``sparring train --recipe wgan_gpu``. Hardware: one GPU. Time and quality: not measured yet.
    """
    return Recipe("cifar10", "wgan", {"game": {"warmup_kimg": 160}, "train": {"batch": 64, "kimg": 20000}})


def lapgan_cpu() -> Recipe:
    """Handwritten digits along a pyramid of 7, 14 and 28 pixels.

    Command: ``sparring train --recipe lapgan_cpu``. Hardware: two CPU cores. Time and quality: not measured yet.
    """
    settings = {"game": {"width": 16, "hidden": 400}, "optim": {"lr": 5e-4}, "train": {"batch": 32, "kimg": 150}}
    return Recipe("mnist", "lapgan", settings)


def lapgan_gpu() -> Recipe:
    """CIFAR-10 by class along a pyramid of 8, 16 and 32 pixels, with the paper's networks.

    Command: ``sparring train --recipe lapgan_gpu``. Hardware: one GPU. Time and quality: not measured yet.
    """
    return Recipe("cifar10", "lapgan", {"game": {"conditional": True}, "train": {"batch": 128, "kimg": 10000}})
