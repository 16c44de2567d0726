"""History: bars, when energy is used, what is always on, and power in detail."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any, cast

from nicegui import ui
from nicegui.element import Element

from services.dashboard.domain.answers import Unanswered
from services.dashboard.domain.bars import REST, Heat, Part, bars_csv, heat_csv, table_csv
from services.dashboard.domain.chapter import Chapter, PowerRow, facts, power_table
from services.dashboard.domain.colours import colour
from services.dashboard.domain.figures import percent
from services.dashboard.domain.periods import PERIODS, Period, PeriodName
from services.dashboard.pages import charts
from services.dashboard.pages.elements import button, choice, note, put, set_option, tag
from services.dashboard.pages.heat_map import heat_html
from services.dashboard.pages.shell import Frame
from services.dashboard.reading import read_chapter, read_power

_ZOOM_SETTLES_S = 0.25
_NAMED: dict[str, PeriodName] = {name: name for name in PERIODS}


class HistoryPage:
    """One open page."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._period = Period.holding("day", frame.desk.now(), frame.figures.zone)
        self._money = False
        self._chapter: Chapter | None = None
        self._detail: tuple[PowerRow, ...] = ()
        self._detail_chart: ui.echart | None = None
        self._asked = 0
        self._draw()
        ui.timer(0, self._load, once=True)

    def refresh(self) -> None:
        """The past does not change by itself."""

    def _draw(self) -> None:
        text = self._frame.texts
        with tag("div", classes="toolbar"):
            self._title = tag("h1", self._period.title())
            names = {"month": "month_period"}
            options = [(name, text(names.get(name, name))) for name in PERIODS]
            choice(text("period"), options, self._period.name, self._pick_period)
            with tag("div", classes="steps"):
                button("\u2190", self._earlier, "button step", aria_label=text("earlier"))
                self._later_button = button("\u2192", self._later, "button step", aria_label=text("later"))
            choice(text("shown"), [("energy", text("energy")), ("money", text("money"))], "energy", self._pick_money)
        self._status = tag("p", text("loading"), "status-line", role="status")
        self._body = tag("div", classes="stack")
        self._bound_later()

    async def _pick_period(self, name: str) -> None:
        chosen = _NAMED.get(name, "day")
        anchor = self._frame.desk.now() if self._period.end > self._frame.desk.now() else self._period.start
        await self._turn_to(Period.holding(chosen, anchor, self._frame.figures.zone))

    async def _earlier(self) -> None:
        await self._turn_to(self._period.earlier())

    async def _later(self) -> None:
        if self._period.is_over(self._frame.desk.now()):
            await self._turn_to(self._period.later())

    def _pick_money(self, shown: str) -> None:
        self._money = shown == "money"
        if self._chapter is not None:
            self._show(self._chapter)

    async def _turn_to(self, period: Period) -> None:
        self._period = period
        put(self._title, period.title())
        self._bound_later()
        await self._load()

    def _bound_later(self) -> None:
        note(self._later_button, disabled=None if self._period.is_over(self._frame.desk.now()) else "disabled")

    async def _load(self) -> None:
        self._asked += 1
        asked, text = self._asked, self._frame.texts
        put(self._status, text("loading"))
        try:
            chapter = await read_chapter(self._frame.desk, self._period)
        except Unanswered as failure:
            if asked == self._asked:
                self._fail(str(failure))
            return
        if asked == self._asked:
            self._chapter = chapter
            self._show(chapter)

    def _fail(self, reason: str) -> None:
        text = self._frame.texts
        self._chapter = None
        self._body.clear()
        put(self._status, text("no_history", reason=reason or text("no_recorder")))

    def _show(self, chapter: Chapter) -> None:
        text = self._frame.texts
        put(self._status, "" if chapter.power or chapter.bars.home.total_kwh else text("empty_range"))
        self._body.clear()
        if not chapter.power and not chapter.bars.home.total_kwh:
            return
        with self._body:
            self._draw_facts(chapter)
            self._draw_bars(chapter)
            with tag("div", classes="columns"):
                self._draw_shares(chapter)
                if chapter.period.name != "day":
                    self._draw_heat(chapter.heat)
            self._draw_detail(chapter)

    def _draw_facts(self, chapter: Chapter) -> None:
        with tag("div", classes="facts"):
            for fact in facts(chapter, self._frame.texts, self._frame.figures):
                with tag("div", classes="tile"):
                    tag("h2", fact.label, "eyebrow")
                    tag("p", fact.value, "tile-value")
                    better = {} if fact.better is None else {"data_better": str(fact.better).lower()}
                    tag("p", fact.note, "tile-note", **better)

    def _draw_bars(self, chapter: Chapter) -> None:
        text, figures = self._frame.texts, self._frame.figures
        title = text(f"bars_of_{chapter.period.name}")
        with self._card(title, lambda: bars_csv(chapter.bars, text("everything_else"), figures.currency), "energy"):
            _picture(ui.echart(charts.bars(chapter.bars, text, figures, money=self._money), renderer="svg"), title)

    def _draw_shares(self, chapter: Chapter) -> None:
        text, figures, home = self._frame.texts, self._frame.figures, chapter.bars.home
        with tag("section", classes="card", aria_label=text("by_appliance")):
            tag("h2", text("by_appliance"))
            with tag("ul", classes="shares"):
                for part in chapter.bars.parts:
                    share = part.total_kwh / home.total_kwh if home.total_kwh else 0.0
                    with tag("li", classes=f"share {_colour_class(part)}"):
                        with tag("span", classes="share-name"):
                            tag("span", classes="dot", aria_hidden="true")
                            tag("span", f"{charts.part_name(part.name, text)} · {percent(share)}")
                        cost = part.total_cost
                        shown = figures.money(cost) if self._money and cost is not None else figures.energy(part.total_kwh)
                        tag("span", shown, "figure")
                        with tag("div", classes="meter", aria_hidden="true"):
                            tag("div", classes="meter-part", style=f"inline-size: {share * 100:.1f}%")

    def _draw_heat(self, picture: Heat) -> None:
        text = self._frame.texts
        row = text("row_month" if self._period.name == "year" else "row_day")
        with self._card(text("heat"), lambda: heat_csv(picture), "heat"):
            html = heat_html(picture, text("heat_said", row=row))
            ui.html(html, sanitize=False).classes("heat-frame").props(f'tabindex=0 role=region aria-label="{text("heat")}"')

    def _draw_detail(self, chapter: Chapter) -> None:
        text, figures = self._frame.texts, self._frame.figures
        self._detail = chapter.power
        with self._card(text("detail"), lambda: table_csv(["at", "mean_w", "min_w", "max_w"], power_table(self._detail)), "power"):
            tag("p", text("detail_hint"), "soft")
            self._detail_said = tag("p", "", "soft", role="status")
            self._detail_chart = ui.echart(charts.detail(chapter.power, text, figures), renderer="svg")
            _picture(self._detail_chart, text("detail"))
            self._detail_chart.on(
                "chart:datazoom", self._zoom, js_handler=_ZOOMED % self._detail_chart.id, throttle=_ZOOM_SETTLES_S, leading_events=False
            )

    async def _zoom(self, event: Any) -> None:
        """Read what is looked at as closely as it is kept."""
        given = cast("list[float]", event.args)
        chapter, chart = self._chapter, self._detail_chart
        if chapter is None or chart is None or len(given) != 2 or not given[1] > given[0]:
            return
        start, end = (self._moment(place) for place in given)
        start, end = max(start, chapter.period.start), min(end, chapter.period.end)
        with contextlib.suppress(Unanswered, ValueError):
            async with asyncio.timeout(20):
                closer = await read_power(self._frame.desk, start, end)
            if not closer or chart is not self._detail_chart:
                return
            # The outermost rows of the whole stay, so that the way back out is not cut off.
            kept = [row for row in chapter.power if row[0] < start], [row for row in chapter.power if row[0] > end]
            self._detail = closer
            series = charts.detail_series([*kept[0], *closer, *kept[1]], self._frame.texts, self._frame.figures)
            set_option(chart, {"series": series})
            shown = f"{self._frame.figures.time(start)}\u2013{self._frame.figures.time(end)}"
            put(self._detail_said, self._frame.texts("detail_of", range=shown))

    def _moment(self, local_ms: float) -> datetime:
        """Back from the chart's local time."""
        naive = datetime.fromtimestamp(local_ms / 1_000, UTC).replace(tzinfo=None)
        return naive.replace(tzinfo=self._frame.figures.zone).astimezone(UTC)

    def _card(self, title: str, content: Any, what: str) -> Element:
        card = tag("section", classes="card", aria_label=title)
        period = f"{self._period.name}-{self._period.first.isoformat()}"
        with card, tag("div", classes="card-head"):
            tag("h2", title)
            button(
                self._frame.texts("csv"),
                lambda: ui.download.content(content(), f"hems-{what}-{period}.csv", "text/csv"),
                "button quiet",
                aria_label=self._frame.texts("csv_of", what=title),
            )
        return card


_ZOOMED = """() => {
  const zoomed = getElement(%d).chart.getOption().dataZoom[0];
  emit([zoomed.startValue, zoomed.endValue]);
}"""


def _picture(chart: ui.echart, label: str) -> None:
    chart.classes("chart")
    chart.props["role"] = "img"
    chart.props["aria-label"] = label


def _colour_class(part: Part) -> str:
    return "rest" if part.name == REST else f"c{colour(part.name)}"
