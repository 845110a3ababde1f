"""Recipes for anomaly detection: trained on what is normal alone."""

from sparring.core.recipe import Recipe

FAST = {"lr": 5e-4}  # the paper's 1e-4 and 5e-5 are for longer runs


def fanogan_small_cpu() -> Recipe:
    """Normal pictures of about 32 pixels a side (a folder ``normal``), a tenth of them held out.

    Command: ``sparring train normal --recipe fanogan_small_cpu``. Hardware: a CPU. What
    runs of a few minutes reach: docs/results/anomaly.md.
    """
    train = {"kimg": 400, "batch": 32, "ema_kimg": 0}
    game = {"width": 16, "d_steps": 2, "gan_kimg": 280}
    return Recipe("normal", "fanogan", {"data": {"held_out": 0.1}, "train": train, "game": game, "optim": FAST})


def fanogan_table_cpu() -> Recipe:
    """Normal rows of a table (a file ``normal.csv`` with a header line), a tenth of them held out.

    Command: ``sparring train normal.csv --recipe fanogan_table_cpu``. Hardware: a CPU. What runs of
    a few minutes reach: docs/results/anomaly.md.
    """
    return Recipe("normal.csv", "fanogan", {"data": {"held_out": 0.1}, "train": {"kimg": 1000}})
