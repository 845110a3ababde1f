"""The step: deal, play each due turn, reduce, guard, move, average.

Everything random is seeded by position (seed, images shown, turn, repeat, global microbatch), so a run that was cut off
and resumed equals one that was not, and 1 process x 4 microbatches equals 4 x 1 up to rounding.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
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
from sparring.core.seeds import Noise, PositionNoise, reseed, seed_of
from sparring.engine.augmentation import augment
from sparring.engine.average import Average
from sparring.engine.buffers import Buffers
from sparring.engine.guard import Deferred, Guard, Prompt, Verdict, clip, gradient_norm, undone
from sparring.engine.held import Held
from sparring.engine.optim import Optimisers
from sparring.engine.precision import autocast
from sparring.engine.reduction import Reduction
from sparring.engine.share import Shared
from sparring.engine.tally import Tally
from sparring.engine.ways import laid_out_deal, take_ways

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
        guard: keeps what is not finite from the weights.
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
        if train.microbatches % self.cluster.size:
            raise ValueError(f"{train.microbatches} microbatches do not spread over {self.cluster.size} processes")
        self.microbatches = train.microbatches // self.cluster.size  # of this process
        self.microbatch_size = train.batch // train.microbatches
        self.players = game.players()
        take_ways(game, self.players.values(), train)
        shared_by = self.cluster if train.shard == "optimiser" else None
        self.optimisers = Optimisers(self.players, {**game.optimisers(), **(optim or {})}, train.reference, shared_by)
        averaged = {name: self.players[name] for name in game.averaged()}
        self.average = Average(averaged, train.ema_kimg, train.ema_rampup)
        self.buffers = Buffers(game, self.microbatches, self.cluster)
        self.reduction = Reduction((p for player in self.players.values() for p in player.parameters()), self.cluster)
        self.tally = Tally()
        self.probes, self.controllers = list(probes), [*adaptive, *game.controllers(), *controllers]
        self._check_what_controllers_write()
        deferred = self.device.type == "cuda" and not train.reference
        self.guard: Guard = Deferred(train, self.device) if deferred else Prompt(train)
        self.nimg = self.steps = self.salt = 0

    # ------------------------------------------------------------------ one step

    def step(self) -> None:
        """Play every turn that is due. Raises `NonFinite` when a gradient is not finite, unless the guard skips."""
        due = [turn for turn in self.game.turns(self.nimg) if self.steps % turn.every == 0]
        shared = Shared(self.players, whole=self.microbatches == 1 and not self.train.reference)
        dealt: dict[int, Deal] = {}
        self.guard.begin()
        for place, turn in enumerate(due):
            for repeat in range(turn.times):
                if repeat not in dealt:
                    dealt[repeat] = self._deal(repeat)
                self.play(Move(turn, place, repeat, dealt[repeat], shared, due[place + 1 :]))
        self.guard.end()
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
                if index == self.microbatches - 1:
                    self.reduction.expect(p for _, p in self.optimisers.parameters(turn.movers) if p.requires_grad)
                (outcome.loss / self.microbatches).backward()
                self._tell(turn, batch, outcome)
                measured = [
                    _plus(so_far, c.measure(turn, outcome))
                    for so_far, c in zip(measured, self.controllers, strict=True)
                ]
        idle = self._step(turn)
        move.shared.moved(turn.movers)
        if idle is not True:
            self._control(turn, measured, idle)

    def _step(self, turn: Turn) -> Verdict:
        """Step the movers' optimisers, unless the guard skips the turn; its verdict."""
        self.reduction.finish()
        parameters = self.optimisers.parameters(turn.movers)
        norm = gradient_norm(parameters)
        self.tally.add(f"{turn.name}/gradient_norm", norm)
        idle = self.guard.see(turn.name, parameters, norm, self.nimg)
        if idle is not True:
            if self.train.clip_norm > 0:
                clip(parameters, norm, self.train.clip_norm)
            self.optimisers.schedule(turn.movers, self.nimg, self.train.nimg)
            self.optimisers.step(turn.movers, idle if isinstance(idle, Tensor) else None)
        return idle

    # ------------------------------------------------------------------ what a turn is dealt

    def _deal(self, repeat: int) -> Deal:
        """This process's part of the ``repeat``-th fresh batch of the step."""
        mine = self.microbatches * self.microbatch_size
        first = self.nimg + repeat * self.train.batch + self.cluster.rank * mine
        return laid_out_deal(self.dealer.deal(first, mine), self.train)

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
        for name, parameters in self.optimisers.named.items():
            for _, parameter in parameters:
                parameter.requires_grad_(name in movers or self.train.reference)
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

    def _control(self, turn: Turn, measured: Sequence[Tensor | None], idle: Verdict) -> None:
        """Let the controllers act on what all processes measured; to no effect where the turn moved nobody."""
        self.cluster.average_([own for own in measured if own is not None])
        with undone([*self._written()], idle) if isinstance(idle, Tensor) else contextlib.nullcontext():
            for controller, mean in zip(self.controllers, measured, strict=True):
                controller.act(self.game, turn, None if mean is None else mean * self.cluster.size, self.nimg)

    def _written(self) -> Iterator[Tensor]:
        """What controllers write."""
        for controller in self.controllers:
            yield from map(self.game.get_buffer, controller.buffers(self.game))
            yield from map(self.game.get_parameter, controller.parameters(self.game))

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
        """Everything that the future depends on: tensors by file and name, and the position.

        Raises `NonFinite` where the guard has yet to say that a gradient was not finite.
        """
        self.guard.settle()
        tensors = {
            "game": dict(self.game.state_dict()),
            "average": dict(self.average.shadow),
            "optimisers": self.optimisers.state(),
        }
        watched = {f"{type(p).__name__}.{key}": value for p in self.probes for key, value in p.state().items()}
        if watched:
            tensors["probes"] = watched
        position = {"nimg": self.nimg, "steps": self.steps, "salt": self.salt, "skipped": self.guard.skipped}
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
        self.salt, self.guard.skipped = int(position["salt"]), int(position["skipped"])


def _plus(so_far: Tensor | None, more: Tensor | None) -> Tensor | None:
    """The sum of what is there."""
    if more is None:
        return so_far
    return more.detach() if so_far is None else so_far + more.detach()
