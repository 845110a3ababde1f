"""Recipes for style-based and progressive networks."""

from sparring.core.recipe import Recipe


def stylegan2_cpu() -> Recipe:
    """Handwritten digits, 28x28, with a very thin StyleGAN2 without path length regularisation.

    Command: ``sparring train --recipe stylegan2_cpu``
    Hardware: one CPU. Time and result: not measured yet.
    """
    game = {"channel_base": 512, "channel_max": 64, "z_dim": 64, "w_dim": 64, "path_weight": 0.0}
    return Recipe("mnist", "stylegan2", {"game": game, "train": {"kimg": 200}})


def stylegan2_gpu() -> Recipe:
    """CIFAR-10, 32x32, as in the paper on limited data: a wide network, no path length, no mixing, a plain D.

    Command: ``sparring train --recipe stylegan2_gpu``
    Hardware: one GPU. Time and result: not measured yet. The authors train for 100,000 kimg.
    """
    networks = {"channel_base": 32768, "channel_max": 512, "mapping_layers": 2, "residual": False, "stddev_group": 32}
    losses = {"mixing": 0.0, "path_weight": 0.0, "r1_gamma": 0.01}
    train = {"kimg": 5000, "batch": 64, "ema_kimg": 500.0, "precision": "bf16"}
    return Recipe("cifar10", "stylegan2", {"game": {**networks, **losses}, "train": train})


def progressive_cpu() -> Recipe:
    """Handwritten digits, 28x28, growing from 7x7 with thin networks.

    Command: ``sparring train --recipe progressive_cpu``
    Hardware: one CPU. Time and result: not measured yet.
    """
    game = {"channel_base": 512, "channel_max": 64, "z_dim": 64, "stable_kimg": 20.0, "fade_kimg": 20.0}
    return Recipe("mnist", "progressive", {"game": game, "train": {"kimg": 160, "batch": 32}})


def progressive_gpu() -> Recipe:
    """CIFAR-10, 32x32, growing from 4x4 with networks as wide as the paper's.

    Command: ``sparring train --recipe progressive_gpu``
    Hardware: one GPU. Time and result: not measured yet.
    """
    game = {"channel_base": 16384, "channel_max": 512, "stable_kimg": 800.0, "fade_kimg": 800.0}
    return Recipe("cifar10", "progressive", {"game": game, "train": {"kimg": 12000, "batch": 64}})


def stylegan3_gpu() -> Recipe:
    """CIFAR-10, 32x32, with an alias-free generator of medium width.

    Command: ``sparring train --recipe stylegan3_gpu``
    Hardware: one GPU. Time and result: not measured yet. There is none for a CPU: its wide canvases and filters cost
    many times what StyleGAN2 does.
    """
    game = {"channel_base": 16384, "channel_max": 256}
    return Recipe("cifar10", "stylegan3", {"game": game, "train": {"kimg": 2000}})
