"""Recipes for the classic families: by class, by a distance, by a pyramid."""

from sparring.core.recipe import Recipe


def cgan_cpu() -> Recipe:
    """Handwritten digits by class in CPU minutes.

    Command: ``sparring train --recipe cgan_cpu``. Hardware: one CPU core, about 8 minutes. Of 10,000 samples 97.6% are
    recognised as the class asked for, as varied within it as reals: docs/results/conditional.md.
    """
    settings = {"optim": {"schedule": "linear", "decay_from_kimg": 75}, "train": {"kimg": 150}}
    return Recipe("mnist", "cgan", settings)


def cgan_gpu() -> Recipe:
    """Handwritten digits by class with the networks, batches and learning rate that Radford et al. released.

    Command: ``sparring train --recipe cgan_gpu``. Hardware: one GPU. Time and quality: not measured yet.
    """
    game = {"width": 64, "hidden": 1024}
    return Recipe("mnist", "cgan", {"game": game, "optim": {"lr": 2e-4}, "train": {"batch": 128, "kimg": 6000}})


def acgan_cpu() -> Recipe:
    """Handwritten digits by class in CPU minutes, told apart by an auxiliary classifier.

    Command: ``sparring train --recipe acgan_cpu``. Hardware: one CPU core, about 6 minutes. Of 10,000 samples 98.5% are
    recognised as the class asked for, 98% as varied within it as reals: docs/results/conditional.md.
    """
    settings = {"optim": {"schedule": "linear", "decay_from_kimg": 100}, "train": {"kimg": 250}}
    return Recipe("mnist", "acgan", settings)


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
