"""Recipes for tables."""

from sparring.core.recipe import Recipe


def ctgan_adult_cpu() -> Recipe:
    """The Adult census table (a file ``adult.csv`` with a header line), a tenth of it held out.

    Command: ``sparring train adult.csv --recipe ctgan_adult_cpu``. Hardware: a CPU. What nine CPU
    minutes of it reach: docs/results/tables.md.
    """
    train = {"kimg": 2500, "batch": 250, "ema_kimg": 50}
    return Recipe("adult.csv", "ctgan", {"data": {"held_out": 0.1}, "train": train})


def tvae_adult_cpu() -> Recipe:
    """The same table by the autoencoder.

    Command: ``sparring train adult.csv --recipe tvae_adult_cpu``. Hardware: a CPU. What nine CPU
    minutes of it reach: docs/results/tables.md.
    """
    return Recipe("adult.csv", "tvae", {"data": {"held_out": 0.1}, "train": {"kimg": 5000, "batch": 500}})
