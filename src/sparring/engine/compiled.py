"""``--train.compile on``: networks compiled in training, but for passes that are differentiated twice.

What torch.compile makes cannot be differentiated twice, which penalties on slopes ask for (core/second_order.py). So
it is networks that are compiled, not turns: where a penalty is played they are called as they are written, and so are
they for samples, whose batches have other sizes. Before the first step a copy of the game rehearses every turn both
ways; where compiling fails, or gradients come out otherwise, the run goes on without it and says why.
"""

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.batch import Batch
from sparring.core.game import Game
from sparring.core.second_order import current_pass
from sparring.core.seeds import PositionNoise, reseed
from sparring.engine.calls import call_through
from sparring.engine.loop import Engine
from sparring.engine.precision import autocast

Backend = str | Callable[..., Any]
CLOSE = {"fp32": 1e-3, "tf32": 1e-2, "bf16": 1e-1}  # two ways' gradients, as a share of their length
SHAPES = (
    64  # how many versions of a network may be compiled: frozen or not, in parts or not, a growing one at each size
)


def compile_networks(engine: Engine, backend: Backend = "inductor") -> str:
    """Compile the engine's networks if that can be done and changes nothing but rounding; returns why not, else ""."""
    import torch._dynamo

    torch._dynamo.config.recompile_limit = SHAPES
    devices = [engine.device] if engine.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        twin = copy.deepcopy(engine.game)
        start = {name: value.clone() for name, value in twin.state_dict().items()}
        names = _Entrances(twin)
        written = gradients(twin, engine)
        names.forget()
        twin.load_state_dict(start)
        try:
            for name in names.found:
                compile_network(twin.get_submodule(name), backend)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's of itself
                compiled = gradients(twin, engine)
        except Exception as error:  # a compiler fails in ways of its own; every one of them ends in not compiling
            return _reason(error)
    for turn, expected in written.items():
        apart = float((compiled[turn] - expected).norm() / expected.norm().clamp(min=1e-8))
        if not apart <= CLOSE[engine.train.precision]:
            return f"the gradients of turn {turn} come out otherwise, by {apart:.1e} of their length"
    for name in names.found:
        compile_network(engine.game.get_submodule(name), backend)
    return ""


def compile_network(module: nn.Module, backend: Backend) -> None:
    """Calls of ``module`` are compiled when they come in training, and are not to be differentiated twice."""
    # Random numbers drawn as they would be without, so that a run plays the same dropout either way.
    options: dict[str, Any] | None = {"fallback_random": True} if backend == "inductor" else None

    def whole(*args: Any, **kwargs: Any) -> Any:  # of torch's own containers, a call alone would not be compiled
        return module._call_impl(*args, **kwargs)

    fast = torch.compile(whole, backend=backend, dynamic=False, options=options)

    def call(*args: Any, **kwargs: Any) -> Any:
        # How far a fade has come would be compiled in, and compiled anew with each step of it.
        fading = any(isinstance(given, float) and not given.is_integer() for given in args)
        plain = fading or not module.training or current_pass() is not None
        return (whole if plain else fast)(*args, **kwargs)

    call_through(module, call)


def gradients(game: Game, engine: Engine) -> Mapping[str, Tensor]:
    """Of each turn by name, its movers' gradients on random samples, end to end in one vector."""
    spec, device, size = game.spec, engine.device, engine.microbatch_size
    noise = PositionNoise(size, 1, device)
    real = noise.uniform(*spec.shape) * 2 - 1
    labels = torch.zeros(size, dtype=torch.int64, device=device) if spec.classes else None
    given = noise.uniform(*spec.given) * 2 - 1 if spec.given else None
    found = {}
    for turn in game.turns(engine.nimg):
        players = game.players()
        for name, player in players.items():
            player.requires_grad_(name in turn.movers)
        game.zero_grad()
        reseed(0, device)
        batch = Batch(real, labels, engine.nimg, PositionNoise(size, 2, device), given=given)
        with autocast(engine.train.precision, device):
            outcome = turn.loss(batch)
        outcome.loss.backward()
        moved = [p.grad.flatten() for name in turn.movers for p in players[name].parameters() if p.grad is not None]
        found[turn.name] = torch.cat(moved)
    return found


class _Entrances:
    """Sees by which modules the players' networks are entered: a whole player, or parts that a loss calls by name."""

    def __init__(self, game: Game):
        self.found: dict[str, None] = {}
        self.depth = 0
        self.hooks = []
        for player, network in game.players().items():
            for name, module in network.named_modules(prefix=player):
                if ".parametrizations" not in name:
                    self.hooks.append(module.register_forward_pre_hook(self._enter(name)))
                    self.hooks.append(module.register_forward_hook(self._leave, always_call=True))

    def _enter(self, name: str) -> Callable[..., None]:
        def enter(*_: Any) -> None:
            if self.depth == 0:
                self.found.setdefault(name)
            self.depth += 1

        return enter

    def _leave(self, *_: Any) -> None:
        self.depth -= 1

    def forget(self) -> None:
        """Take the hooks away."""
        for hook in self.hooks:
            hook.remove()


def _reason(error: Exception) -> str:
    """What a compiler says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.rstrip().endswith("raised:")]
    if "C++ compiler" in str(error):
        return "no C++ compiler was found; install one, such as g++"
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
