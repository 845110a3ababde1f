"""Adversarial losses on raw logits, ``(n, ...)`` each; every one returns a scalar mean.

``r`` is D on reals, ``f`` D on fakes, sp(t) = log(1 + e^t). Computed with softplus throughout: a sigmoid followed by a
logarithm overflows where it matters most. A relativistic loss compares the two: its generator needs the reals too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus

from sparring.core.errors import SparringError


@dataclass(frozen=True)
class Adversarial:
    """A pair of losses.

    Attributes:
        discriminator: ``(real_logits, fake_logits) -> loss`` that D minimises.
        generator: ``(fake_logits, real_logits) -> loss`` that G minimises; the reals may be None unless `relativistic`.
        relativistic: whether G's loss compares with reals; D must then judge them in G's turn as well.
        boundary: the logit at which D is undecided; None where a logit means nothing by itself.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor | None], Tensor]
    relativistic: bool = False
    boundary: float | None = 0.0


def _check(real_logits: Tensor, fake_logits: Tensor) -> None:
    if real_logits.shape != fake_logits.shape:
        raise ValueError(f"logits of reals {tuple(real_logits.shape)} and of fakes {tuple(fake_logits.shape)} differ")


def _given(real_logits: Tensor | None) -> Tensor:
    if real_logits is None:
        raise ValueError("a relativistic generator loss needs D's logits on reals")
    return real_logits


# ---------------------------------------------------------------------- logistic (Goodfellow et al. 2014)


def logistic_discriminator(real_logits: Tensor, fake_logits: Tensor, smooth: float = 0.0) -> Tensor:
    """E sp(-r) + E sp(f): the discriminator of Goodfellow et al. 2014, eq. 1. 2 ln 2 when D cannot tell.

    ``smooth`` is one-sided label smoothing (Salimans et al. 2016): reals are to be scored 1 - smooth, and cross-entropy
    with that target is sp(-r) + smooth * r.
    """
    _check(real_logits, fake_logits)
    real = softplus(-real_logits) + smooth * real_logits if smooth else softplus(-real_logits)
    return real.mean() + softplus(fake_logits).mean()


def non_saturating_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """E sp(-f): maximise log D(G(z)) (Goodfellow et al. 2014, sec. 3). Its gradient lives while D is winning."""
    return softplus(-fake_logits).mean()


def minimax_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """-E sp(f): minimise log(1 - D(G(z))) (Goodfellow et al. 2014, eq. 1). Its gradient dies while D is winning."""
    return -softplus(fake_logits).mean()


# ---------------------------------------------------------------------- least squares (Mao et al. 2016)


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """1/2 E (r - 1)^2 + 1/2 E f^2 (Mao et al. 2016, eq. 9). 1/4 when D cannot tell and says 1/2."""
    _check(real_logits, fake_logits)
    return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2


def least_squares_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """1/2 E (f - 1)^2 (Mao et al. 2016, eq. 9)."""
    return (fake_logits - 1).square().mean() / 2


# ---------------------------------------------------------------------- hinge (Lim and Ye 2017; Miyato et al. 2018)


def hinge_discriminator(
    real_logits: Tensor, fake_logits: Tensor, real_margin: Tensor | float = 1.0, fake_margin: Tensor | float = 1.0
) -> Tensor:
    """E relu(1 - r) + E relu(1 + f) (Miyato et al. 2018, eq. 16). Nothing is learnt from what is past its margin.

    The margins may be drawn for each logit, as by Liu et al. 2021, who take them from [0.8, 1).
    """
    _check(real_logits, fake_logits)
    return relu(real_margin - real_logits).mean() + relu(fake_margin + fake_logits).mean()


def hinge_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """-E f (Miyato et al. 2018, eq. 17)."""
    return -fake_logits.mean()


# ---------------------------------------------------------------------- Wasserstein (Arjovsky et al. 2017)


def wasserstein_critic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E f - E r: minus the estimate of the distance, up to the critic's Lipschitz constant (Arjovsky et al., eq. 2)."""
    _check(real_logits, fake_logits)
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator(fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """-E f (Arjovsky et al. 2017, eq. 3)."""
    return -fake_logits.mean()


# ---------------------------------------------------------------------- relativistic (Jolicoeur-Martineau 2018)


def pairing_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E sp(-(r - f)) over pairs: RpGAN (Jolicoeur-Martineau 2018; Huang et al. 2024, eq. 2). ln 2 when r = f."""
    _check(real_logits, fake_logits)
    return softplus(fake_logits - real_logits).mean()


def pairing_generator(fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
    """E sp(-(f - r)) over pairs."""
    return pairing_discriminator(fake_logits, _given(real_logits))


def average_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """1/2 [E sp(-(r - E f)) + E sp(f - E r)]: RaGAN, with the author's half. ln 2 when r = f = const."""
    _check(real_logits, fake_logits)
    return (softplus(fake_logits.mean() - real_logits).mean() + softplus(fake_logits - real_logits.mean()).mean()) / 2


def average_generator(fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
    """The same with reals and fakes changing places."""
    return average_discriminator(fake_logits, _given(real_logits))


non_saturating = Adversarial(logistic_discriminator, non_saturating_generator)
minimax = Adversarial(logistic_discriminator, minimax_generator)
least_squares = Adversarial(least_squares_discriminator, least_squares_generator, boundary=0.5)
hinge = Adversarial(hinge_discriminator, hinge_generator)
wasserstein = Adversarial(wasserstein_critic, wasserstein_generator, boundary=None)
relativistic_pairing = Adversarial(pairing_discriminator, pairing_generator, relativistic=True, boundary=None)
relativistic_average = Adversarial(average_discriminator, average_generator, relativistic=True, boundary=None)

LOSSES = {
    "non_saturating": non_saturating,
    "minimax": minimax,
    "least_squares": least_squares,
    "hinge": hinge,
    "wasserstein": wasserstein,
    "relativistic_pairing": relativistic_pairing,
    "relativistic_average": relativistic_average,
}


def choose(name: str, refused: Iterable[tuple[str, str]] = ()) -> Adversarial:
    """The pair of losses called ``name``; ``refused`` pairs a name with the reason why a family cannot play it.

    Raises `SparringError` for a refused or unknown one.
    """
    for other, reason in refused:
        if name == other:
            raise SparringError(f"game.loss {name} cannot be played here: {reason}")
    if name not in LOSSES:
        raise SparringError(f"game.loss is one of {', '.join(LOSSES)}; got '{name}'")
    return LOSSES[name]
