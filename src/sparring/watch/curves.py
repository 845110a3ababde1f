"""Curves over the run: thinned, scaled and drawn as SVG, with no library.

Only lines are SVG, stretched to whatever room there is; words are HTML, so they stay readable on a phone.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sparring.watch.words import number

MOST_POINTS = 500
COLOURS = 6
WIDTH, HEIGHT = 1000, 400  # of the SVG's own units

Point = tuple[float, float | None]


@dataclass(frozen=True)
class Curve:
    """A named line of ``(kimg, value)``; None where the value was not finite. ``colour`` counts from 0."""

    name: str
    points: tuple[Point, ...]
    colour: int = 0


@dataclass(frozen=True)
class Chart:
    """Curves that share a scale, and one line saying what they tell.

    ``logarithmic`` allows a logarithmic scale, which is used when the values span more than a factor of 30.
    ``from_zero`` shows values in proportion to nought.
    """

    title: str
    why: str
    curves: tuple[Curve, ...]
    logarithmic: bool = False
    from_zero: bool = False


def thin(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most ``most`` points: the least and the greatest of each stretch, so that no spike is lost."""
    if len(points) <= most:
        return list(points)
    stretches = most // 2
    thinned: list[Point] = []
    for index in range(stretches):
        part = points[index * len(points) // stretches : (index + 1) * len(points) // stretches]
        finite = [(value, place) for place, (_, value) in enumerate(part) if value is not None]
        if finite:
            thinned.extend(part[place] for place in sorted({min(finite)[1], max(finite)[1]}))
        else:
            thinned.append(part[0])
    return thinned


@dataclass(frozen=True)
class Scale:
    """From values to 0 (bottom) .. 1 (top)."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where ``value`` lies; beyond 0..1 when it is outside the view, nan when a logarithm has no place for it."""
        low, high = self.low, self.high
        if self.logarithmic:
            if value <= 0:
                return math.nan
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return (value - low) / (high - low)

    def marks(self) -> list[float]:
        """Round values inside the view."""
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1,), (1, 3), (1, 2, 5)):
                found = [step * 10.0**decade for decade in decades for step in steps]
                found = [mark for mark in found if self.low <= mark <= self.high]
                if len(found) >= 3:
                    break
            return found[:: math.ceil(len(found) / 6)] if found else []
        return _round_marks(self.low, self.high)


def _round_marks(low: float, high: float, about: int = 5) -> list[float]:
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


def scale_of(values: Sequence[float], logarithmic: bool = False) -> Scale:
    """A view of ``values``. A few spikes do not flatten the rest: they may lie outside it."""
    ordered = sorted(values)
    if not ordered:
        return Scale(0.0, 1.0)
    positive = [value for value in ordered if value > 0]
    if logarithmic and len(positive) >= 0.9 * len(ordered) and positive[-1] > 30 * positive[0]:
        return Scale(positive[0] / 1.2, positive[-1] * 1.2, logarithmic=True)
    low, high = ordered[0], ordered[-1]
    inner_low, inner_high = ordered[len(ordered) // 50], ordered[-1 - len(ordered) // 50]
    inner = inner_high - inner_low
    if inner > 0 and high - low > 4 * inner:
        low, high = max(low, inner_low - inner / 2), min(high, inner_high + inner / 2)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return Scale(low - room, high + room)


def draw(chart: Chart) -> str:
    """The chart as HTML: scale, lines, a table of last, least and greatest values, and the explanation."""
    thinned = [Curve(curve.name, tuple(thin(curve.points)), curve.colour) for curve in chart.curves]
    seen = [kimg for curve in thinned for kimg, _ in curve.points]
    across = Scale(0.0, max(seen, default=0.0) or 1.0)  # every run begins at 0, also one whose log does not
    up = scale_of([v for curve in chart.curves for _, v in curve.points if v is not None], chart.logarithmic)
    if chart.from_zero:
        up = Scale(min(0.0, up.low), up.high)
    lines = "".join(_grid_line(up.place(mark)) for mark in up.marks())
    lines += "".join(_path(curve, across, up) for curve in thinned)
    heights = "".join(f'<span style="bottom:{up.place(m):.2%}">{number(_tidy(m))}</span>' for m in up.marks())
    lengths = "".join(f'<span style="left:{across.place(m):.2%}">{number(_tidy(m))}</span>' for m in across.marks())
    ends = "".join(_end(curve, across, up) for curve in thinned)
    note = ' <span class="note">log scale</span>' if up.logarithmic else ""
    hover = escape(json.dumps(_hover(thinned, across)), quote=True)
    label = escape(f"{chart.title}: {', '.join(curve.name for curve in chart.curves)} over kimg", quote=True)
    return f"""<figure class="card chart"><h3>{escape(chart.title)}{note}</h3>
<div class="plot"><div class="ys">{heights}</div>
<div class="area" data-hover="{hover}"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"
 aria-label="{label}">{lines}</svg>{ends}</div>
<div class="xs">{lengths}</div><div class="unit">kimg</div></div>
<table class="key"><thead><tr><th></th><th>last</th><th>min</th><th>max</th></tr></thead>
<tbody>{"".join(_key(curve) for curve in chart.curves)}</tbody></table>
<figcaption>{escape(chart.why)}</figcaption></figure>"""


def _tidy(mark: float) -> float:
    """Without the dust of floating point: 0.30000000000000004 is 0.3, and 1e-17 among 0.1s is 0."""
    return float(f"{mark:.10g}") if abs(mark) > 1e-12 else 0.0


def _grid_line(place: float) -> str:
    y = HEIGHT * (1 - place)
    return f'<path class="grid" d="M0 {y:.1f}H{WIDTH}"/>'


def _path(curve: Curve, across: Scale, up: Scale) -> str:
    """The line, broken where there is no value; a lone value is a dot (a stroke of no length with round caps)."""
    steps: list[str] = []
    pen = "M"
    for kimg, value in curve.points:
        height = math.nan if value is None else up.place(value)
        if math.isnan(height):
            pen = "M"
            continue
        x, y = WIDTH * across.place(kimg), HEIGHT * (1 - max(-9.0, min(10.0, height)))  # far outside is far enough
        steps.append(f"{pen}{x:.1f} {y:.1f}" + ("h0" if pen == "M" else ""))
        pen = "L"
    paint = f'class="line c{curve.colour % COLOURS}{" dashed" if curve.colour >= COLOURS else ""}"'
    return f'<path {paint} d="{"".join(steps)}"/>'


def _end(curve: Curve, across: Scale, up: Scale) -> str:
    """A dot on the last value, where that is in view."""
    kimg, value = curve.points[-1] if curve.points else (0.0, None)
    height = math.nan if value is None else up.place(value)
    if not 0 <= height <= 1:
        return ""
    return f'<i class="end c{curve.colour % COLOURS}" style="left:{across.place(kimg):.2%};bottom:{height:.2%}"></i>'


def _key(curve: Curve) -> str:
    finite = [value for _, value in curve.points if value is not None]
    missing = len(curve.points) - len(finite)
    last = curve.points[-1][1] if curve.points else None
    cells = (last, min(finite, default=None), max(finite, default=None))
    note = f' <span class="note">not finite at {missing} of {len(curve.points)} ticks</span>' if missing else ""
    return (
        f'<tr><th><i class="c{curve.colour % COLOURS}"></i>{escape(curve.name)}{note}</th>'
        + "".join(f"<td>{number(cell)}</td>" for cell in cells)
        + "</tr>"
    )


def _hover(curves: Sequence[Curve], across: Scale) -> dict[str, object]:
    """What the page's few lines of script show under the pointer."""
    return {
        "x": [across.low, across.high],
        "curves": [
            {
                "name": curve.name,
                "colour": curve.colour % COLOURS,
                "points": [[round(x, 3), None if y is None else float(f"{y:.4g}")] for x, y in curve.points],
            }
            for curve in curves
        ],
    }
