"""What every page has: the bar with the pages' names, warnings, and the way to light and dark."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from services.dashboard.desk import Desk
from services.dashboard.domain.figures import Figures
from services.dashboard.domain.now import Reader
from services.dashboard.domain.texts import Texts
from services.dashboard.pages.elements import put, tag

PAGES = (("now", "/"), ("history", "/history"), ("appliances", "/appliances"), ("home", "/home"))

_TOGGLE = """() => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('hems-theme', root.dataset.theme);
}"""


@dataclass(frozen=True)
class Frame:
    """What pages are made with."""

    desk: Desk
    texts: Texts
    figures: Figures
    reader: Reader
    demo: bool
    rate: float
    signs_in: bool


class Shell:
    """The frame of one open page."""

    def __init__(self, frame: Frame, current: str) -> None:
        self._frame = frame
        self._current = current

    @contextmanager
    def around(self) -> Generator[None]:
        """Draw the frame; what is drawn inside is the page's content."""
        text = self._frame.texts
        tag("a", text("skip"), "skip", href="#content")
        with tag("header", classes="bar"):
            tag("a", text("app"), "brand", href="/", aria_label=f"{text('app')}: {text('now')}")
            with tag("nav", classes="pages", aria_label=text("navigation")):
                for name, path in PAGES:
                    current = {"aria_current": "page"} if name == self._current else {}
                    with tag("a", classes=f"page-link page-{name}", href=path, **current):
                        tag("span", classes=f"page-icon icon-{name}", aria_hidden="true")
                        tag("span", text(name))
            with tag("div", classes="bar-end"):
                if self._frame.demo:
                    tag("span", text("demo"), "chip demo", title=text("demo_said", rate=f"{self._frame.rate:g}"))
                self._clock = tag("time", classes="clock")
                toggle = tag("button", classes="round", type="button", aria_label=text("theme"))
                toggle.on("click", js_handler=_TOGGLE)
                if self._frame.signs_in:
                    with tag("form", method="post", action="/logout"):
                        tag("button", text("sign_out"), "button quiet", type="submit")
        self._warnings = tag("div", classes="warnings", role="status", aria_live="polite")
        self._warned: tuple[str, ...] = ()
        with tag("main", classes=f"content content-{self._current}", id="content", tabindex="-1"):
            if self._frame.demo:
                self._demo = tag("p", classes="demo-line")
            yield

    def refresh(self) -> None:
        """The clock, and the warnings."""
        now = self._frame.desk.now()
        put(self._clock, self._frame.figures.time(now))
        if self._frame.demo:
            date = self._frame.figures.date(now)
            put(self._demo, f"{self._frame.texts('demo_said', rate=f'{self._frame.rate:g}')} · {date}")
        self._warn(tuple(self._frame.reader.warnings(self._frame.desk.home, now)))

    def _warn(self, warnings: tuple[str, ...]) -> None:
        if warnings == self._warned:
            return
        self._warned = warnings
        self._warnings.clear()
        with self._warnings:
            for warning in warnings:
                tag("p", warning, "warning")
