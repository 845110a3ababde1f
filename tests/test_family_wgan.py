"""Weight clipping, and a critic whose loss is a distance."""

import pytest
import torch
from torch import nn

import toys
from sparring.core.batch import Outcome
from sparring.core.config import Optim, Train
from sparring.core.game import Game, Turn
from sparring.core.observer import Controller
from sparring.core.spec import DataSpec
from sparring.engine.loop import Engine
from sparring.engine.optim import Optimisers
from sparring.families.image.wgan import WGAN, Config, WeightClip
from sparring.testing.conformance import RandomDealer, make_engine


def largest(module: nn.Module) -> float:
    return max(p.abs().max().item() for p in module.parameters())


def test_the_critic_never_leaves_its_box():
    engine = make_engine(WGAN)
    game, limit = engine.game, engine.game.config.clip
    assert largest(game.D) <= limit, "the first move is made by a clipped critic"
    for _ in range(3):
        engine.step()
        assert largest(game.D) <= limit
    at_the_edge = sum(int((p.abs() == torch.tensor(limit)).sum()) for p in game.D.parameters())
    assert at_the_edge > 0, "nothing was ever clipped: the test would pass without the clipping"
    assert largest(game.G) > limit, "G is free"


def test_batchnorm_is_clipped_too():
    game = WGAN(*WGAN.tiny())
    scale = next(m for m in game.D.modules() if isinstance(m, nn.BatchNorm2d)).weight
    assert scale.abs().max().item() <= game.config.clip


def test_only_the_critics_move_is_followed_by_clipping():
    game = WGAN(*WGAN.tiny())
    (clip,) = game.controllers()
    assert set(clip.parameters(game)) == {f"D.{name}" for name, _ in game.D.named_parameters()}
    with torch.no_grad():
        next(game.D.parameters()).fill_(1.0)
    clip.act(game, Turn("G", game.generator), None, 0)
    assert largest(game.D) == 1.0
    clip.act(game, Turn("D", game.critic), None, 0)
    assert largest(game.D) <= game.config.clip


def test_the_schedule_is_the_algorithms():
    game = WGAN(DataSpec("image", (1, 8, 8), count=4), Config(width=2, warmup_kimg=160))
    assert [(t.name, t.times) for t in game.turns(0)] == [("D.critic", 100), ("G.generator", 1)]
    assert [(t.name, t.times) for t in game.turns(160_000)] == [("D.critic", 5), ("G.generator", 1)]
    assert {o.name for o in game.optimisers().values()} == {"rmsprop"}


@pytest.mark.parametrize("setting", [{"clip": 0.0}, {"n_critic": 0}])
def test_senseless_settings_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        Config(**setting)


class Line(Game):
    """A linear critic between two points on a line: its best loss is -c times their distance."""

    def __init__(self, apart: float):
        super().__init__(DataSpec("image", (1, 1, 1), count=4), None)
        self.apart, self.D = apart, nn.Linear(1, 1)

    def players(self):
        return {"D": self.D}

    def averaged(self):
        return ()

    def turns(self, nimg):
        return [Turn("D", self.critic)]

    def critic(self, batch):
        fake, real = torch.full((batch.size, 1), self.apart), torch.zeros(batch.size, 1)
        return Outcome(self.D(fake).mean() - self.D(real).mean())

    def controllers(self):
        return [WeightClip("D", 0.01)]

    def sample(self, batch):
        return batch.noise(1, 1, 1)


@pytest.mark.parametrize("apart", [0.5, 5.0, 50.0])
def test_the_distance_grows_with_the_distance(apart):
    """Two Dirac deltas so far apart: the clipped critic's estimate is c * apart, where JS would stay at log 2."""
    torch.manual_seed(0)
    game = Line(apart)
    engine = Engine(game, RandomDealer(game.spec), Train(batch=4), {"D": Optim("rmsprop", lr=1e-2)})
    for _ in range(5):
        engine.step()
    loss = game.D(torch.tensor([[apart]])) - game.D(torch.zeros(1, 1))
    assert loss.item() == pytest.approx(-0.01 * apart, rel=1e-4)


class Writes(Controller):
    """Says that it writes weights that are not there."""

    def buffers(self, game):
        return ()

    def parameters(self, game):
        return ("D.nobody",)

    def act(self, game, turn, measured, nimg):
        pass


def test_a_controller_must_declare_weights_that_are_there():
    with pytest.raises(ValueError, match="no parameter of the game"):
        Engine(toys.Criticised(toys.SPEC, None), RandomDealer(toys.SPEC), Train(), controllers=[Writes()])


# ---------------------------------------------------------------------- the optimiser that it brought


def test_rmsprop_by_hand():
    """g = 2 then 1, decay 0.9: v = 0.4, then 0.46; w moves by lr g / sqrt(v)."""
    player = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(player.weight)
    optimisers = Optimisers({"D": player}, {"D": Optim("rmsprop", lr=0.1, betas=(0.0, 0.9), eps=1e-12)})
    for gradient in (2.0, 1.0):
        player.weight.grad = torch.tensor([[gradient]])
        optimisers.step(("D",))
    assert player.weight.item() == pytest.approx(-0.1 * (2 / 0.4**0.5 + 1 / 0.46**0.5), rel=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_is_saved_by_name(momentum):
    settings = {"D": Optim("rmsprop", lr=0.1, momentum=momentum)}

    def fresh():
        player = nn.Linear(2, 1)
        nn.init.ones_(player.weight)
        nn.init.zeros_(player.bias)
        return player, Optimisers({"D": player}, settings)

    def play(player, optimisers):
        optimisers.zero_grad(("D",))
        player(torch.tensor([[1.0, 2.0]])).square().sum().backward()
        optimisers.step(("D",))

    (first, kept), (second, loaded) = fresh(), fresh()
    play(first, kept)
    second.load_state_dict(first.state_dict())
    loaded.load(kept.state())
    for player, optimisers in ((first, kept), (second, loaded)):
        play(player, optimisers)
    assert torch.equal(first.weight, second.weight)
