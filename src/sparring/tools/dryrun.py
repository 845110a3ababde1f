"""``--dry-run``: the plan and the schedule as tables, before anything is trained."""

from rich.console import Console
from rich.table import Table

from sparring.core.config import plain
from sparring.tools.choose import shape_of
from sparring.tools.plan import duration
from sparring.tools.train import Session
from sparring.tools.ways import USUAL, images_per_second


def render(session: Session, console: Console) -> None:
    """Print what would be played, who would move when, and how long it would take here."""
    plan = session.plan
    game, spec = plan.make_game(), plan.dataset.spec
    speed = images_per_second(plan, session.device)
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_row(
        "data", f"{plan.dataset.name}: {len(plan.dataset):,} of {shape_of(spec)}, {len(spec.classes)} classes"
    )
    facts.add_row("family", plan.family)
    facts.add_row("run folder", str(session.folder.root))
    facts.add_row("device", f"{session.device.type}, {plan.train.precision}, {session.cluster.size} process(es)")
    ways = {name: getattr(plan.train, name) for name in USUAL}
    facts.add_row("ways", ", ".join(f"{name} {USUAL[name] if way == 'auto' else way}" for name, way in ways.items()))
    facts.add_row("length", f"{plan.train.kimg:g} kimg in batches of {plan.train.batch}")
    facts.add_row("time", f"about {duration(plan.train.nimg / speed)} at {speed:,.0f} samples/s (measured just now)")
    console.print(facts)
    schedule = Table(title="schedule at 0 kimg", title_justify="left")
    for column in ("turn", "moves", "every", "times"):
        schedule.add_column(column)
    for turn in game.turns(0):
        schedule.add_row(
            turn.name, " + ".join(turn.movers), f"{turn.every} steps" if turn.every > 1 else "step", str(turn.times)
        )
    console.print(schedule)
    players = Table(title="players", title_justify="left")
    for column in ("player", "parameters", "averaged", "optimiser"):
        players.add_column(column)
    for name, module in game.players().items():
        settings = {k: v for k, v in plain(plan.optim[name]).items() if k != "name"}
        said = ", ".join(f"{key} {value}" for key, value in settings.items() if value not in (0, 0.0, "constant"))
        count = sum(p.numel() for p in module.parameters())
        averaged = "yes" if name in game.averaged() and plan.train.ema_kimg > 0 else ""
        players.add_row(name, f"{count:,}", averaged, f"{plan.optim[name].name}: {said}")
    console.print(players)
    for reason in plan.reasons:
        console.print(f"  {reason}", style="dim", markup=False)
