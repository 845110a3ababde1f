"""Recipes for pictures made of other pictures: pix2pix, cyclegan, cut, spade, faststyle."""

from sparring.core.recipe import Recipe

# Narrow networks at 64 pixels, so that a CPU gets somewhere in minutes.
SMALL = {"size": "64"}
FLIPPED = {**SMALL, "flip": True}
# A change to the picture instead of a picture, a weak tie to the input, and critics that see it shifted: what a few
# hundred pictures and minutes allow.
CHANGE = {"width": 16, "blocks": 3, "change": True, "identity": 0}
SHIFTED = {"batch": 1, "ema_kimg": 1, "augment": "diff:translation"}
FASTER = {"G": {"lr": 4e-4}}


def pix2pix_cpu() -> Recipe:
    """Pairs at 64 pixels with half of the paper's width, such as 400 facades.

    Command: ``sparring train pairs/ --recipe pix2pix_cpu``. Hardware: one CPU core, 9 minutes. Of 100 unseen facades:
    6% nearer to photographs than L1 alone (Fréchet distance of SqueezeNet's features; one seed).
    """
    game = {"width": 32, "adversarial": 0.1, "matching": 10}
    return Recipe("pairs", "pix2pix", {"data": FLIPPED, "game": game, "train": {"kimg": 18, "batch": 4, "ema_kimg": 1}})


def pix2pix_gpu() -> Recipe:
    """Pairs at 256 pixels as in Isola et al. 2017.

    Command: ``sparring train pairs/ --recipe pix2pix_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("pairs", "pix2pix", {"data": {"size": "256", "flip": True}, "train": {"kimg": 80, "batch": 1}})


def cyclegan_cpu() -> Recipe:
    """Two sets at 64 pixels with narrow networks, such as horses and zebras.

    Command: ``sparring train horse2zebra/ --recipe cyclegan_cpu``. Hardware: one CPU core, 39 minutes. Of 450 horses
    and as many zebras: unseen horses come 15% nearer to zebras (Fréchet distance of SqueezeNet's features; one seed).
    """
    game, train = {**CHANGE, "smooth": True, "cycle": 1}, {**SHIFTED, "kimg": 20}
    return Recipe("horse2zebra", "cyclegan", {"data": FLIPPED, "game": game, "optim": FASTER, "train": train})


def cyclegan_gpu() -> Recipe:
    """Two sets at 256 pixels as in Zhu et al. 2017.

    Command: ``sparring train horse2zebra/ --recipe cyclegan_gpu``. Hardware: one GPU. Time and numbers: not measured
    yet.
    """
    settings = {"data": {"size": "256", "flip": True}, "train": {"kimg": 267, "batch": 1}}
    return Recipe("horse2zebra", "cyclegan", settings)


def cut_cpu() -> Recipe:
    """Two sets at 64 pixels with narrow networks, such as horses and zebras.

    Command: ``sparring train horse2zebra/ --recipe cut_cpu``. Hardware: one CPU core, 40 minutes. Of 450 horses and as
    many zebras: unseen horses come 28% nearer to zebras (Fréchet distance of SqueezeNet's features; one seed).
    """
    game, train = {**CHANGE, "nce": 0.2, "patches": 64}, {**SHIFTED, "kimg": 40}
    return Recipe("horse2zebra", "cut", {"data": FLIPPED, "game": game, "optim": FASTER, "train": train})


def cut_gpu() -> Recipe:
    """Two sets at 256 pixels as in Park et al. 2020.

    Command: ``sparring train horse2zebra/ --recipe cut_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("horse2zebra", "cut", {"data": {"size": "256", "flip": True}, "train": {"kimg": 400, "batch": 1}})


def spade_cpu() -> Recipe:
    """Label maps and pictures at 64 pixels with narrow networks.

    Command: ``sparring train pairs/ --recipe spade_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    game = {"width": 12, "hidden": 32}
    return Recipe("pairs", "spade", {"data": FLIPPED, "game": game, "train": {"kimg": 40, "batch": 4}})


def spade_gpu() -> Recipe:
    """Label maps and pictures at 256 pixels as in Park et al. 2019.

    Command: ``sparring train pairs/ --recipe spade_gpu --data.palette auto``. Hardware: one GPU. Time and numbers: not
    measured yet.
    """
    return Recipe("pairs", "spade", {"data": {"size": "256", "flip": True}, "train": {"kimg": 150, "batch": 8}})


def faststyle_cpu() -> Recipe:
    """Photographs and paintings at 64 pixels, by features of SqueezeNet.

    Command: ``sparring train photos-and-paintings/ --recipe faststyle_cpu``. Hardware: a CPU. Time and numbers: not
    measured yet.
    """
    game = {"width": 16, "blocks": 3}
    settings = {"data": SMALL, "game": game, "train": {"kimg": 10, "batch": 4, "ema_kimg": 1}}
    return Recipe("photos-and-paintings", "faststyle", settings)


def faststyle_gpu() -> Recipe:
    """Photographs and paintings at 256 pixels, as many as in two passes of Johnson et al. 2016.

    Command: ``sparring train photos-and-paintings/ --recipe faststyle_gpu``. Hardware: one GPU. Time and numbers: not
    measured yet.
    """
    return Recipe("photos-and-paintings", "faststyle", {"data": {"size": "256"}, "train": {"kimg": 160, "batch": 4}})
