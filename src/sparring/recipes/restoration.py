"""Recipes for pictures brought back: srgan, realesrgan, inpaint, colorize."""

from sparring.core.recipe import Recipe

CROPS = {"flip": True, "rotate": True}


def srgan_cpu() -> Recipe:
    """Crops of 48 pixels, four times smaller and back, with a narrow network.

    Command: ``sparring train photos/ --recipe srgan_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    game = {"width": 32, "blocks": 8}
    rates = {"G": {"lr": 5e-4}}
    settings = {"data": CROPS | {"crop": 48}, "game": game, "optim": rates, "train": {"kimg": 120, "batch": 16}}
    return Recipe("photos", "srgan", settings)


def srgan_gpu() -> Recipe:
    """Crops of 96 pixels as in Ledig et al. 2017, with as many steps as they take in either half.

    Command: ``sparring train photos/ --recipe srgan_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("photos", "srgan", {"data": CROPS | {"crop": 96}, "train": {"kimg": 6400, "batch": 16}})


def realesrgan_cpu() -> Recipe:
    """Pictures of 64 pixels with plain residual blocks and half of the damage.

    Command: ``sparring train photos/ --recipe realesrgan_cpu``. Hardware: a CPU. Time and numbers: not measured yet.
    """
    game = {"scale": 2, "network": "srresnet", "width": 32, "blocks": 6, "strength": 0.5}
    return Recipe("photos", "realesrgan", {"data": {"size": "64"}, "game": game, "train": {"kimg": 60, "batch": 8}})


def realesrgan_gpu() -> Recipe:
    """Pictures of 256 pixels with the networks of Wang et al. 2021.

    Command: ``sparring train photos/ --recipe realesrgan_gpu``. Hardware: one large GPU, for days. Time and numbers:
    not measured yet.
    """
    train = {"kimg": 20000, "batch": 48, "precision": "bf16"}
    return Recipe("photos", "realesrgan", {"data": {"size": "256", "flip": True}, "train": train})


def inpaint_cpu() -> Recipe:
    """Pictures of 64 pixels with narrow networks at a higher rate.

    Command: ``sparring train photos/ --recipe inpaint_cpu``. Hardware: one CPU core, 10 minutes. Of 250 unseen cats:
    14% nearer to the truth than L1 alone, each to its own (SqueezeNet's taps; one seed).
    """
    game = {"width": 12, "critic_width": 16}
    settings = {"data": {"size": "64", "flip": True}, "game": game, "optim": {"lr": 4e-4}}
    return Recipe("photos", "inpaint", {**settings, "train": {"kimg": 15, "batch": 8, "ema_kimg": 2}})


def inpaint_gpu() -> Recipe:
    """Pictures of 256 pixels with the widths of Yu et al. 2019.

    Command: ``sparring train photos/ --recipe inpaint_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("photos", "inpaint", {"data": {"size": "256", "flip": True}, "train": {"kimg": 4000, "batch": 16}})


def colorize_cpu() -> Recipe:
    """Pictures of 64 pixels with a narrow U-Net.

    Command: ``sparring train photos/ --recipe colorize_cpu``. Hardware: one CPU core, 4 minutes. Of 250 unseen cats: 5%
    nearer to the truth than L1 alone, each to its own (SqueezeNet's taps; one seed).
    """
    train = {"kimg": 19, "batch": 8, "ema_kimg": 2}
    return Recipe("photos", "colorize", {"data": {"size": "64", "flip": True}, "game": {"width": 16}, "train": train})


def colorize_gpu() -> Recipe:
    """Pictures of 256 pixels with pix2pix's networks.

    Command: ``sparring train photos/ --recipe colorize_gpu``. Hardware: one GPU. Time and numbers: not measured yet.
    """
    return Recipe("photos", "colorize", {"data": {"size": "256", "flip": True}, "train": {"kimg": 2000, "batch": 16}})
