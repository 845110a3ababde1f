"""Recipes for dcgan."""

from sparring.core.recipe import Recipe


def digits() -> Recipe:
    """Scanned digits, 8x8: the demo.

    Command: ``sparring train --recipe digits`` (what ``sparring train digits`` chooses by itself). Hardware, time and
    what three classifiers see in the samples: docs/results/demo.md.
    """
    settings = {"game": {"width": 32}, "optim": {"lr": 5e-4}, "train": {"kimg": 310}}
    return Recipe("digits", "dcgan", settings)


def dcgan_fashion_cpu() -> Recipe:
    """Fashion-MNIST, 28x28, as good as may be in six minutes of one core.

    Command: ``sparring train --recipe dcgan_fashion_cpu``. Hardware: one core of a CPU that multiplies bfloat16, 5.5
    minutes (on others say ``--train.precision fp32``, which takes half as long again); a Fréchet distance of 5.0 where
    the tutorial's networks, as long as 30 minutes of its loop, have 6.8: docs/results/time-to-quality.md.
    """
    # Four times the paper's rate, for a run this short; it falls to zero, and the average need not be long then.
    optim = {"lr": 8e-4, "schedule": "cosine"}
    train = {"kimg": 210, "batch": 32, "ema_kimg": 5, "precision": "bf16"}
    return Recipe("fashion-mnist", "dcgan", {"optim": optim, "train": train})


def dcgan_cats_cpu() -> Recipe:
    """A folder or zip of 2,500 faces of cats, 64x64 (give yours: ``sparring train cats.zip --recipe dcgan_cats_cpu``).

    Command: ``sparring train cats64.zip --recipe dcgan_cats_cpu``. Hardware: one core of a 2-core AMD EPYC virtual
    machine, 20 minutes. What it makes then: docs/results/dcgan.md.
    """
    settings = {"data": {"flip": True}, "game": {"width": 32}, "train": {"kimg": 100, "batch": 16}}
    return Recipe("cats64.zip", "dcgan", settings)
