"""Recipes for residual GANs: sngan, wgan_gp, projection, sagan, biggan."""

from sparring.core.recipe import Recipe

# Narrow networks and few turns of D, so that a CPU gets somewhere in minutes.
NARROW = {"width": 16, "d_steps": 1}
QUICK = {"kimg": 200, "batch": 64, "ema_kimg": 5}
TWO_RATES = {"G": {"lr": 2e-4}, "D": {"lr": 4e-4}}  # in place of more turns of D


def sngan_cpu() -> Recipe:
    """Fashion-MNIST with narrow networks, one turn of D for one of G.

    Command: ``sparring train --recipe sngan_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    return Recipe("fashion-mnist", "sngan", {"game": NARROW, "optim": TWO_RATES, "train": QUICK})


def sngan_gpu() -> Recipe:
    """CIFAR-10 as in Miyato et al. 2018: 50,000 steps of G, five turns of D each.

    Command: ``sparring train --recipe sngan_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("cifar10", "sngan", {"data": {"labels": "none"}, "train": {"kimg": 16000, "batch": 64}})


def wgan_gp_cpu() -> Recipe:
    """Fashion-MNIST with narrow networks, two turns of D for one of G.

    Command: ``sparring train --recipe wgan_gp_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    return Recipe("fashion-mnist", "wgan_gp", {"game": {"width": 16, "d_steps": 2}, "train": QUICK})


def wgan_gp_gpu() -> Recipe:
    """CIFAR-10 as in the code of Gulrajani et al. 2017: 100,000 steps of G, five turns of D each.

    Command: ``sparring train --recipe wgan_gp_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("cifar10", "wgan_gp", {"data": {"labels": "none"}, "train": {"kimg": 32000, "batch": 64}})


def projection_cpu() -> Recipe:
    """Handwritten digits by class with narrow networks, one turn of D for one of G, at high rates.

    Command: ``sparring train --recipe projection_cpu``. Hardware: one CPU core, 9 minutes. Of 10,000 samples 99.1% are
    recognised as the class asked for, 95% as varied within it as reals: docs/results/conditional.md.
    """
    rates = {"G": {"lr": 1e-3}, "D": {"lr": 2e-3}}
    settings = {"game": {"width": 8, "d_steps": 1}, "optim": rates, "train": {"kimg": 92, "batch": 32, "ema_kimg": 5}}
    return Recipe("mnist", "projection", settings)


def projection_gpu() -> Recipe:
    """CIFAR-10 by class as in the code of Miyato and Koyama 2018: 50,000 steps of G, five turns of D each.

    Command: ``sparring train --recipe projection_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("cifar10", "projection", {"train": {"kimg": 16000, "batch": 64}})


def sagan_cpu() -> Recipe:
    """Fashion-MNIST by class with narrow networks, attention at 14x14.

    Command: ``sparring train --recipe sagan_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    return Recipe("fashion-mnist", "sagan", {"game": {"width": 16}, "optim": TWO_RATES, "train": QUICK})


def sagan_gpu() -> Recipe:
    """CIFAR-10 by class, attention at 16x16.

    Command: ``sparring train --recipe sagan_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("cifar10", "sagan", {"train": {"kimg": 6400, "batch": 64}})


def biggan_cpu() -> Recipe:
    """Fashion-MNIST by class with narrow networks, one turn of D for one of G.

    Command: ``sparring train --recipe biggan_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    return Recipe("fashion-mnist", "biggan", {"game": {"width": 8, "d_steps": 1}, "train": QUICK})


def biggan_gpu() -> Recipe:
    """CIFAR-10 by class as in the authors' script: batches of 50, four turns of D for one of G, 500 epochs.

    Command: ``sparring train --recipe biggan_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    settings = {"game": {"ortho": 0.0}, "train": {"kimg": 25000, "batch": 50, "ema_kimg": 1386}}
    return Recipe("cifar10", "biggan", settings)
