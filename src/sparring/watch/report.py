"""``report.html``: the run on one self-contained page, made from the run folder's files alone."""

import base64
import io
import json
import math
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from sparring.core.config import flatten
from sparring.core.files import write_atomic
from sparring.core.folder import RunFolder, read_lines
from sparring.core.observer import Tick, Watcher
from sparring.watch.charts import charts
from sparring.watch.curves import draw
from sparring.watch.findings import failing, section, sentence, standing
from sparring.watch.page import page
from sparring.watch.pictures import grids, open_picture, pick, shrunk
from sparring.watch.words import duration, kimg, memory, now

REFRESH_SECONDS = 30  # how often an open page reloads itself while the run goes on
TICK_SECONDS = 20.0
LARGE, SMALL = 1024, 240  # longest side, in pixels, of the latest grid and of those in the strip
STRIP = 9
EVENTS_SHOWN = 60
COLUMNS, PAIRS = "columns.png", "pairs.png"  # of a table, drawn when it is evaluated
SEVERITIES = ("good", "warn", "critical")

Record = Mapping[str, Any]


class Report(Watcher):
    """Keeps ``report.html`` fresh: at each picture, at ticks when it is 20 s old, and at the end.

    Where pictures come so fast that this would cost more than 5% of the time, it is written at a later tick.
    It reads what the others wrote, so it comes after `Records` in the crowd.
    """

    def __init__(self, folder: RunFolder, title: str = ""):
        self.folder, self.title = folder, title
        self.written, self.cost = -math.inf, 0.0
        self.undrawn = False  # a picture that the page does not show yet

    def start(self, nimg: int, total_nimg: int) -> None:
        self._write(running=True)

    def tick(self, tick: Tick) -> None:
        age = time.monotonic() - self.written
        if age >= (20 * self.cost if self.undrawn else TICK_SECONDS):
            self._write(running=True)

    def picture(self, path: Path, nimg: int) -> None:
        self.undrawn = True
        if time.monotonic() - self.written >= 20 * self.cost:
            self._write(running=True)

    def finish(self) -> None:
        self._write(running=False)

    def _write(self, running: bool) -> None:
        begun = time.monotonic()
        write_report(self.folder, running, self.title)
        self.written = time.monotonic()
        self.cost, self.undrawn = self.written - begun, False


def write_report(folder: RunFolder, running: bool, title: str = "") -> Path:
    """Write ``report.html`` and return its path.

    Args:
        folder: the run.
        running: whether the page shall say that training goes on, and reload itself.
        title: heading; the family and the data by default.

    Raises `SparringError` when the folder is no run folder.
    """
    recipe = folder.read_recipe()
    records = [record for record in folder.read_log() if isinstance(record, dict)]
    events = [event for event in read_lines(folder.events) if isinstance(event, dict)]
    findings = standing(events)
    heading = escape(title) if title else _heading(recipe)
    body = "".join(
        (
            f"<h1>{heading}</h1>",
            _progress(recipe, records, running),
            _verdict(events, findings),
            section(findings, records),
            _tiles(recipe, records, running),
            _pictures(folder),
            _comparisons(folder),
            _curves(records),
            _events(events),
            _tables("Settings", _groups(recipe)),
            _tables("Environment", {"": _environment(folder)}),
            f"<footer>{escape(str(folder.root))} · written {escape(now())} by sparring</footer>",
        )
    )
    plain = escape(title or f"{recipe.get('family', 'run')} on {_data_name(recipe)}")
    write_atomic(folder.report, page(plain, body, REFRESH_SECONDS if running else 0).encode())
    return folder.report


# ---------------------------------------------------------------------- the top of the page


def _heading(recipe: Record) -> str:
    return f"{escape(str(recipe.get('family', 'run')))} <small>on {escape(_data_name(recipe))}</small>"


def _data_name(recipe: Record) -> str:
    """What the data is called: the last part of its path, or the name of built-in data."""
    return Path(str(recipe.get("source", ""))).name or "data"


def _progress(recipe: Record, records: Sequence[Record], running: bool) -> str:
    shown = _value(records[-1], "nimg") if records else 0.0
    total = _total(recipe, records)
    share = min(1.0, shown / total) if total else 0.0
    state = "training" if running else ("finished" if total and shown >= total else "stopped")
    at = f"{kimg(shown)} of {kimg(total)} kimg" if total else f"{kimg(shown)} kimg"
    when = f"last tick {_time(records[-1])}" if records else "no tick yet"
    return (
        f'<div class="progress"><i style="width:{share:.2%}"></i></div>'
        f'<div class="state"><span><b>{state}</b> · {share:.0%} · {at}</span><span>{when}</span></div>'
    )


def _total(recipe: Record, records: Sequence[Record]) -> float:
    """Length of the run in images, as the last tick knew it (a resume may change it), or the recipe; 0 if unknown."""
    if records and _value(records[-1], "total_kimg"):
        return _value(records[-1], "total_kimg") * 1000
    train = recipe.get("train")
    return _value(train, "kimg") * 1000 if isinstance(train, Mapping) else 0.0


def _verdict(events: Sequence[Record], findings: Sequence[Record]) -> str:
    verdicts = [event for event in events if event.get("kind") == "verdict"]
    failed = failing(findings)
    if failed and (not verdicts or _value(failed[0], "nimg") > _value(verdicts[-1], "nimg")):
        return (
            f'<div class="verdict {_severity(failed[0])}"><b>{escape(sentence(findings))}</b>'
            '<span class="soft">What shows it, and what to try, is said below.</span></div>'
        )
    if not verdicts:
        return (
            '<div class="verdict"><b>No verdict yet</b><span class="soft">'
            "Look at the samples: losses alone do not tell a good run from a dead one.</span></div>"
        )
    latest = verdicts[-1]
    headline, stop, evidence = str(latest.get("message", "")).partition(". ")
    return (
        f'<div class="verdict {_severity(latest)}"><b>{escape(headline + stop.strip())}</b>'
        f"{f'<div>{escape(evidence)}</div>' if evidence else ''}"
        f'<span class="soft">the latest verdict{_where(latest, " · at ")}</span></div>'
    )


def _severity(event: Record) -> str:
    severity = event.get("severity")
    return severity if severity in SEVERITIES else ""


def _where(event: Record, before: str = "") -> str:
    return f"{before}{kimg(_value(event, 'nimg'))} kimg" if "nimg" in event else ""


def _tiles(recipe: Record, records: Sequence[Record], running: bool) -> str:
    if not records:
        return ""
    last = records[-1]
    tiles = {
        "samples per second": f"{_value(last, 'images_per_second'):,.0f}",
        "time trained": duration(sum(_value(record, "seconds") for record in records)),
        "memory": memory(_value(last, "memory_mb")),
    }
    if running:
        left = max(0.0, _total(recipe, records) - _value(last, "nimg"))
        tiles["time left"] = duration(left / max(_value(last, "images_per_second"), 1e-9))
    else:
        tiles["ticks"] = f"{len(records):,}"
    return (
        '<div class="tiles">' + "".join(f"<div><span>{k}</span><b>{v}</b></div>" for k, v in tiles.items()) + "</div>"
    )


def _time(record: Record) -> str:
    """Date and time to the second, without the zone."""
    return escape(str(record.get("time", ""))[:19].replace("T", " "))


def _value(record: Record, key: str) -> float:
    value = record.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


# ---------------------------------------------------------------------- pictures and curves


def _pictures(folder: RunFolder) -> str:
    found = grids(folder)
    opened = [(nimg, open_picture(path)) for nimg, path in pick(found, STRIP + 1)]
    whole = [(nimg, image) for nimg, image in opened if image is not None]
    if not whole:
        return ""
    (nimg, latest), earlier = whole[-1], whole[:-1]
    cards = f'<div class="card"><h3>Latest samples <span class="note">{kimg(nimg)} kimg</span></h3>'
    cards += _image(latest, LARGE, "the latest samples") + "</div>"
    beside = ""
    if (reals := open_picture(folder.samples / "reals.png")) is not None:
        beside += f'<div class="card"><h3>Real data</h3>{_image(reals, LARGE, "real data")}</div>'
    strip = ""
    if earlier:
        steps = "".join(
            f"<figure>{_image(image, SMALL, f'samples at {kimg(at)} kimg')}{kimg(at)} kimg</figure>"
            for at, image in earlier
        )
        strip = f'<div class="card"><h3>The same seeds, earlier</h3><div class="strip">{steps}</div></div>'
    if not beside:
        beside, strip = strip, ""
    kind = "pictures" if beside else "pictures alone"
    return f'<h2>Samples</h2><div class="{kind}">{cards}{beside}</div>' + (
        f'<div class="below">{strip}</div>' if strip else ""
    )


def _comparisons(folder: RunFolder) -> str:
    """Samples of a table beside its real rows, as the last evaluation drew them."""
    drawn = [
        f'<div class="card"><h3>{head}</h3>{_image(picture, 2 * LARGE, head)}</div>'
        for name, head in (
            (COLUMNS, "Columns, real beside samples"),
            (PAIRS, "Pairs of columns: 100 is as in the data"),
        )
        if (picture := open_picture(folder.samples / name)) is not None
    ]
    return f'<h2>As evaluated</h2><div class="below">{"".join(drawn)}</div>' if drawn else ""


def _image(image: Image.Image, side: int, said: str) -> str:
    """An ``img`` that carries its picture."""
    file = io.BytesIO()
    shrunk(image, side).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(said, quote=True)}" src="data:image/png;base64,{data}">'


def _curves(records: Sequence[Record]) -> str:
    drawn = "".join(draw(chart) for chart in charts(records))
    return f'<h2>Curves</h2><div class="charts">{drawn}</div>' if drawn else ""


# ---------------------------------------------------------------------- tables


def _events(events: Sequence[Record]) -> str:
    if not events:
        return ""
    rows = "".join(
        f"<tr><td>{_time(event)}</td><td>{_where(event)}</td>"
        f'<td><span class="tag {_severity(event)}">{escape(str(event.get("kind", "")))}</span></td>'
        f"<td>{escape(str(event.get('message', '')))}</td></tr>"
        for event in list(reversed(events))[:EVENTS_SHOWN]
    )
    older = (
        f' <span class="note">the latest {EVENTS_SHOWN} of {len(events)}</span>' if len(events) > EVENTS_SHOWN else ""
    )
    head = "<thead><tr><th>time</th><th>at</th><th>what</th><th></th></tr></thead>"
    return f'<h2>Events{older}</h2><div class="card"><table class="events">{head}<tbody>{rows}</tbody></table></div>'


def _groups(recipe: Record) -> dict[str, dict[str, Any]]:
    """The recipe by group; what stands alone comes first, in a group without a name."""
    alone = {key: value for key, value in recipe.items() if not isinstance(value, Mapping)}
    named = {key: flatten(value) for key, value in recipe.items() if isinstance(value, Mapping)}
    return {"run": alone, **named}


def _environment(folder: RunFolder) -> dict[str, Any]:
    try:
        environment = json.loads((folder.root / "env.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or damaged: the page can do without
        return {}
    return flatten(environment) if isinstance(environment, dict) else {}


def _tables(title: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    tables = "".join(
        f'<div class="card">{f"<h3>{escape(name)}</h3>" if name else ""}<table class="facts"><tbody>'
        + "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(_short(v))}</td></tr>" for k, v in facts.items())
        + "</tbody></table></div>"
        for name, facts in groups.items()
        if facts
    )
    return f'<h2>{title}</h2><div class="tables">{tables}</div>' if tables else ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 240 else f"{text[:240]}…"
