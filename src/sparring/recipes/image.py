"""Recipes for images."""

from sparring.core.recipe import Recipe


def digits() -> Recipe:
    """Scanned digits, 8x8, the demo.

    Command: ``sparring train --recipe digits`` (what ``sparring train digits`` chooses by itself).
    """
    return Recipe("digits", "dcgan", {"game": {"width": 32}, "train": {"kimg": 400}})
