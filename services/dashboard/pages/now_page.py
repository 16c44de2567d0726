"""Now: the power, the line, what runs, what it costs, and the switches."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from hems.contracts.relays import Level
from services.dashboard.domain.bands import USUAL_WIDTH_PX, Band, bands
from services.dashboard.domain.now import AlertRow, DemandCard, Now, RunningCard, SwitchRow, Tile
from services.dashboard.pages import charts
from services.dashboard.pages.elements import Handler, attribute, button, choice, note, put, set_option, tag
from services.dashboard.pages.shell import Frame

_DEFAULT_SPAN_S = 3_600
_SPANS = ("900", "3600", "21600", "86400")
_LEASES = ("always", "1800", "3600", "14400")
_LINE_EVERY_S = 1.0
_SPEAK_EVERY_S = 30.0
_SAVE_S = 3_600.0
_RUNS_LISTED = 8
_NARROWEST_PX, _WIDEST_PX = 200.0, 8_000.0

_MEASURE = """(() => {
  let told = 0;
  new ResizeObserver(([seen]) => {
    const width = Math.round(seen.contentRect.width);
    if (Math.abs(width - told) > 8) emitEvent('line-width', told = width);
  }).observe(getHtmlElement(%d));
})()"""


class NowPage:
    """One open page."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._span_s = _DEFAULT_SPAN_S
        self._shown: Now | None = None
        self._bands: list[Band] = []
        self._line_px = USUAL_WIDTH_PX
        self._drawn_at_s = 0.0
        self._spoken_at_s = 0.0
        self._tiles: dict[str, dict[str, TextElement]] = {}
        self._running: dict[str, dict[str, TextElement]] | None = None
        self._switches: dict[str, dict[str, TextElement]] | None = None
        self._leases: dict[str, str] = {}
        self._draw()

    def refresh(self) -> None:
        """Bring what changed up to date; a new run is drawn at once, the line each second."""
        frame = self._frame
        now = frame.desk.now()
        picture = frame.reader.now(frame.desk.home, frame.desk.switching, now)
        before, self._shown = self._shown, picture
        self._refresh_power(picture)
        self._refresh_tiles(picture.tiles)
        if before is None or before.running != picture.running or before.idle != picture.idle:
            self._refresh_running(picture)
        if before is None or before.switches != picture.switches:
            self._refresh_switches(picture.switches)
        if before is None or before.demand != picture.demand:
            self._refresh_demand(picture.demand)
        if before is None or before.alerts != picture.alerts:
            self._refresh_alerts(picture.alerts)
        self._refresh_line()

    def _draw(self) -> None:
        text = self._frame.texts
        tag("h1", text("now"), "visually-hidden")
        self._speech = tag("p", classes="visually-hidden", role="status", aria_live="polite")
        with tag("section", classes="hero", aria_label=text("power")):
            with tag("div", classes="power-block"):
                tag("h2", text("power"), "eyebrow")
                with tag("p", classes="power", id="power"):
                    self._power = tag("span", "\u2013", "power-figure")
                    self._unit = tag("span", "", "power-unit")
                self._power_note = tag("p", text("waiting"), "soft power-note")
            self._tile_row = tag("div", classes="tiles")
        with tag("section", classes="card line-card", aria_label=text("chart_live")):
            with tag("div", classes="card-head"):
                self._line_title = tag("h2", text(f"live_{self._span_s}"))
                choice(text("span"), [(span, text(f"span_{span}")) for span in _SPANS], str(self._span_s), self._pick_span)
            self._chart = ui.echart(charts.live([], [], text, self._frame.figures), renderer="svg").classes("chart chart-live")
            self._chart.props["role"] = "img"
            self._chart.props["aria-label"] = text("chart_live")
            ui.on("line-width", self._measured)
            ui.run_javascript(_MEASURE % self._chart.id)
            self._runs = tag("ul", classes="runs")
        with tag("div", classes="columns"):
            with tag("section", classes="card", aria_label=text("running_now")):
                tag("h2", text("running_now"))
                self._running_list = tag("ul", classes="running")
                self._idle = tag("p", classes="soft idle")
            with tag("section", classes="card", aria_label=text("switches")):
                tag("h2", text("switches"))
                self._switch_list = tag("ul", classes="switches")
            with tag("section", classes="card", aria_label=text("demand")):
                tag("h2", text("demand"))
                self._demand = tag("div", classes="demand")
            with tag("section", classes="card", aria_label=text("alerts")):
                tag("h2", text("alerts"))
                self._alerts = tag("ul", classes="alerts")

    def _refresh_power(self, picture: Now) -> None:
        put(self._power, picture.power)
        put(self._unit, picture.unit)
        put(self._power_note, picture.power_note)
        if time.monotonic() - self._spoken_at_s >= _SPEAK_EVERY_S:
            self._spoken_at_s = time.monotonic()
            put(self._speech, picture.spoken)

    def _refresh_tiles(self, tiles: tuple[Tile, ...]) -> None:
        if list(self._tiles) != [tile.key for tile in tiles]:
            self._tile_row.clear()
            with self._tile_row:
                self._tiles = {tile.key: self._draw_tile(tile) for tile in tiles}
        for tile in tiles:
            parts = self._tiles[tile.key]
            put(parts["value"], tile.value)
            put(parts["note"], tile.note)
            put(parts["detail"], tile.detail)
            note(parts["note"], data_better=None if tile.better is None else str(tile.better).lower())
            if tile.part is not None:
                note(parts["part"], style=f"inline-size: {min(tile.part, 1) * 100:.1f}%", data_over=str(tile.part > 1).lower())
                note(parts["meter"], aria_valuenow=f"{tile.part * 100:.0f}")

    def _draw_tile(self, tile: Tile) -> dict[str, TextElement]:
        with tag("div", classes="tile"):
            tag("h3", tile.label, "eyebrow")
            texts = (("value", tile.value), ("note", tile.note), ("detail", tile.detail))
            parts = {name: tag("p", said, f"tile-{name}") for name, said in texts}
            if tile.part is not None:
                meter = tag("div", classes="meter", role="meter", aria_label=tile.part_label, aria_valuemin="0", aria_valuemax="100")
                with meter:
                    parts["part"] = tag("div", classes="meter-part")
                parts["meter"] = meter
        return parts

    def _refresh_line(self) -> None:
        desk, figures = self._frame.desk, self._frame.figures
        now = desk.now()
        oldest = now - timedelta(seconds=self._span_s)
        names = {name: self._frame.texts.name(name) for name in desk.home.appliances}
        shown = bands(desk.home.runs.within(oldest, now), names, oldest, now, self._line_px)
        news = [(band.appliance, band.running, band.probable) for band in shown] != [
            (band.appliance, band.running, band.probable) for band in self._bands
        ]
        if not news and time.monotonic() - self._drawn_at_s < _LINE_EVERY_S:
            return
        self._drawn_at_s, self._bands = time.monotonic(), shown
        points = desk.home.traces[self._span_s].points(now)
        set_option(self._chart, charts.live_changes(points, shown, self._frame.texts, figures))
        if news:
            self._list_runs(shown)

    def _list_runs(self, shown: list[Band]) -> None:
        self._runs.clear()
        with self._runs:
            for band in shown[-_RUNS_LISTED:]:
                with tag("li", classes=f"run c{band.colour}", data_running=str(band.running).lower(), data_appliance=band.appliance):
                    tag("span", classes="dot", aria_hidden="true")
                    tag("span", self._frame.texts.name(band.appliance))
                    until = "" if band.running else f"\u2013{self._frame.figures.time(band.end)}"
                    tag("span", f"{self._frame.figures.time(band.began)}{until}", "soft")

    def _measured(self, event: Any) -> None:
        """The names on the bands have as much room as the browser's picture."""
        if isinstance(event.args, int | float) and _NARROWEST_PX <= event.args <= _WIDEST_PX:
            self._line_px, self._drawn_at_s = float(event.args), 0.0
            self._refresh_line()

    def _pick_span(self, span: str) -> None:
        self._span_s = int(span)
        self._drawn_at_s, self._bands = 0.0, []
        put(self._line_title, self._frame.texts(f"live_{self._span_s}"))
        self._refresh_line()

    def _refresh_running(self, picture: Now) -> None:
        drawn = self._running
        if drawn is None or list(drawn) != [card.appliance for card in picture.running]:
            self._running_list.clear()
            with self._running_list:
                drawn = self._running = {card.appliance: self._draw_running(card) for card in picture.running}
                if not picture.running:
                    tag("li", self._frame.texts("nothing_runs"), "soft")
        for card in picture.running:
            parts = drawn[card.appliance]
            put(parts["power"], card.power)
            put(parts["since"], card.since)
            put(parts["more"], " · ".join(filter(None, (card.confidence, card.today))))
        idle = ", ".join(picture.idle)
        put(self._idle, f"{self._frame.texts('not_running')}: {idle}" if idle else "")

    def _draw_running(self, card: RunningCard) -> dict[str, TextElement]:
        with tag("li", classes=f"running-card c{card.colour}", data_appliance=card.appliance):
            tag("span", classes="bar-mark", aria_hidden="true")
            with tag("div", classes="grow"):
                tag("h3", card.name)
                since, more = tag("p", card.since, "soft"), tag("p", "", "soft")
            return {"since": since, "more": more, "power": tag("p", card.power, "figure")}

    def _refresh_switches(self, rows: tuple[SwitchRow, ...]) -> None:
        drawn = self._switches
        if drawn is None or list(drawn) != [row.relay for row in rows]:
            self._switch_list.clear()
            with self._switch_list:
                drawn = self._switches = {row.relay: self._draw_switch(row) for row in rows}
                if not rows:
                    tag("li", self._frame.texts("no_switches"), "soft")
        for row in rows:
            parts = drawn[row.relay]
            note(parts["switch"], aria_checked=str(row.on).lower(), aria_busy="true" if row.outcome == "asked" else None)
            put(parts["state"], f"{row.state} · {row.detail}")
            put(parts["said"], row.said)
            note(parts["said"], data_outcome=row.outcome or None)

    def _draw_switch(self, row: SwitchRow) -> dict[str, TextElement]:
        text = self._frame.texts

        async def press() -> None:
            wanted: Level = "OFF" if attribute(switch, "aria-checked") == "true" else "ON"
            lease = self._leases.get(row.relay, "always")
            await self._frame.desk.switch(row.relay, wanted, None if lease == "always" else float(lease))

        def choose(lease: str) -> None:
            self._leases[row.relay] = lease if lease in _LEASES else "always"

        with tag("li", classes="switch-row", data_relay=row.relay):
            with tag("div", classes="grow"):
                tag("h3", row.name)
                state = tag("p", "", "soft")
                said = tag("p", "", "said", role="status")
            with tag("label", classes="lease"):
                tag("span", text("for"), "visually-hidden")
                with tag("select", aria_label=f"{row.name}: {text('for')}") as select:
                    for lease in _LEASES:
                        tag("option", text(f"for_{lease}"), value=lease)
                select.on("change", lambda event: choose(str(event.args)), js_handler="(event) => emit(event.target.value)")
            attributes = {"role": "switch", "aria_checked": str(row.on).lower(), "aria_label": text("switch_of", name=row.name)}
            with button("", press, "switch", **attributes) as switch:
                tag("span", classes="knob", aria_hidden="true")
        return {"switch": switch, "state": state, "said": said}

    def _refresh_demand(self, card: DemandCard) -> None:
        text, desk = self._frame.texts, self._frame.desk
        self._demand.clear()
        with self._demand:
            with tag("p", classes="demand-level", data_level=card.level):
                tag("span", classes="dot", aria_hidden="true")
                tag("span", card.title)
            if card.detail:
                tag("p", card.detail, "soft")
            for row in card.shed:
                with tag("p", classes="shed"):
                    tag("span", row.text)
                    button(text("keep_on", relay=row.name), self._teller(lambda relay=row.relay: desk.opt_out(relay=relay)), "button quiet")
            with tag("div", classes="actions"):
                if card.event is not None:
                    button(text("opt_out"), self._teller(lambda: desk.opt_out(event=card.event)))
                if card.level == "normal":
                    button(text("save_hour"), self._teller(lambda: desk.demand("high", _SAVE_S)))
                else:
                    button(text("stop_saving"), self._teller(lambda: desk.demand("normal", _SAVE_S)))
            self._demand_said = tag("p", "", "said", role="status")

    def _teller(self, say: Callable[[], Awaitable[bool]]) -> Handler:
        async def pressed() -> None:
            sent = await say()
            put(self._demand_said, self._frame.texts("asked" if sent else "not_sent"))

        return pressed

    def _refresh_alerts(self, rows: tuple[AlertRow, ...]) -> None:
        self._alerts.clear()
        with self._alerts:
            for row in rows:
                with tag("li", classes="alert", data_severity=row.severity):
                    tag("p", f"{row.word} · {row.time}", "eyebrow")
                    tag("h3", row.title)
                    tag("p", row.message, "soft")
            if not rows:
                tag("li", self._frame.texts("no_alerts"), "soft")
