"""Recipes for series."""

from sparring.core.recipe import Recipe


def doppelganger_stock_cpu() -> Recipe:
    """Google's stock by day (a file ``google_stock.csv.gz``), windows of 24 days, a fifth held out in blocks of time.

    Command: ``sparring train google_stock.csv.gz --recipe doppelganger_stock_cpu``. Hardware: a CPU. What
    shorter runs of it reach: docs/results/series.md.
    """
    return Recipe("google_stock.csv.gz", "doppelganger", {"data": {"window": 24, "held_out": 0.2}})


def doppelganger_sunspots_cpu() -> Recipe:
    """Sunspots by month (a file ``monthly-sunspots.csv.gz``), windows of 24 months, a fifth held out in blocks of time.

    Command: ``sparring train monthly-sunspots.csv.gz --recipe doppelganger_sunspots_cpu``. Hardware: a CPU. What
    shorter runs of it reach: docs/results/series.md.
    """
    return Recipe("monthly-sunspots.csv.gz", "doppelganger", {"data": {"window": 24, "held_out": 0.2}})
