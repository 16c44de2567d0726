"""Appliances: how each is used, what it costs, what its runs look like, and a person's word on it."""

from typing import Literal

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from services.dashboard.domain.answers import Unanswered
from services.dashboard.domain.colours import colour
from services.dashboard.domain.figures import duration
from services.dashboard.domain.runs import Run
from services.dashboard.pages import charts
from services.dashboard.pages.elements import Handler, button, note, put, tag
from services.dashboard.pages.shell import Frame
from services.dashboard.reading import Portrait, read_portraits, read_signature

Verdict = Literal["on", "off", "wrong"]


class AppliancesPage:
    """One open page."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._states: dict[str, TextElement] = {}
        text = frame.texts
        with tag("div", classes="toolbar"):
            tag("h1", text("appliances"))
        self._status = tag("p", text("loading"), "status-line", role="status")
        self._list = tag("div", classes="appliances")
        self._read: dict[str, Portrait] | None = None
        ui.timer(0, self._load, once=True)

    def refresh(self) -> None:
        """What each does now; one that is new is drawn."""
        home = self._frame.desk.home
        if self._read is not None and any(name not in self._states for name in home.names()):
            self._show(self._read)
        for name, element in self._states.items():
            state = home.appliances.get(name)
            running = state is not None and state.running
            shown = f"{self._frame.texts('runs')} · {self._frame.figures.power(state.power_w)}" if state and running else ""
            put(element, shown)
            note(element, data_running=str(running).lower())

    async def _load(self) -> None:
        text = self._frame.texts
        try:
            self._read = await read_portraits(self._frame.desk)
            put(self._status, "")
        except Unanswered as failure:
            self._read = {}
            put(self._status, text("no_history", reason=str(failure) or text("no_recorder")))
        self._show(self._read)
        self.refresh()

    def _show(self, portraits: dict[str, Portrait]) -> None:
        names = sorted({*portraits, *self._frame.desk.home.names()})
        self._states.clear()
        self._list.clear()
        with self._list:
            for name in names:
                self._draw(name, portraits.get(name, Portrait(None, 0.0, None)))
            if not names:
                tag("p", self._frame.texts("no_appliances"), "soft")

    def _draw(self, name: str, portrait: Portrait) -> None:
        text = self._frame.texts
        with tag("section", classes=f"card appliance c{colour(name)}", aria_label=text.name(name), data_appliance=name):
            with tag("div", classes="appliance-head"):
                tag("h2", text.name(name))
                self._states[name] = tag("p", "", "state-now")
            self._draw_facts(portrait)
            if portrait.habit is not None:
                figure = tag("figure", classes="signature")
                ui.timer(0, self._signature_drawer(figure, name, portrait.habit.last), once=True)
            running = (state := self._frame.desk.home.appliances.get(name)) is not None and state.running
            with tag("div", classes="actions") as actions:
                pass
            said = tag("p", "", "said", role="status")
            with actions:
                for verdict in ("wrong", "off" if running else "on"):
                    key = f"label_{verdict}"
                    button(text(key), self._labeller(name, verdict, said), "button quiet", aria_label=f"{text.name(name)}: {text(key)}")

    def _draw_facts(self, portrait: Portrait) -> None:
        text, figures, habit = self._frame.texts, self._frame.figures, portrait.habit
        with tag("dl", classes="facts"):
            if habit is None:
                _fact(text("typical"), text("never_seen"))
            else:
                energy = "" if habit.typical_energy_kwh is None else f" · {figures.energy(habit.typical_energy_kwh)}"
                _fact(text("typical"), f"{duration(habit.typical_duration_s)}{energy}")
                _fact(text("runs_counted"), f"{habit.count} · {text('per_week', count=f'{habit.per_week:.1f}')}")
                _fact(text("last_run"), figures.time(habit.last.start, self._frame.desk.now()))
            cost = figures.money(portrait.month_cost) if portrait.month_cost is not None else None
            month = figures.energy(portrait.month_kwh)
            _fact(text("cost_month"), f"{cost} · {month}" if cost else month)

    def _signature_drawer(self, figure: TextElement, name: str, run: Run) -> Handler:
        async def draw() -> None:
            try:
                points = await read_signature(self._frame.desk, run)
            except Unanswered:
                return
            if points:
                with figure:
                    picture = ui.echart(charts.signature(points, name, self._frame.figures), renderer="svg").classes("chart-signature")
                    picture.props["role"] = "img"
                    picture.props["aria-label"] = f"{self._frame.texts.name(name)}: {self._frame.texts('signature')}"
                    tag("figcaption", self._frame.texts("signature"))

        return draw

    def _labeller(self, name: str, verdict: Verdict, said: TextElement) -> Handler:
        def press() -> None:
            noted = self._frame.desk.label(name, verdict)
            put(said, self._frame.texts("label_said" if noted else "label_failed"))

        return press


def _fact(label: str, value: str) -> None:
    with tag("div", classes="fact"):
        tag("dt", label)
        tag("dd", value)
