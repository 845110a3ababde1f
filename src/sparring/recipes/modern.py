"""Recipes for r3gan and fastgan."""

from sparring.core.recipe import Recipe


def r3gan_cpu() -> Recipe:
    """Fashion-MNIST with narrow networks.

    Command: ``sparring train --recipe r3gan_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    return Recipe("fashion-mnist", "r3gan", {"game": {"width": 32}, "train": {"kimg": 300, "batch": 64, "ema_kimg": 5}})


def r3gan_gpu() -> Recipe:
    """CIFAR-10 by class with the networks, gamma, burn-in and length of Huang et al. 2024 (their FID: 1.96).

    Command: ``sparring train --recipe r3gan_gpu``. Hardware: several large GPUs, for days (theirs: 8 L40 for 4); with
    ``--train.kimg 20000``, one. Time and numbers of ours: not measured yet.
    """
    game = {"width": 768, "blocks": 2, "conditional": True, "gamma": 0.05, "burn_in_kimg": 20_000}
    augment = {"augment": "ada", "augment_p": 0.55, "augment_kimg": 20_000}
    train = {"kimg": 250_000, "batch": 512, "ema_kimg": 5000, "ema_rampup": 0.25, "precision": "bf16"}
    return Recipe("cifar10", "r3gan", {"data": {"flip": True}, "game": game, "train": {**train, **augment}})


def fastgan_cpu() -> Recipe:
    """Scanned digits, 8x8, with narrow networks.

    Command: ``sparring train --recipe fastgan_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    return Recipe("digits", "fastgan", {"game": {"width": 16, "z_dim": 64}, "train": {"kimg": 100}})


def fastgan_gpu() -> Recipe:
    """A folder of a hundred to a few thousand pictures at 256 pixels, as in Liu et al. 2021.

    Command: ``sparring train photos/ --family fastgan --data.size 256``. Hardware: one GPU. Time and numbers: not
    measured yet.
    """
    return Recipe("photos", "fastgan", {"data": {"size": "256"}, "game": {"width": 64}})
