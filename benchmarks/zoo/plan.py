"""What is in the zoo: cases, each a family on some data with a fault or none, run with every seed."""

import os
from dataclasses import dataclass
from pathlib import Path

HEALTHY = "healthy"
SEEDS = (0, 1, 4, 5)
COMMON = ["--train.keep", "12", "--train.picture-kimg", "1e6"]  # states for the truth, no pictures meanwhile
TUNING = (0, 1)  # thresholds of the referee were fixed on these; the others are reported


@dataclass(frozen=True)
class Case:
    """One way to train.

    Attributes:
        name: its own, fit for a folder's name.
        kind: what it fails by, or ``healthy``.
        data: as for ``sparring train``; ``mnist16`` is MNIST at 16 pixels a side.
        family: a family's name, or a class of provocations.py.
        settings: what is said on the command line beside them.
        seeds: with which it is run.
        onset: share of the run at which the failure begins.
        also: rules whose verdict says the same in other words.
    """

    name: str
    kind: str
    data: str
    family: str
    settings: str = ""
    seeds: tuple[int, ...] = SEEDS
    onset: float = 0.0
    also: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The rules that are right to speak; none for a healthy run."""
        return frozenset() if self.kind == HEALTHY else frozenset({self.kind, *self.also})

    @property
    def arguments(self) -> list[str]:
        """What follows ``sparring train``, but for the run's folder and seed."""
        source = [self.data]
        if self.data == "mnist16":
            source = [str(mnist_folder()), "--data.size", "16"]
        family = self.family if ":" not in self.family else f"zoo.provocations{self.family}"
        return [*source, "--family", family, *COMMON, *self.settings.split()]

    @property
    def possible(self) -> bool:
        """Whether its data is there."""
        return self.data != "mnist16" or mnist_folder() is not None


def mnist_folder() -> Path | None:
    """The folder ``mnist`` in the one that SPARRING_TEST_DATA names; None where there is none."""
    folder = Path(os.environ.get("SPARRING_TEST_DATA", "")) / "mnist"
    return folder if os.environ.get("SPARRING_TEST_DATA") and folder.is_dir() else None


RING = "--train.batch 64 --train.kimg"
SMALL, SMALL_CGAN = "--game.width 16 --optim.lr 1e-3", "--game.width 16 --game.hidden 128"
EVEN, ODD = (0, 4), (1, 5)  # fewer seeds, one in each half

# fmt: off
FAILURES = (
    # G answers with the same whatever it is asked: its noise is cut off, or D is far too slow for it.
    Case("cut-dcgan-ring", "collapse", "ring", ":CutDCGAN", f"{RING} 40"),
    Case("cut-cgan-digits", "collapse", "digits", ":CutCGAN", f"{SMALL_CGAN} --train.kimg 12", EVEN),
    Case("cut-wgan_gp-ring", "collapse", "ring", ":CutWGANGP", f"{RING} 80", ODD),
    Case(
        "hasty-dcgan-ring", "collapse", "ring", "dcgan",
        f"{RING} 40 --game.r1-gamma 0 --optim.G.lr 1e-2 --optim.D.lr 2e-4 --optim.betas 0.9,0.999",
    ),
    # A part of the data is never dealt, or G does not find it.
    Case("blind-r3gan-ring", "dropped_modes", "ring", ":BlindR3GAN", f"{RING} 80 --game.burn-in-kimg 40"),
    # The classes that are dealt must be learnt before others can be missed: a third of the run.
    Case("blind-dcgan-digits", "dropped_modes", "digits", ":BlindDCGAN", f"{SMALL} --train.kimg 50", onset=0.3),
    Case("dcgan-grid", "dropped_modes", "grid", "dcgan", f"{RING} 60 --game.r1-gamma 0", ODD),
    # A saturating loss against a D that is far ahead.
    Case(
        "minimax-wgan_gp-ring", "vanishing_gradient", "ring", "wgan_gp",
        f"{RING} 80 --game.loss minimax --game.gp-weight 0 --game.d-steps 5 --optim.D.lr 5e-3 --optim.G.lr 5e-4",
    ),
    Case(
        "minimax-vanilla-digits", "vanishing_gradient", "digits", "vanilla",
        "--train.kimg 30 --game.loss minimax --optim.D.lr 1e-2 --optim.G.lr 1e-4", EVEN,
    ),
    Case(
        "minimax-dcgan-digits", "vanishing_gradient", "digits", "dcgan",
        f"{SMALL} --train.kimg 30 --game.loss minimax --game.r1-gamma 0 --optim.D.lr 5e-3 --optim.G.lr 2e-4", ODD,
    ),
    # Little data, no penalty, and real data beside it that D never saw. It takes half of the run to know it by heart.
    Case(
        "few-dcgan-digits", "discriminator_overfitting", "digits", "dcgan",
        "--train.kimg 40 --data.held-out 0.96 --game.r1-gamma 0 --optim.D.lr 2e-3 --train.batch 32", onset=0.45,
    ),
    # No friction: large steps of G against a D that follows slowly.
    Case(
        "swing-vanilla-digits", "oscillation", "digits", "vanilla",
        "--train.kimg 40 --optim.G.lr 5e-3 --optim.D.lr 1e-4 --train.save-kimg 2 --train.keep 22",
    ),
    Case(
        "swing-momentum-vanilla-digits", "oscillation", "digits", "vanilla",
        "--train.kimg 30 --optim.G.lr 5e-3 --optim.D.lr 2e-4 --optim.betas 0.9,0.999 --train.save-kimg 1.5 "
        "--train.keep 22", EVEN,
    ),
    # Rates hundreds of times too high.
    Case("fast-vanilla-digits", "divergence", "digits", "vanilla", "--train.kimg 20 --optim.lr 0.1"),
    Case(
        "fast-dcgan-digits", "divergence", "digits", "dcgan",
        "--game.width 16 --train.kimg 20 --optim.lr 1.0 --game.r1-gamma 0", EVEN,
    ),
    # Every third step of G has a loss that is not a number; the guard skips it.
    Case("poisoned-dcgan-ring", "non_finite", "ring", ":PoisonedDCGAN", f"{RING} 40 --train.guard skip", EVEN, 0.4),
    Case("poisoned-r3gan-ring", "non_finite", "ring", ":PoisonedR3GAN", f"{RING} 40 --train.guard skip", ODD, 0.4),
    Case(
        "poisoned-dcgan-digits", "non_finite", "digits", ":PoisonedDCGAN",
        f"{SMALL} --train.kimg 40 --train.guard skip", EVEN, 0.4,
    ),
    # D that does not move, or hardly.
    Case("frozen-dcgan-ring", "dead_discriminator", "ring", "dcgan", f"{RING} 40 --optim.D.lr 1e-8"),
    Case("frozen-vanilla-digits", "dead_discriminator", "digits", "vanilla", "--train.kimg 20 --optim.D.lr 1e-9", EVEN),
    Case(
        "weak-dcgan-digits", "weak_discriminator", "digits", "dcgan",
        f"{SMALL} --train.kimg 20 --optim.D.lr 5e-6", also=("dead_discriminator",),
    ),
    # A loss that goes on telling G, but a D too far ahead to learn from.
    Case(
        "strong-wgan_gp-ring", "strong_discriminator", "ring", "wgan_gp",
        f"{RING} 100 --game.loss non_saturating --game.gp-weight 0 --game.d-steps 5 --optim.D.lr 5e-3 "
        "--optim.G.lr 2e-5", ODD,
    ),
    Case(
        "strong-vanilla-digits", "strong_discriminator", "digits", "vanilla",
        "--train.kimg 30 --optim.D.lr 5e-3 --optim.G.lr 1e-5",
    ),
    # Training rows, returned.
    Case(
        "copier-dcgan-digits", "memorisation", "digits", ":CopierDCGAN",
        f"{SMALL} --train.kimg 20 --data.held-out 0.5", EVEN,
    ),
    Case("copier-vanilla-digits", "memorisation", "digits", ":CopierVanilla", "--train.kimg 20 --data.held-out 0.5"),
    Case("copier-wgan_gp-ring", "memorisation", "ring", ":CopierWGANGP", f"{RING} 40 --data.held-out 0.999", ODD),
    # One weight grows by a hundredth at every turn from a third of the run on.
    Case("inflated-dcgan-ring", "spectral_explosion", "ring", ":InflatedDCGAN", f"{RING} 40", onset=0.3),
    Case(
        "inflated-g-dcgan-digits", "spectral_explosion", "digits", ":InflatedGDCGAN",
        f"{SMALL} --train.kimg 40", EVEN, 0.3,
    ),
    Case("inflated-r3gan-ring", "spectral_explosion", "ring", ":InflatedR3GAN", f"{RING} 40", ODD, 0.3),
    # G does not hear the class.
    Case("deaf-cgan-digits", "class_confusion", "digits", ":DeafCGAN", f"{SMALL_CGAN} --train.kimg 12"),
    Case(
        "deaf-dcgan-digits", "class_confusion", "digits", ":DeafDCGAN",
        f"{SMALL} --train.kimg 30 --game.conditional", ODD,
    ),
)

HEALTHY_RUNS = (
    Case("r3gan-ring", HEALTHY, "ring", "r3gan", f"{RING} 120 --game.burn-in-kimg 50"),
    Case("wgan_gp-ring", HEALTHY, "ring", "wgan_gp", f"{RING} 240", EVEN),
    Case("dcgan-digits", HEALTHY, "digits", "dcgan", f"{SMALL} --train.kimg 80"),
    Case("hinge-dcgan-digits", HEALTHY, "digits", "dcgan", f"{SMALL} --train.kimg 80 --game.loss hinge"),
    Case("lsgan-dcgan-digits", HEALTHY, "digits", "dcgan", f"{SMALL} --train.kimg 80 --game.loss least_squares", ODD),
    Case("slow-dcgan-digits", HEALTHY, "digits", "dcgan", "--game.width 16 --train.kimg 140 --optim.lr 4e-4"),
    Case("cgan-digits", HEALTHY, "digits", "cgan", f"{SMALL_CGAN} --train.kimg 40"),
    Case("hinge-cgan-digits", HEALTHY, "digits", "cgan", f"{SMALL_CGAN} --train.kimg 30 --game.loss hinge"),
    Case("wgan-digits", HEALTHY, "digits", "wgan", "--train.kimg 150 --game.width 16 --optim.lr 1e-3"),
    Case(
        "few-augmented-cgan-digits", HEALTHY, "digits", "cgan",
        f"{SMALL_CGAN} --train.kimg 40 --data.held-out 0.7 --train.augment diff", EVEN,
    ),
    Case("dcgan-mnist16", HEALTHY, "mnist16", "dcgan", "--train.kimg 60 --game.width 16 --optim.lr 1e-3", EVEN),
)

# fmt: on
CASES = FAILURES + HEALTHY_RUNS
