"""What probes are shown at a look: samples of fixed seeds and real data, drawn and read as cheaply as it goes.

Everything is given back as it was, so that a run is bit-identical with and without looks.
"""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sparring.core.batch import Batch
from sparring.core.game import Game
from sparring.core.look import Look
from sparring.core.seeds import PositionNoise, draw_labels, seed_of
from sparring.data import DataSet
from sparring.diagnostics.space import Space, shrink
from sparring.engine.loop import Engine
from sparring.engine.precision import autocast
from sparring.modalities import modality
from sparring.tools.sample import CHUNK, batch_of_reals, draw
from sparring.tools.verdict import some_given, some_reals

REALS = 2000  # training samples beside which others are seen, and at most so many held-out ones
# Samples by the averaged weights, and by the live ones.
PICTURES = 256, 64
OTHERS = 1000, 256  # where they are no pictures and cost little
MOST_VALUES = 1 << 24  # of all samples of a look: of large pictures there are fewer
FEWEST = 32
JUDGED = 128  # reals of each side that a judge scores where some were held out


class Looking:
    """Looks at a run's game, always beside the same reals.

    Args:
        data: what is trained on.
        seed: of the run.
    """

    def __init__(self, data: DataSet, seed: int):
        self.data, self.seed = data, seed
        fitting = max(FEWEST, MOST_VALUES // math.prod(data.spec.shape))
        wanted = PICTURES if data.spec.modality == "image" else OTHERS
        self.count, self.live = (min(count, fitting) for count in wanted)
        with torch.random.fork_rng():
            pixels, labels = read(data)
            self.space = Space.of(pixels)
            self.reals = self.space.view(pixels, labels)
            self.held_out = None if data.held_out is None else self.space.view(*read(data.held_out))

    @contextlib.contextmanager
    def at(self, engine: Engine) -> Iterator[Look]:
        """A look, to be used inside the block; after it the game is as it was."""
        game = engine.game
        with torch.random.fork_rng(), untouched(game), autocast(engine.train.precision, engine.device):
            game.eval()
            with engine.average.applied():
                samples, labels = self.samples(game, self.count)
            live, live_labels = self.samples(game, self.live)
            for player in game.players().values():
                player.train()
            yield Look(
                nimg=engine.nimg,
                game=game,
                samples=samples,
                averaged=self.space.view(samples, labels),
                live=self.space.view(live, live_labels),
                reals=self.reals,
                held_out=self.held_out,
                seen=self.batches(engine, self.data),
                unseen=() if self.data.held_out is None else self.batches(engine, self.data.held_out),
            )

    def samples(self, game: Game, count: int) -> tuple[Tensor, Tensor | None]:
        """Samples ``(n, *shape)`` on the CPU, and their classes where they were asked for."""
        if not game.gives:
            labels = draw_labels(range(count), game.spec.class_counts) if game.conditional(game.config) else None
            return torch.cat([part.float().cpu() for part in draw(game, range(count))]), labels
        reals, labels = some_reals(self.data, min(count, len(self.data)))
        given = some_given(self.data, len(reals))
        device, made = next(game.parameters()).device, []
        for start in range(0, len(reals), CHUNK):
            real, classes, inputs = (None if t is None else t[start : start + CHUNK] for t in (reals, labels, given))
            assert real is not None
            with torch.inference_mode():
                made.append(game.sample(batch_of_reals(game, real, classes, inputs, device)).float().cpu())
        return torch.cat(made), labels

    def batches(self, engine: Engine, data: DataSet) -> tuple[Batch, ...]:
        """Reals to be judged, other ones at each look, in batches as large as training's."""
        size = engine.microbatch_size
        count = math.ceil(JUDGED / size) if self.data.held_out is not None else 1
        seed = seed_of(self.seed, engine.nimg, "look")
        places = torch.randint(len(data), (count, size), generator=torch.Generator().manual_seed(seed))
        return tuple(self.batch(engine, data, row, seed + number) for number, row in enumerate(places))

    def batch(self, engine: Engine, data: DataSet, places: Tensor, seed: int) -> Batch:
        """These reals as they are dealt."""
        room, device = modality(data.spec.modality), engine.device
        kept, labels = data.get(places)
        given = data.get_given(places)
        return Batch(
            room.decode(kept, spec=data.spec).to(device),
            None if labels is None else labels.to(device),
            engine.nimg,
            PositionNoise(len(places), seed, device),
            given=None if given is None else room.decode(given, spec=data.spec).to(device),
        )


def read(data: DataSet) -> tuple[Tensor, Tensor | None]:
    """Evenly spaced samples, shrunk as they are read, and their labels."""
    room, parts, labels = modality(data.spec.modality), [], []
    for places in torch.linspace(0, len(data) - 1, min(REALS, len(data)), dtype=torch.float64).long().split(CHUNK):
        kept, classes = data.get(places)
        parts.append(shrink(room.decode(kept, spec=data.spec)).cpu())
        labels += [] if classes is None else [classes.cpu()]
    return torch.cat(parts), torch.cat(labels) if labels else None


@contextlib.contextmanager
def untouched(game: Game) -> Iterator[None]:
    """After the block the game's modes, buffers and gradient flags are as before. Its weights nobody may touch."""
    modes = [(module, module.training) for module in game.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in game.buffers()]
    flags = [(parameter, parameter.requires_grad) for parameter in game.parameters()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
