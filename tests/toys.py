"""Toy games that hold the engine's reach: each a few dozen lines, none known to it.

Source: written for the tests. Command: none; they are played by the conformance suite.
"""

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch, Outcome
from sparring.core.config import Optim
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec
from sparring.objectives.adversarial import non_saturating
from sparring.objectives.penalties import r1, squared_gradient_norm

Z = 4
SPEC = DataSpec("image", (1, 8, 8), count=64)


def mlp(inputs: int, outputs: int, *tail: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 16), nn.LeakyReLU(0.2), nn.Linear(16, outputs), *tail)


def generator(size: int = 64, inputs: int = Z) -> nn.Sequential:
    side = int(size**0.5)
    return mlp(inputs, size, nn.Tanh(), nn.Unflatten(1, (1, side, side)))


class Informed(Game):
    """Three players with a joint turn (InfoGAN): Q guesses the code, and G and Q move together on its loss."""

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(spec, config)
        self.G, self.D, self.Q = generator(), mlp(64, 1), mlp(64, 2)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D, "Q": self.Q}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator), Turn(("G", "Q"), self.information)]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(Z))

    def discriminator(self, batch: Batch) -> Outcome:
        real, fake = self.D(batch.real), self.D(batch.share("G", self.fakes))
        return Outcome(non_saturating.discriminator(real, fake), real_logits=real, fake_logits=fake)

    def generator(self, batch: Batch) -> Outcome:
        fake = self.D(batch.share("G", self.fakes))
        return Outcome(non_saturating.generator(fake), fake_logits=fake)

    def information(self, batch: Batch) -> Outcome:
        z = batch.noise(Z)
        return Outcome((self.Q(self.G(z)) - z[:, :2]).square().mean())

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    @classmethod
    def tiny(cls):
        return SPEC, None


class Criticised(Game):
    """An n-critic of 3 with fresh data and fresh noise (WGAN-GP)."""

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(spec, config)
        self.G, self.D = generator(), mlp(64, 1)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.critic, times=3), Turn("G", self.generator)]

    def critic(self, batch: Batch) -> Outcome:
        fake = self.G(batch.noise(Z))
        mix = batch.uniform(1, 1, 1)
        between = mix * batch.real + (1 - mix) * fake.detach()
        penalty = (squared_gradient_norm(self.D, between).sqrt() - 1).square().mean()
        real_logits, fake_logits = self.D(batch.real), self.D(fake)
        return Outcome(fake_logits.mean() - real_logits.mean() + 10 * penalty, {"penalty": penalty})

    def generator(self, batch: Batch) -> Outcome:
        return Outcome(-self.D(self.G(batch.noise(Z))).mean())

    def sample(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(Z))

    @classmethod
    def tiny(cls):
        return SPEC, None


class Lazy(Game):
    """A lazy penalty every second step, beside batch normalisation, dropout and spectral normalisation."""

    not_accumulable = "BatchNorm and dropout"

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(spec, config)
        self.G = mlp(Z, 64, nn.BatchNorm1d(64), nn.Dropout(0.1), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
        spectral = nn.utils.parametrizations.spectral_norm
        self.D = nn.Sequential(nn.Flatten(), spectral(nn.Linear(64, 16)), nn.LeakyReLU(0.2), spectral(nn.Linear(16, 1)))

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        main = [Turn("D", self.discriminator), Turn("G", self.generator)]
        return [main[0], Turn("D", self.penalty, every=2), main[1]]

    def fakes(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(Z))

    def discriminator(self, batch: Batch) -> Outcome:
        real, fake = self.D(batch.real), self.D(batch.share("G", self.fakes))
        return Outcome(non_saturating.discriminator(real, fake), real_logits=real, fake_logits=fake)

    def penalty(self, batch: Batch) -> Outcome:
        return Outcome(2 * r1(self.D, batch.real, 1.0))

    def generator(self, batch: Batch) -> Outcome:
        return Outcome(non_saturating.generator(self.D(batch.share("G", self.fakes))))

    def sample(self, batch: Batch) -> Tensor:
        return self.fakes(batch)

    @classmethod
    def tiny(cls):
        return SPEC, None


class Pyramid(Game):
    """Three independent pairs, coarse to fine (LAPGAN): G1 and G2 make what the level below them lacks."""

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(spec, config)
        for level, side in enumerate((2, 4, 8)):
            self.add_module(f"G{level}", generator(side * side, Z + (side // 2) ** 2 if level else Z))
            self.add_module(f"D{level}", mlp(side * side, 1))

    def players(self) -> dict[str, nn.Module]:
        return {f"{role}{level}": self.get_submodule(f"{role}{level}") for level in range(3) for role in "DG"}

    def averaged(self) -> tuple[str, ...]:
        return ("G0", "G1", "G2")

    def judges(self) -> tuple[str, ...]:
        return ("D0", "D1", "D2")

    def turns(self, nimg: int) -> list[Turn]:
        pairs = [self.pair(level) for level in range(3)]
        return [turn for pair in pairs for turn in pair]

    def pair(self, level: int) -> list[Turn]:
        D, G = self.get_submodule(f"D{level}"), self.get_submodule(f"G{level}")

        def images(batch: Batch) -> tuple[Tensor, Tensor | None]:
            fine = nn.functional.adaptive_avg_pool2d(batch.real, 2 ** (level + 1))
            if not level:
                return fine, None
            coarse = nn.functional.adaptive_avg_pool2d(fine, 2**level)
            return fine - nn.functional.interpolate(coarse, scale_factor=2.0), coarse

        def make(batch: Batch, coarse: Tensor | None) -> Tensor:
            z = batch.noise(Z)
            return G(z if coarse is None else torch.cat([z, coarse.flatten(1)], 1))

        def discriminator(batch: Batch) -> Outcome:
            detail, coarse = images(batch)
            return Outcome(non_saturating.discriminator(D(detail), D(make(batch, coarse))))

        def generator(batch: Batch) -> Outcome:
            return Outcome(non_saturating.generator(D(make(batch, images(batch)[1]))))

        return [Turn(f"D{level}", discriminator), Turn(f"G{level}", generator)]

    def sample(self, batch: Batch) -> Tensor:
        image = self.get_submodule("G0")(batch.noise(Z))
        for level in (1, 2):
            detail = self.get_submodule(f"G{level}")(torch.cat([batch.noise(Z), image.flatten(1)], 1))
            image = nn.functional.interpolate(image, scale_factor=2.0) + detail
        return image.clamp(-1, 1)

    @classmethod
    def tiny(cls):
        return SPEC, None


class Cycle(Game):
    """Two generators as one player, two discriminators as another (CycleGAN), between the halves of a picture."""

    not_augmentable = "its D is two, and sees flattened halves"

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(spec, config)
        self.G = nn.ModuleDict({"ab": mlp(32, 32, nn.Tanh()), "ba": mlp(32, 32, nn.Tanh())})
        self.D = nn.ModuleDict({"a": mlp(32, 1), "b": mlp(32, 1)})

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("G", self.generators), Turn("D", self.discriminators)]

    def generators(self, batch: Batch) -> Outcome:
        a, b = (half.flatten(1) for half in batch.real.chunk(2, 2))
        to_b, to_a = self.G["ab"](a), self.G["ba"](b)
        cycle = (self.G["ba"](to_b) - a).abs().mean() + (self.G["ab"](to_a) - b).abs().mean()
        adversarial = (self.D["b"](to_b) - 1).square().mean() + (self.D["a"](to_a) - 1).square().mean()
        return Outcome(adversarial + 10 * cycle, {"cycle": cycle})

    def discriminators(self, batch: Batch) -> Outcome:
        a, b = (half.flatten(1) for half in batch.real.chunk(2, 2))
        pairs = (("a", a, self.G["ba"](b)), ("b", b, self.G["ab"](a)))
        return Outcome(sum((self.D[k](x) - 1).square().mean() + self.D[k](y).square().mean() for k, x, y in pairs) / 2)

    def sample(self, batch: Batch) -> Tensor:
        a = batch.noise(32).tanh()
        return torch.stack([a, self.G["ab"](a)], 1).reshape(-1, 1, 8, 8)

    @classmethod
    def tiny(cls):
        return SPEC, None


class WarmedUp(Game):
    """A warm-up on pixels alone that hands over to the game after 16 images (SRGAN)."""

    WARM = 16

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(spec, config)
        self.G, self.D = generator(inputs=16), mlp(64, 1)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        if nimg < self.WARM:
            return [Turn("G", self.pixels)]
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def upscale(self, batch: Batch) -> Tensor:
        return self.G(nn.functional.avg_pool2d(batch.real, 2))

    def pixels(self, batch: Batch) -> Outcome:
        return Outcome((self.upscale(batch) - batch.real).square().mean())

    def discriminator(self, batch: Batch) -> Outcome:
        return Outcome(non_saturating.discriminator(self.D(batch.real), self.D(batch.share("G", self.upscale))))

    def generator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.upscale)
        return Outcome((fake - batch.real).square().mean() + 1e-3 * non_saturating.generator(self.D(fake)))

    def sample(self, batch: Batch) -> Tensor:
        return self.G(batch.noise(16))

    @classmethod
    def tiny(cls):
        return SPEC, None


class Discrete(Game):
    """A generator of symbols that learns from D's verdict as a reward (REINFORCE, SeqGAN): no gradient through it."""

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(spec, config)
        self.G, self.D = mlp(Z, 64), mlp(64, 1)

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.policy)]

    def write(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = self.G(batch.noise(Z))
        symbols = (batch.uniform(64) < logits.sigmoid()).to(logits.dtype)
        log_probability = -nn.functional.binary_cross_entropy_with_logits(logits, symbols, reduction="none").sum(1)
        return symbols.reshape(-1, 1, 8, 8) * 2 - 1, log_probability

    def discriminator(self, batch: Batch) -> Outcome:
        symbols, _ = self.write(batch)
        return Outcome(non_saturating.discriminator(self.D(batch.real.sign()), self.D(symbols)))

    def policy(self, batch: Batch) -> Outcome:
        symbols, log_probability = self.write(batch)
        reward = self.D(symbols).detach().sigmoid().squeeze(1) - 0.5
        return Outcome(-(reward * log_probability).mean(), {"reward": reward.mean()})

    def sample(self, batch: Batch) -> Tensor:
        return self.write(batch)[0]

    def optimisers(self) -> dict[str, Optim]:
        return {"G": Optim("sgd", lr=0.05, momentum=0.9), "D": Optim()}

    @classmethod
    def tiny(cls):
        return SPEC, None


TOYS = (Informed, Criticised, Lazy, Pyramid, Cycle, WarmedUp, Discrete)
