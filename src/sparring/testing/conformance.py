"""What every family must hold. ``check_family("dcgan")`` or ``check_family(MyGAN)`` raises `AssertionError` if not.

Each check is a function of the family's class and says in its docstring what it holds; `CHECKS` lists them, so that a
test runner can show them one by one:

    @pytest.mark.parametrize("check", sparring.testing.CHECKS)
    def test_my_gan(check):
        check(MyGAN)
"""

import contextlib
import inspect
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from sparring.core.batch import Batch, Deal, Outcome
from sparring.core.cluster import Cluster
from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.game import Game, Turn
from sparring.core.observer import Probe
from sparring.core.readings import PREFIX
from sparring.core.registry import load_family
from sparring.core.seeds import SeedNoise, draw_labels
from sparring.core.spec import DataSpec
from sparring.diagnostics.logits import Pace
from sparring.diagnostics.probes import find_probes
from sparring.engine import checkpoint
from sparring.engine.loop import Engine, Move
from sparring.testing.processes import play_in_processes

BATCH = 8
STEPS = 4
CPU = torch.device("cpu")
TRAIN = Train(kimg=1, batch=BATCH)
Check = Callable[[type[Game]], None]


class RandomDealer:
    """Deals random samples of a spec, a pure function of position."""

    def __init__(self, spec: DataSpec):
        draw = torch.Generator().manual_seed(1)
        self.real = torch.rand(64, *spec.shape, generator=draw) * 2 - 1
        self.labels = torch.randint(len(spec.classes), (64,), generator=draw) if spec.classes else None
        self.given = torch.rand(64, *spec.given, generator=draw) * 2 - 1 if spec.given else None

    def deal(self, first: int, count: int) -> Deal:
        index = torch.arange(first, first + count) % len(self.real)
        labels, given = (None if kept is None else kept[index] for kept in (self.labels, self.given))
        return Deal(self.real[index], labels, given)

    def close(self) -> None:
        """Nothing to let go of."""


def make_game(family: type[Game]) -> Game:
    """The family's tiny game, from a fixed seed."""
    torch.manual_seed(0)
    return family(*family.tiny())


def make_engine(
    family: type[Game], train: Train = TRAIN, cluster: Cluster | None = None, probes: Sequence[Probe] = ()
) -> Engine:
    """An engine over the tiny game."""
    game = make_game(family)
    return Engine(game, RandomDealer(game.spec), train, device=CPU, cluster=cluster, probes=probes)


def seeds_batch(game: Game, seeds: list[int]) -> Batch:
    """A batch to sample from."""
    labels = draw_labels(seeds, game.spec.class_counts) if game.conditional(game.config) else None
    given = None
    if game.gives:  # the same for the same seed
        dealt = RandomDealer(game.spec)
        rows = [dealt.deal(seed, 1) for seed in seeds]
        real = torch.cat([row.real for row in rows])
        inputs = None if dealt.given is None else torch.cat([row.given for row in rows if row.given is not None])
        given = game.give(Batch(real, labels, 0, SeedNoise(seeds, CPU), given=inputs))
    return Batch.of_seeds(seeds, labels, CPU, given=given)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New tensors have this type inside the block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def whole_state(engine: Engine) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a checkpoint holds, by name."""
    for file, group in engine.state()[0].items():
        for name, tensor in group.items():
            yield f"{file}/{name}", tensor


# ---------------------------------------------------------------------- the checks


def check_docstring(family: type[Game]) -> None:
    """The module or class names its paper or source, and the command that trains it."""
    text = f"{inspect.getmodule(family).__doc__ or ''}\n{family.__doc__ or ''}"
    assert "Paper:" in text or "Source:" in text, f"{family.__name__}: say 'Paper:' or 'Source:' in the docstring"
    assert "Command:" in text, f"{family.__name__}: say 'Command:' in the docstring"


def check_final(family: type[Game]) -> None:
    """The class is final: it derives from Game itself, and nothing else of Game's kind."""
    bases = [base for base in family.__mro__[1:] if issubclass(base, Game)]
    assert bases == [Game], f"{family.__name__} derives from {bases[0].__name__}; a family is final: compose instead"


def check_players_hold_everything(family: type[Game]) -> None:
    """Every trained parameter belongs to exactly one player, and the averaged players exist."""
    game = make_game(family)
    owned = [id(p) for player in game.players().values() for p in player.parameters()]
    names = {id(p): name for name, p in game.named_parameters() if p.requires_grad}
    lost = [name for key, name in names.items() if key not in owned]
    assert not lost, f"no player owns {', '.join(lost)}; nobody would train it"
    assert len(owned) == len(set(owned)), "two players own the same parameter; two optimisers would pull at it"
    assert set(game.averaged()) <= set(game.players()), "averaged() names somebody who does not play"
    for name, player in game.players().items():
        found = dict(game.named_modules()).get(name)
        assert found is player, f"player '{name}' is not the attribute self.{name}; its weights would not be found"


def check_pure_schedule(family: type[Game]) -> None:
    """The same progress gives the same schedule; turns name players; asking changes nothing."""
    game = make_game(family)
    before = {name: value.clone() for name, value in game.state_dict().items()}
    for nimg in (0, 1_000, 10**9):
        first, second = ([(t.name, t.movers, t.every, t.times) for t in game.turns(nimg)] for _ in range(2))
        assert first, f"turns({nimg}) is empty"
        assert first == second, f"turns({nimg}) answers {first}, then {second}"
        for name, movers, every, times in first:
            assert set(movers) <= set(game.players()), f"turn {name} moves somebody who does not play"
            assert every >= 1, f"turn {name}: every is 1 or more"
            assert times >= 1, f"turn {name}: times is 1 or more"
    assert all(torch.equal(before[name], value) for name, value in game.state_dict().items()), (
        "turns() wrote to the game"
    )


def check_finite_losses(family: type[Game]) -> None:
    """Every loss and term of a few steps is a finite scalar."""

    class Finite(Probe):
        def see(self, turn: Turn, batch: Batch, outcome: Outcome) -> None:
            for name, value in {"loss": outcome.loss, **outcome.terms}.items():
                assert value.shape == (), f"{turn.name}: {name} has shape {tuple(value.shape)}, not a scalar"
                assert bool(value.isfinite()), f"{turn.name}: {name} is {value.item()}"

        def report(self) -> dict[str, float]:
            return {}

    engine = make_engine(family, probes=(Finite(),))
    for _ in range(STEPS):
        engine.step()


def check_only_movers_move(family: type[Game]) -> None:
    """A turn changes every one of its movers, and no parameter of anybody else."""
    engine = make_engine(family)
    original = engine.play

    def watched(move: Move) -> None:
        turn = move.turn
        before = {name: p.detach().clone() for name, p in engine.game.named_parameters()}
        original(move)
        after = dict(engine.game.named_parameters())
        moved = {name.partition(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
        assert moved == set(turn.movers), f"turn {turn.name} moved {sorted(moved)}, not {sorted(turn.movers)}"

    engine.play = watched  # type: ignore[method-assign]
    for _ in range(STEPS):
        engine.step()


def check_bit_identical_resume(family: type[Game]) -> None:
    """Save, load into a new engine, go on: every tensor equals the uninterrupted run's, bit for bit."""
    straight, first, second = (make_engine(family) for _ in range(3))
    for _ in range(2 * STEPS):
        straight.step()
    for _ in range(STEPS):
        first.step()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(Path(folder), *first.state(), keep=2)
        (found,) = checkpoint.load_newest(Path(folder))
        assert not isinstance(found, str), found
        saved = {f"{file}/{name}": value for file, group in found[0].items() for name, value in group.items()}
        for name, value in whole_state(first):
            assert torch.equal(saved[name], value), f"{name} does not survive saving"
        second.load(*found)
    for _ in range(STEPS):
        second.step()
    resumed = dict(whole_state(second))
    for name, expected in whole_state(straight):
        assert torch.equal(expected, resumed[name]), f"after a resume {name} differs from the uninterrupted run"


def check_accumulation(family: type[Game]) -> None:
    """Four microbatches move the weights as one batch of four times the size does, or the family says why not.

    In float64: Adam blows a gradient that is nothing but rounding up to full size.
    """
    if family.not_accumulable:
        return
    with default_dtype(torch.float64):
        rows = torch.randn(BATCH, 1 << 14, generator=torch.Generator().manual_seed(5))
        whole, dealt = make_engine(family), make_engine(family, replace(TRAIN, microbatches=4))
        for engine in (whole, dealt):
            _noise_by_sample(engine, rows)
            engine.step()
    for (name, a), (_, b) in zip(whole.game.named_parameters(), dealt.game.named_parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-7), (
            f"{name} depends on how the batch is cut; if that is meant, say why in not_accumulable"
        )


def _noise_by_sample(engine: Engine, rows: Tensor) -> None:
    """Give sample i of the whole batch row i of ``rows`` as its noise, however the batch is cut."""
    make = engine._batch

    def with_rows(move: Move, index: int) -> Batch:
        batch = make(move, index)
        batch.random = _Rows(rows[index * batch.size : (index + 1) * batch.size])
        return batch

    engine._batch = with_rows  # type: ignore[method-assign]
    engine._shared_noise = lambda batch, seed: batch.random  # type: ignore[method-assign]


class _Rows:
    """Noise that is read off given rows, one per sample."""

    def __init__(self, rows: Tensor):
        self.rows = rows

    def normal(self, *shape: int) -> Tensor:
        return self.rows[:, : math.prod(shape)].reshape(len(self.rows), *shape)

    def uniform(self, *shape: int) -> Tensor:
        return torch.special.ndtr(self.normal(*shape))


def check_two_processes(family: type[Game]) -> None:
    """Two processes with one microbatch each end where one process with two microbatches ends.

    In float64: Adam blows a gradient that is nothing but rounding (a bias before BatchNorm has one) up to full size.
    """
    train = replace(TRAIN, microbatches=2)
    with default_dtype(torch.float64):
        alone = make_engine(family, train)
        for _ in range(STEPS):
            alone.step()
    for rank, state in enumerate(play_in_processes(family, 2, STEPS, train, torch.float64)):
        for name, expected in whole_state(alone):
            close = torch.allclose(state[name], expected, rtol=1e-6, atol=1e-9)
            assert close, f"process {rank} of two ends with another {name} than one process alone"


def check_samples(family: type[Game]) -> None:
    """Samples have the spec's shape and range, are the same for the same seed in any batch, and differ by seed."""
    game = make_game(family).eval()
    with torch.no_grad():
        several = game.sample(seeds_batch(game, [7, 3, 7, 11]))
        alone = game.sample(seeds_batch(game, [7]))
        shown = game.show(seeds_batch(game, [7, 3]))
    assert several.shape == (4, *game.spec.shape), f"sample() gives {tuple(several.shape[1:])}, not {game.spec.shape}"
    assert several.dtype == torch.float32, f"samples are {several.dtype}, not float32"
    assert bool(several.isfinite().all()), "samples are not finite"
    assert float(several.abs().max()) <= 1, "samples leave [-1, 1]"
    torch.testing.assert_close(several[0], several[2], rtol=0, atol=0, msg="one seed gives two samples in one batch")
    torch.testing.assert_close(several[0], alone[0], rtol=1e-5, atol=1e-5, msg="a seed's sample depends on its batch")
    assert not torch.equal(several[0], several[1]), "two seeds give the same sample"
    assert len(shown) > 0, "show() shows nothing"


def check_sampling_needs_only_averaged(family: type[Game]) -> None:
    """`sample` needs the averaged players' weights alone, which is all that a published model holds."""
    game, other = make_game(family), make_game(family)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.5)
    kept = {k: v for k, v in game.state_dict().items() if k.startswith(tuple(f"{p}." for p in game.averaged()))}
    other.load_state_dict(kept, strict=False)
    with torch.no_grad():
        a, b = (g.eval().sample(seeds_batch(g, [1, 2])) for g in (game, other))
    torch.testing.assert_close(a, b, rtol=0, atol=0, msg="sample() uses weights that averaged() does not name")


def check_no_hidden_steps(family: type[Game]) -> None:
    """Losses neither backpropagate nor step: calling one leaves every gradient and weight as it was."""
    game = make_game(family)
    before = {name: p.detach().clone() for name, p in game.named_parameters()}
    batch = seeds_batch(game, list(range(BATCH)))
    batch.real, batch.labels, batch.given = RandomDealer(game.spec).deal(0, BATCH)
    for turn in game.turns(0):
        turn.loss(batch)
    for name, parameter in game.named_parameters():
        assert parameter.grad is None, f"a loss backpropagated into {name}"
        assert torch.equal(before[name], parameter), f"a loss stepped {name}"


def check_augmentation(family: type[Game]) -> None:
    """Behind ``--train.augment`` it plays on, resumes bit for bit and counts D's reals; or it says why it does not."""
    game = make_game(family)
    adaptive = None not in [game.boundary(judge) for judge in game.judges()]
    train = replace(TRAIN, augment="ada", augment_p=0.0 if adaptive else 0.5)
    try:
        engine, again = make_engine(family, train), make_engine(family, train)
    except SparringError as refusal:
        if "train.augment" not in str(refusal):
            raise AssertionError(f"'{refusal}' does not name the setting train.augment") from None
        return
    for judge in engine.game.judges():
        engine.game.get_buffer(f"{judge}.augment.p").fill_(0.5)
    engine.step()
    tensors, position = engine.state()
    again.load(tensors, position)
    for judge in again.game.judges() if adaptive else ():
        seen = float(again.game.get_buffer(f"{judge}.augment.tally")[1])
        assert seen > 0, f"{judge}'s turns give no real_logits, by which ada sees how sure it is"
    engine.step()
    again.step()
    resumed = dict(whole_state(again))
    for name, expected in whole_state(engine):
        assert bool(expected.isfinite().all()), f"behind an augmentation {name} is not finite"
        assert torch.equal(expected, resumed[name]), f"behind an augmentation a resume ends with another {name}"


def check_readings(family: type[Game]) -> None:
    """The referee's probes read finite numbers: D's scores and G's gradient at the fakes, where outcomes carry them."""
    game = make_game(family)
    probes, _ = find_probes(game, Pace(BATCH, 1))
    watched = [probes["logits"], probes["gradients"]]
    carried: set[str] = set()

    class Carried(Probe):
        def see(self, turn: Turn, batch: Batch, outcome: Outcome) -> None:
            judged = turn.movers[0] in game.judges()
            if judged and outcome.real_logits is not None and outcome.fake_logits is not None:
                carried.update({"auc", "real_sign", "logit_gap", "logit_size"})
            if not judged and outcome.fake is not None and outcome.fake_logits is not None:
                carried.add("fake_gradient")

        def report(self) -> dict[str, float]:
            return {}

    engine = make_engine(family, probes=(*watched, Carried()))
    for _ in range(STEPS):
        engine.step()
    found = {name: value for probe in watched for name, value in probe.report().items()}
    for name in sorted(carried):
        assert f"{PREFIX}{name}" in found, f"outcomes carry logits and fakes, and yet nothing was read of {name}"
    for name, value in found.items():
        assert math.isfinite(value), f"{name} is {value}"
    assert 0 <= found.get(f"{PREFIX}auc", 0.5) <= 1, "a probability"


CHECKS: tuple[Check, ...] = (
    check_docstring,
    check_final,
    check_players_hold_everything,
    check_pure_schedule,
    check_finite_losses,
    check_only_movers_move,
    check_bit_identical_resume,
    check_accumulation,
    check_two_processes,
    check_samples,
    check_sampling_needs_only_averaged,
    check_no_hidden_steps,
    check_augmentation,
    check_readings,
)


def check_family(family: str | type[Game]) -> None:
    """Run every check over one family, with warnings as errors. Raises `AssertionError` at the first that fails."""
    cls = load_family(family) if isinstance(family, str) else family
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for check in CHECKS:
            check(cls)
