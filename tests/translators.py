"""Tiny games that make pictures from pictures, for tests of everything around them.

Source: written for the tests. Command: none; named as ``translators:Retouch`` and the like.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from sparring.core.batch import Batch, Outcome
from sparring.core.game import Game, Turn
from sparring.core.spec import DataSpec


class Retouch(Game):
    """A few convolutions that see 4 pixels far; of pairs."""

    gives = True

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(spec, config)
        self.G = nn.Sequential(
            *(nn.Conv2d(spec.given[0], 8, 5, padding=2), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(8, spec.shape[0], 5, padding=2), nn.Tanh()),
        )
        self.D = nn.Sequential(nn.Conv2d(spec.shape[0], 4, 3), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))

    def players(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}

    def turns(self, nimg: int) -> list[Turn]:
        return [Turn("D", self.discriminator), Turn("G", self.generator)]

    def discriminator(self, batch: Batch) -> Outcome:
        fake = batch.share("G", self.sample)
        real_logits, fake_logits = self.D(batch.real), self.D(fake)
        return Outcome((fake_logits - real_logits).mean(), real_logits=real_logits, fake_logits=fake_logits)

    def generator(self, batch: Batch) -> Outcome:
        return Outcome((batch.share("G", self.sample) - batch.real).abs().mean())

    def sample(self, batch: Batch) -> Tensor:
        return self.G(self.given(batch))

    def given(self, batch: Batch) -> Tensor:
        """What it is given, or, while training, what `give` makes of the real picture."""
        given = self.give(batch) if batch.given is None else batch.given
        assert given is not None
        return given

    @classmethod
    def tiny(cls) -> tuple[DataSpec, object]:
        return DataSpec("image", (3, 16, 16), count=64, given=(3, 16, 16)), cls.config_class()


class Enlarge(Retouch):
    """Twice as large, of pictures that it makes smaller itself: linear, and seeing 2 pixels far."""

    scale = 2

    def __init__(self, spec: DataSpec, config: object):
        Game.__init__(self, spec, config)
        self.G = nn.Sequential(nn.Conv2d(spec.shape[0], 4 * spec.shape[0], 5, padding=2), nn.PixelShuffle(2))
        self.D = nn.Sequential(nn.Conv2d(spec.shape[0], 1, 3))

    def give(self, batch: Batch) -> Tensor:
        return avg_pool2d(batch.real, 2)

    def sample(self, batch: Batch) -> Tensor:
        given = self.given(batch)
        return interpolate(given, scale_factor=2, mode="nearest") + 0.1 * self.G(given)

    @classmethod
    def tiny(cls) -> tuple[DataSpec, object]:
        return DataSpec("image", (3, 16, 16), count=64), cls.config_class()


class Same(Retouch):
    """Gives back what it is given, exactly: what was done to a picture on its way shows."""

    def give(self, batch: Batch) -> Tensor:
        return batch.real

    def __init__(self, spec: DataSpec, config: object):
        super().__init__(DataSpec("image", spec.shape, given=spec.shape), config)
        self.spec = spec

    def sample(self, batch: Batch) -> Tensor:
        return self.given(batch) + 0 * self.G(self.given(batch)).sum(1, keepdim=True).clamp(0, 0)


class Noisy(Same):
    """Adds noise."""

    def sample(self, batch: Batch) -> Tensor:
        given = self.given(batch)
        return given + 0.1 * torch.tanh(batch.noise(*given.shape[1:]))


class Fill(Same):
    """White where the last channel that it is given is below 0; the rest as it is."""

    def give(self, batch: Batch) -> Tensor:
        return torch.cat([batch.real, torch.ones_like(batch.real[:, :1])], 1)

    def sample(self, batch: Batch) -> Tensor:
        given = self.given(batch)
        assert not given[:, :-1][(given[:, -1:] < 0).expand_as(given[:, :-1])].any()  # holes are grey
        return torch.where(given[:, -1:] < 0, 1.0, given[:, :-1])
