"""Home: whether all services work, the meter, what was sent, and what happened."""

from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta

from services.dashboard.domain.house import House, house
from services.dashboard.pages.elements import Handler, button, put, table, tag
from services.dashboard.pages.shell import Frame

_MORNING = time(7)


class HomePage:
    """One open page."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._shown: House | None = None
        text = frame.texts
        with tag("div", classes="toolbar"):
            tag("h1", text("home"))
        with tag("div", classes="stack"):
            self._services = tag("section", classes="card", aria_label=text("services"))
            with tag("div", classes="columns"):
                self._meter = tag("section", classes="card", aria_label=text("meter"))
                with tag("section", classes="card", aria_label=text("messages")):
                    tag("h2", text("messages"))
                    self._messages = tag("ul", classes="log")
                    with tag("div", classes="actions"):
                        button(text("send_test"), self._teller(frame.desk.send_test, text("test_asked")))
                        button(text("mute_hour"), self._muter(lambda: frame.desk.now() + timedelta(hours=1)))
                        button(text("mute_morning"), self._muter(self._morning))
                    self._said = tag("p", "", "said", role="status")
            with tag("section", classes="card", aria_label=text("log")):
                tag("h2", text("log"))
                self._log = tag("ul", classes="log")

    def refresh(self) -> None:
        """Draw what changed."""
        frame = self._frame
        picture = house(frame.desk.home, frame.desk.now(), frame.texts, frame.figures)
        before, self._shown = self._shown, picture
        if before is None or before.services != picture.services:
            self._draw_services(picture)
        if before is None or before.meter != picture.meter:
            self._draw_meter(picture)
        if before is None or before.messages != picture.messages:
            self._draw_messages(picture)
        if before is None or before.log != picture.log:
            self._draw_log(picture)
        if picture.muted:
            put(self._said, picture.muted)

    def _draw_services(self, picture: House) -> None:
        text = self._frame.texts
        self._services.clear()
        with self._services:
            tag("h2", text("services"))
            headers = [text(key) for key in ("service", "state", "work", "backlog", "trouble", "version")]
            rows = [(row.name, row.state, row.work, row.backlog, row.trouble, row.version) for row in picture.services]
            marks = [{"data_state": row.mark} for row in picture.services]
            table(headers, rows, text("services"), marks)

    def _draw_meter(self, picture: House) -> None:
        self._meter.clear()
        with self._meter:
            tag("h2", self._frame.texts("meter"))
            with tag("dl", classes="facts"):
                for label, value in picture.meter:
                    with tag("div", classes="fact"):
                        tag("dt", label)
                        tag("dd", value)

    def _draw_messages(self, picture: House) -> None:
        self._messages.clear()
        with self._messages:
            for at, status, recipient, words in picture.messages:
                with tag("li"):
                    tag("p", f"{at} · {status} · {recipient}", "eyebrow")
                    tag("p", words)
            if not picture.messages:
                tag("li", self._frame.texts("no_messages"), "soft")

    def _draw_log(self, picture: House) -> None:
        self._log.clear()
        with self._log:
            for at, what, more in picture.log:
                with tag("li", classes="log-line"):
                    tag("p", at, "eyebrow")
                    with tag("div"):
                        tag("p", what)
                        if more:
                            tag("p", more, "soft")
            if not picture.log:
                tag("li", self._frame.texts("log_empty"), "soft")

    def _teller(self, say: Callable[[], Awaitable[bool]], words: str) -> Handler:
        async def pressed() -> None:
            sent = await say()
            put(self._said, words if sent else self._frame.texts("not_sent"))

        return pressed

    def _muter(self, until: Callable[[], datetime]) -> Handler:
        async def pressed() -> None:
            moment = until()
            sent = await self._frame.desk.mute(moment)
            shown = self._frame.texts("muted", time=self._frame.figures.time(moment, self._frame.desk.now()))
            put(self._said, shown if sent else self._frame.texts("not_sent"))

        return pressed

    def _morning(self) -> datetime:
        """The next seven in the morning, by the clock on the wall."""
        local = self._frame.desk.now().astimezone(self._frame.figures.zone)
        day = local.date() if local.time() < _MORNING else local.date() + timedelta(days=1)
        return datetime.combine(day, _MORNING, self._frame.figures.zone)
