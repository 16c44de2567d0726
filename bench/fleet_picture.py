"""How the cost of a home grows with their number, as SVG: both axes by powers of ten."""

from collections.abc import Iterator, Sequence
from math import log10
from typing import NamedTuple

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 420, 70, 50, 560, 360
_X, _Y = (50.0, 10_000.0), (1.0, 2_000.0)
_STYLE = "font-family:system-ui,sans-serif;font-size:12px;fill:#333"


class Row(NamedTuple):
    """µs of processor time a home and second, at a reading each `period_s`."""

    homes: int
    period_s: float
    ancestor_us: float
    alone_us: float
    together_us: float
    over_a_broker_us: float


_CURVES = (
    ("the ancestor's way, one at a time", "ancestor_us", "#8a8f98"),
    ("ours over a broker", "over_a_broker_us", "#d1495b"),
    ("ours, one at a time, no broker", "alone_us", "#3066be"),
    ("ours together, no broker", "together_us", "#1b7f4b"),
)


def picture(rows: Sequence[Row]) -> str:
    """An SVG file."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" style="{_STYLE};background:#fff">'
    title = f'<text x="{_LEFT}" y="28" style="font-size:15px">Processor time a home and second (µs)</text>'
    return "\n".join([head, title, *_axes(rows), *_curves(rows), "</svg>", ""])


def _axes(rows: Sequence[Row]) -> Iterator[str]:
    yield f'<rect x="{_LEFT}" y="{_TOP}" width="{_RIGHT - _LEFT}" height="{_BOTTOM - _TOP}" fill="none" stroke="#888"/>'
    for row in rows:
        place = f'x="{_x(row.homes):.0f}" text-anchor="middle"'
        yield f'<text {place} y="{_BOTTOM + 18}">{row.homes:,} homes,</text>'
        yield f'<text {place} y="{_BOTTOM + 34}">each {row.period_s:g} s</text>'
    for microseconds in (1, 10, 100, 1_000):
        y = _y(microseconds)
        yield f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{microseconds:,}</text>'


def _curves(rows: Sequence[Row]) -> Iterator[str]:
    for name, column, colour in _CURVES:
        places = [(_x(row.homes), _y(getattr(row, column))) for row in rows]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
        yield f'<text x="{_RIGHT + 10}" y="{places[-1][1] + 4:.1f}" style="fill:{colour}">{name}</text>'


def _x(homes: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * _share(homes, _X)


def _y(microseconds: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * _share(microseconds, _Y)


def _share(value: float, ends: tuple[float, float]) -> float:
    return (log10(value) - log10(ends[0])) / (log10(ends[1]) - log10(ends[0]))
