"""Options of the ECharts pictures. Colours are the style sheet's variables, so that they follow light and dark by themselves."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.dashboard.domain.bands import Band
from services.dashboard.domain.bars import REST, Bars
from services.dashboard.domain.colours import colour
from services.dashboard.domain.figures import Figures
from services.dashboard.domain.texts import Texts

Options = dict[str, Any]

_FONT = {"fontFamily": "Roboto, system-ui, sans-serif", "fontSize": 13}
_LABEL = {"color": "var(--ink-soft)", **_FONT}
_LINE = {"lineStyle": {"color": "var(--hairline)"}}
_STILL: Options = {"animation": False, "useUTC": True, "textStyle": _FONT}
_TOOLTIP: Options = {
    "confine": True, "backgroundColor": "var(--card)", "borderColor": "var(--hairline)", "textStyle": {"color": "var(--ink)", **_FONT},
}  # fmt: skip
_LANE_PX = 22


def live(points: Sequence[tuple[datetime, float | None]], shown: Sequence[Band], texts: Texts, figures: Figures) -> Options:
    """The line of the page Now, whole."""
    return {
        **_STILL,
        "grid": {"left": 8, "right": 24, "top": 14, "bottom": 4, "containLabel": True},
        "tooltip": {**_TOOLTIP, "trigger": "axis", "axisPointer": {"lineStyle": {"color": "var(--ink-soft)"}}},
        **live_changes(points, shown, texts, figures),
    }


def live_changes(points: Sequence[tuple[datetime, float | None]], shown: Sequence[Band], texts: Texts, figures: Figures) -> Options:
    """What of the line changes from second to second."""
    line = [[figures.local_ms(at), power_w] for at, power_w in points]
    return {
        "xAxis": {**_time_axis(figures), **({"min": line[0][0], "max": line[-1][0]} if line else {})},
        "yAxis": _power_axis(points),
        "series": [
            {
                "type": "line", "name": texts("power"), "data": line, "showSymbol": False, "silent": False, "sampling": "lttb",
                "lineStyle": {"color": "var(--accent)", "width": 2.5}, "itemStyle": {"color": "var(--accent)"},
                "areaStyle": {"color": "var(--accent)", "opacity": 0.1}, "emphasis": {"disabled": True}, "z": 3,
                "markArea": {"silent": True, "animation": False, "data": [_band(band, texts, figures) for band in shown]},
            }
        ],
    }  # fmt: skip


def _band(band: Band, texts: Texts, figures: Figures) -> list[Options]:
    ink = f"var(--c{band.colour})"
    label = {
        "show": band.lane is not None, "position": [-6 if band.name_before else 6, 6 + _LANE_PX * (band.lane or 0)],
        "align": "right" if band.name_before else "left",
        "color": f"var(--t{band.colour})", "fontSize": 13, "fontWeight": 500, "fontFamily": "Roboto, system-ui, sans-serif",
    }  # fmt: skip
    style = {"color": ink, "opacity": 0.1 if band.probable else 0.18}
    start = {"xAxis": figures.local_ms(band.start), "name": texts.name(band.appliance), "itemStyle": style, "label": label}
    return [start, {"xAxis": figures.local_ms(band.end)}]


def bars(picture: Bars, texts: Texts, figures: Figures, *, money: bool) -> Options:
    """Energy or cost, stacked by appliance."""
    unit = figures.currency if money else "kWh"
    series = [
        {
            "type": "bar", "stack": "home", "name": part_name(part.name, texts), "barMaxWidth": 56, "emphasis": {"disabled": True},
            "itemStyle": {"color": part_colour(part.name), "borderColor": "var(--card)", "borderWidth": 1},
            "data": [round(value, 4) if value else None for value in (part.cost if money else part.energy_kwh)],
        }
        for part in reversed(picture.parts)
    ]  # fmt: skip
    return {
        **_STILL,
        "grid": {"left": 8, "right": 12, "top": 36, "bottom": 4, "containLabel": True},
        "tooltip": {**_TOOLTIP, "trigger": "axis", "axisPointer": {"type": "shadow", "shadowStyle": {"color": "var(--hairline)"}}},
        "xAxis": {"type": "category", "data": list(picture.labels), "axisLabel": _LABEL, "axisLine": _LINE, "axisTick": {"show": False}},
        "yAxis": _value_axis(unit),
        "series": series,
    }


def detail(rows: Sequence[tuple[datetime, float, float, float]], texts: Texts, figures: Figures) -> Options:
    """Power over a range: the mean as a line, the lowest to the highest as a veil; it can be zoomed."""
    return {
        **_STILL,
        "grid": {"left": 8, "right": 16, "top": 30, "bottom": 56, "containLabel": True},
        "tooltip": {**_TOOLTIP, "trigger": "axis", "axisPointer": {"lineStyle": {"color": "var(--ink-soft)"}}},
        "dataZoom": [
            {"type": "inside", "minValueSpan": 60_000},
            {
                "type": "slider", "height": 30, "bottom": 8, "minValueSpan": 60_000, "borderColor": "var(--hairline)", "brushSelect": False,
                "fillerColor": "var(--veil)", "showDetail": False, "handleSize": "120%", "throttle": 100,
                "handleStyle": {"color": "var(--card)", "borderColor": "var(--accent)"}, "moveHandleSize": 6,
                "dataBackground": {"lineStyle": {"color": "var(--ink-soft)"}, "areaStyle": {"color": "var(--ink-soft)", "opacity": 0.15}},
                "selectedDataBackground": {"lineStyle": {"color": "var(--accent)"}, "areaStyle": {"color": "var(--veil)"}},
            },
        ],
        "xAxis": _time_axis(figures),
        "yAxis": _watts(),
        "series": detail_series(rows, texts, figures),
    }  # fmt: skip


def detail_series(rows: Sequence[tuple[datetime, float, float, float]], texts: Texts, figures: Figures) -> list[Options]:
    """The lines of `detail`."""
    times = [figures.local_ms(at) for at, *_ in rows]
    plain = {"type": "line", "showSymbol": False, "silent": True, "emphasis": {"disabled": True}}
    veil = {**plain, "stack": "range", "lineStyle": {"opacity": 0}, "tooltip": {"show": False}}
    return [
        {**veil, "name": " ", "data": [[at, low] for at, (_, _, low, _) in zip(times, rows, strict=True)]},
        {
            **veil, "name": texts("range"), "areaStyle": {"color": "var(--accent)", "opacity": 0.16},
            "data": [[at, round(high - low, 1)] for at, (_, _, low, high) in zip(times, rows, strict=True)],
        },
        {
            **plain, "name": texts("mean"), "lineStyle": {"color": "var(--accent)", "width": 1.8}, "itemStyle": {"color": "var(--accent)"},
            "data": [[at, mean] for at, (_, mean, _, _) in zip(times, rows, strict=True)],
        },
    ]  # fmt: skip


def signature(points: Sequence[tuple[datetime, float]], appliance: str, figures: Figures) -> Options:
    """The shape of one run, without axes."""
    ink = f"var(--c{colour(appliance)})"
    return {
        **_STILL,
        "grid": {"left": 0, "right": 0, "top": 6, "bottom": 0},
        "xAxis": {"type": "time", "show": False},
        "yAxis": {"type": "value", "show": False, "min": 0},
        "series": [
            {
                "type": "line", "step": "end", "showSymbol": False, "silent": True, "emphasis": {"disabled": True},
                "data": [[figures.local_ms(at), power_w] for at, power_w in points],
                "lineStyle": {"color": ink, "width": 2}, "areaStyle": {"color": ink, "opacity": 0.18},
            }
        ],
    }  # fmt: skip


def part_name(name: str, texts: Texts) -> str:
    """An appliance, or everything else."""
    return texts("everything_else") if name == REST else texts.name(name)


def part_colour(name: str) -> str:
    """An appliance's colour, or the quiet one of everything else."""
    return "var(--rest)" if name == REST else f"var(--c{colour(name)})"


def _time_axis(figures: Figures) -> Options:
    clock = "{HH}:{mm}" if figures.clock == "24h" else "{h}:{mm} {A}"
    form = {"year": "{yyyy}", "month": "{d} {MMM}", "day": "{d} {MMM}", "hour": clock, "minute": clock, "second": "{HH}:{mm}:{ss}"}
    return {
        "type": "time", "axisLabel": {**_LABEL, "hideOverlap": True, "formatter": form}, "axisLine": _LINE, "axisTick": {"show": False},
        "splitLine": {"show": False}, "splitNumber": 5,
    }  # fmt: skip


def _power_axis(points: Sequence[tuple[datetime, float | None]]) -> Options:
    top_w = round_top(max((power_w or 0.0 for _, power_w in points), default=0.0))
    return {**_watts(), "max": top_w, "interval": top_w / 4}


def round_top(power_w: float) -> float:
    """A round figure above a power that four steps divide, and never so low that the fridge fills the picture."""
    wanted_w = max(power_w * 1.1, 400.0)
    size = 10 ** math.floor(math.log10(wanted_w))
    return next(step * size for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 4.8, 6, 8, 10) if step * size >= wanted_w)


def _watts() -> Options:
    return {**_value_axis(""), "axisLabel": {**_LABEL, "formatter": "{value} W"}}


def _value_axis(unit: str) -> Options:
    return {
        "type": "value", "axisLabel": _LABEL, "splitLine": _LINE, "splitNumber": 4, "name": unit, "nameTextStyle": _LABEL, "nameGap": 10,
    }  # fmt: skip
