"""The step: deal, play each due turn, reduce, guard, move, average.

Everything random is seeded by position (seed, images shown, turn, repeat, global microbatch), so a run that was cut off
and resumed equals one that was not, and 1 process x 4 microbatches equals 4 x 1 up to rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sparring.core.batch import Batch, Deal, Dealer, Make, Outcome
from sparring.core.cluster import Cluster
from sparring.core.config import Optim, Train
from sparring.core.game import Game, Turn
from sparring.core.observer import Controller, Probe
from sparring.core.rewritten import set_reference
from sparring.core.seeds import Noise, PositionNoise, reseed, seed_of
from sparring.engine.augmentation import augment
from sparring.engine.average import Average
from sparring.engine.buffers import Buffers
from sparring.engine.guard import NonFinite, clip, first_non_finite, gradient_norm
from sparring.engine.held import Held
from sparring.engine.optim import Optimisers
from sparring.engine.precision import autocast
from sparring.engine.share import Shared
from sparring.engine.tally import Tally

State = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Move:
    """One play of one turn.

    Attributes:
        turn: who moves on what.
        place: the turn's place among those due in this step.
        repeat: which of its ``times``.
        dealt: what this repeat plays with, this process's part.
        shared: what the step's turns share.
        later: the turns of this step still to come.
    """

    turn: Turn
    place: int
    repeat: int
    dealt: Deal
    shared: Shared
    later: Sequence[Turn]


class Engine:
    """Plays ``game`` on what ``dealer`` deals.

    Attributes:
        nimg: images shown so far. One step shows ``train.batch`` times the largest ``times`` of its turns.
        steps: steps taken so far.
        salt: how often the run was rolled back; part of every seed, so that a rollback tries other noise.
        skipped: turns that were skipped, because a gradient was not finite, since the last step without any.
        stumbles: those of them that nobody was told of yet.
        held: layers that keep what they came with.
    """

    def __init__(
        self,
        game: Game,
        dealer: Dealer,
        train: Train,
        optim: Mapping[str, Optim] | None = None,
        device: torch.device | None = None,
        cluster: Cluster | None = None,
        probes: Sequence[Probe] = (),
        controllers: Sequence[Controller] = (),
    ):
        self.device = device or torch.device("cpu")
        self.cluster = cluster or Cluster()
        self.held = Held(game, train)
        adaptive = augment(game, train)
        self.game, self.dealer, self.train = game.to(self.device).train(), dealer, train
        set_reference(game.modules(), train.reference)
        if train.microbatches % self.cluster.size:
            raise ValueError(f"{train.microbatches} microbatches do not spread over {self.cluster.size} processes")
        self.microbatches = train.microbatches // self.cluster.size  # of this process
        self.microbatch_size = train.batch // train.microbatches
        self.players = game.players()
        self.optimisers = Optimisers(self.players, {**game.optimisers(), **(optim or {})}, train.reference)
        averaged = {name: self.players[name] for name in game.averaged()}
        self.average = Average(averaged, train.ema_kimg, train.ema_rampup)
        self.buffers = Buffers(game, self.microbatches, self.cluster)
        self.tally = Tally()
        self.probes, self.controllers = list(probes), [*adaptive, *game.controllers(), *controllers]
        self._check_what_controllers_write()
        self.nimg = self.steps = self.salt = self.skipped = 0
        self.stumbles: list[NonFinite] = []

    # ------------------------------------------------------------------ one step

    def step(self) -> None:
        """Play every turn that is due. Raises `NonFinite` when a gradient is not finite, unless the guard skips."""
        due = [turn for turn in self.game.turns(self.nimg) if self.steps % turn.every == 0]
        shared = Shared(self.players, whole=self.microbatches == 1 and not self.train.reference)
        dealt: dict[int, Deal] = {}
        skipped = self.skipped
        for place, turn in enumerate(due):
            for repeat in range(turn.times):
                if repeat not in dealt:
                    dealt[repeat] = self._deal(repeat)
                self.play(Move(turn, place, repeat, dealt[repeat], shared, due[place + 1 :]))
        if self.skipped == skipped:
            self.skipped = 0
        shown = self.train.batch * max((turn.times for turn in due), default=1)
        self.nimg += shown
        self.steps += 1
        self.average.update(self.nimg, shown)
        for controller in self.controllers:
            for name, value in controller.terms(self.game).items():
                self.tally.add(name, value)

    def play(self, move: Move) -> None:
        """Losses of this process's microbatches, reduced over processes, guarded, stepped."""
        turn = move.turn
        self._freeze_all_but(turn.movers)
        self.optimisers.zero_grad(turn.movers)
        measured: list[Tensor | None] = [None] * len(self.controllers)
        with self.buffers.turn():
            for index in range(self.microbatches):
                batch = self._batch(move, index)
                with self.buffers.microbatch(), autocast(self.train.precision, self.device):
                    outcome = turn.loss(batch)
                self._keep_fake_gradient(outcome)
                (outcome.loss / self.microbatches).backward()
                self._tell(turn, batch, outcome)
                measured = [
                    _plus(so_far, c.measure(turn, outcome))
                    for so_far, c in zip(measured, self.controllers, strict=True)
                ]
        stepped = self._step(turn)
        move.shared.moved(turn.movers)
        if stepped:
            self._control(turn, measured)

    def _step(self, turn: Turn) -> bool:
        """Step the movers' optimisers; False when the guard skipped."""
        parameters = self.optimisers.parameters(turn.movers)
        self.cluster.average_([p.grad for _, p in parameters if p.grad is not None])
        norm = gradient_norm(parameters)
        self.tally.add(f"{turn.name}/gradient_norm", norm)
        if not bool(norm.isfinite()):
            failure = NonFinite(turn.name, first_non_finite(parameters), self.nimg)
            self.skipped += 1
            if self.train.guard != "skip" or self.skipped > self.train.guard_limit:
                raise failure
            self.stumbles.append(failure)
            return False
        if self.train.clip_norm > 0:
            clip(parameters, norm, self.train.clip_norm)
        self.optimisers.schedule(turn.movers, self.nimg, self.train.nimg)
        self.optimisers.step(turn.movers)
        return True

    # ------------------------------------------------------------------ what a turn is dealt

    def _deal(self, repeat: int) -> Deal:
        """This process's part of the ``repeat``-th fresh batch of the step."""
        mine = self.microbatches * self.microbatch_size
        return self.dealer.deal(self.nimg + repeat * self.train.batch + self.cluster.rank * mine, mine)

    def _batch(self, move: Move, index: int) -> Batch:
        dealt = move.dealt
        part = slice(index * self.microbatch_size, (index + 1) * self.microbatch_size)
        microbatch = self.cluster.rank * self.microbatches + index  # among all processes'
        seed = seed_of(self.train.seed, self.salt, self.nimg, "turn", move.place, move.repeat, microbatch)
        reseed(seed, self.device)  # for dropout and whatever else a layer draws by itself
        return Batch(
            dealt.real[part],
            None if dealt.labels is None else dealt.labels[part],
            self.nimg,
            PositionNoise(self.microbatch_size, seed, self.device),
            given=None if dealt.given is None else dealt.given[part],
            _share=partial(self._share, move, microbatch),
        )

    def _share(self, move: Move, microbatch: int, batch: Batch, player: str, make: Make) -> Tensor:
        """``batch.share``: its noise depends on the step and the player, not on the turn that asks first."""
        key = (player, getattr(make, "__name__", repr(make)), move.repeat, microbatch)
        seed = seed_of(self.train.seed, self.salt, self.nimg, "share", *key)
        reseed(seed, self.device)
        made = move.shared.get(replace(batch, random=self._shared_noise(batch, seed)), make, key, move.turn, move.later)
        reseed(seed + 1, self.device)  # the same from here on, whether it was made now or before
        return made

    def _shared_noise(self, batch: Batch, seed: int) -> Noise:
        return PositionNoise(batch.size, seed, self.device)

    def _freeze_all_but(self, movers: Sequence[str]) -> None:
        """Only movers record graphs for their weights, held layers aside: less work, and no stray gradients."""
        for name, player in self.players.items():
            player.requires_grad_(name in movers or self.train.reference)
        self.held.hold()

    # ------------------------------------------------------------------ who watches

    def _keep_fake_gradient(self, outcome: Outcome) -> None:
        """Let the backward pass leave the gradient at the fakes, where a probe reads it and a graph leads to them."""
        if any(probe.needs_fake_gradient for probe in self.probes):
            fake = outcome.fake
            if fake is not None and fake.requires_grad:
                fake.retain_grad()

    def _tell(self, turn: Turn, batch: Batch, outcome: Outcome) -> None:
        self.tally.see(turn, outcome)
        for probe in self.probes:
            probe.see(turn, batch, outcome)

    def _control(self, turn: Turn, measured: Sequence[Tensor | None]) -> None:
        """Let the controllers act on what all processes measured."""
        self.cluster.average_([own for own in measured if own is not None])
        for controller, mean in zip(self.controllers, measured, strict=True):
            controller.act(self.game, turn, None if mean is None else mean * self.cluster.size, self.nimg)

    def _check_what_controllers_write(self) -> None:
        weights = dict(self.game.named_parameters())
        buffers = self.game.state_dict().keys() - weights.keys()
        for controller in self.controllers:
            who = type(controller).__name__
            for name in controller.buffers(self.game):
                if name not in buffers:
                    raise ValueError(f"{who} writes '{name}', which is no saved buffer of the game")
            for name in controller.parameters(self.game):
                if name not in weights:
                    raise ValueError(f"{who} writes '{name}', which is no parameter of the game")

    # ------------------------------------------------------------------ state

    def state(self) -> tuple[State, dict[str, Any]]:
        """Everything that the future depends on: tensors by file and name, and the position."""
        tensors = {
            "game": dict(self.game.state_dict()),
            "average": dict(self.average.shadow),
            "optimisers": self.optimisers.state(),
        }
        watched = {f"{type(p).__name__}.{key}": value for p in self.probes for key, value in p.state().items()}
        if watched:
            tensors["probes"] = watched
        position = {"nimg": self.nimg, "steps": self.steps, "salt": self.salt, "skipped": self.skipped}
        return tensors, position

    def load(self, tensors: State, position: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self.game.load_state_dict(tensors["game"])
        self.average.load(tensors["average"])
        self.optimisers.load(tensors["optimisers"])
        watched = tensors.get("probes", {})
        for probe in self.probes:
            own = f"{type(probe).__name__}."
            probe.load({key.removeprefix(own): value for key, value in watched.items() if key.startswith(own)})
        self.nimg, self.steps = int(position["nimg"]), int(position["steps"])
        self.salt, self.skipped = int(position["salt"]), int(position["skipped"])


def _plus(so_far: Tensor | None, more: Tensor | None) -> Tensor | None:
    """The sum of what is there."""
    if more is None:
        return so_far
    return more.detach() if so_far is None else so_far + more.detach()
