"""The pages on NiceGUI: one application a process, each open page brought up to date with the others."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import structlog
from fastapi import FastAPI
from nicegui import Client, core, ui
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from hems.actor.configuration import ConfigurationError, Mistake
from hems.actor.logs import FaultLog, Log
from services.dashboard.desk import Desk
from services.dashboard.domain.figures import Figures
from services.dashboard.domain.guard import Guard
from services.dashboard.domain.now import Reader
from services.dashboard.domain.texts import Texts
from services.dashboard.gate import Gate
from services.dashboard.login_page import LoginPage
from services.dashboard.pages.appliances_page import AppliancesPage
from services.dashboard.pages.history_page import HistoryPage
from services.dashboard.pages.home_page import HomePage
from services.dashboard.pages.now_page import NowPage
from services.dashboard.pages.shell import Frame, Shell
from services.dashboard.sessions import SessionBook
from services.dashboard.settings import DashboardSettings
from services.dashboard.web_server import NoPort, bound_socket, serve

_FILES = Path(__file__).parent / "files"
_RECONNECT_S = 10.0
_KEPT_MESSAGES = 100

_HEAD = """<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style.css?{version}">
<script>
  const theme = localStorage.getItem('hems-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
</script>"""


class Page(Protocol):
    """An open page's content."""

    def refresh(self) -> None:
        """Bring it up to date."""
        ...


class NiceguiSite:
    """Serves Now, History, Appliances and Home."""

    def __init__(self, settings: DashboardSettings, texts: Texts, figures: Figures, month_budget: float | None) -> None:
        self._settings = settings
        self._texts = texts
        self._figures = figures
        self._reader = Reader(texts, figures, month_budget)
        self._open: dict[str, tuple[Client, Shell, Page]] = {}
        self._listening: socket.socket | None = None
        self._application: Gate | None = None
        self._log: Log = structlog.get_logger()
        self._faults = FaultLog(self._log, "a page could not be brought up to date", every=100)

    async def open(self, desk: Desk) -> None:
        """Take the port, and say where the page is.

        Raises:
            ConfigurationError: no port can be had.
        """
        settings = self._settings
        try:
            self._listening = bound_socket(settings.host, settings.port)
        except NoPort as error:
            raise ConfigurationError([Mistake("hems.yaml", None, "dashboard.port", str(error))]) from None
        self._application = self._assembled(desk)
        port = self._listening.getsockname()[1]
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._log.info(f"the page is at http://{shown}:{port}")

    async def serve(self) -> None:
        """Serve, until cancelled."""
        if self._application is None or self._listening is None:
            raise RuntimeError("the site is not open")
        await serve(self._application, self._listening)

    async def refresh(self) -> None:
        """Bring every page that somebody looks at up to date; one that fails does not hold up the others."""
        for client, shell, page in list(self._open.values()):
            if not client.has_socket_connection:
                continue
            try:
                with client:
                    shell.refresh()
                    page.refresh()
            except Exception as error:
                self._faults.failed(error=repr(error))

    def _assembled(self, desk: Desk) -> Gate:
        settings = self._settings
        guard = Guard(settings.seen_at, frozenset(name.lower() for name in settings.hosts) | _own_names())
        sessions = None
        application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        application.router.routes += [Route("/page/style.css", _style), Route("/page/icon.svg", _icon)]
        if not guard.only_here and settings.password_hash is not None:
            sessions = SessionBook(desk.context, settings.password_hash.get_secret_value())
            sessions.load()
            login = LoginPage(sessions, self._texts)
            application.router.routes += [
                Route("/login", login.show, methods=["GET"]),
                Route("/login", login.sign_in, methods=["POST"]),
                Route("/logout", login.sign_out, methods=["POST"]),
            ]
        frame = Frame(desk, self._texts, self._figures, self._reader, settings.demo, desk.context.clock.rate, signs_in=sessions is not None)
        self._register(frame)
        library: Any = ui
        sockets: Any = core.sio
        sockets.eio.max_http_buffer_size = 65_536
        library.run_with(
            application, title="hems", dark=None, language="en-US", tailwind=False, reconnect_timeout=_RECONNECT_S,
            show_welcome_message=False, binding_refresh_interval=None, message_history_length=_KEPT_MESSAGES,
        )  # fmt: skip
        return Gate(application, guard, sessions)

    def _register(self, frame: Frame) -> None:
        for name, path, make in (
            ("now", "/", NowPage),
            ("history", "/history", HistoryPage),
            ("appliances", "/appliances", AppliancesPage),
            ("home", "/home", HomePage),
        ):
            ui.page(path, title=f"{self._texts(name)} · hems")(self._drawer(frame, name, make))

    def _drawer(self, frame: Frame, name: str, make: Callable[[Frame], Page]) -> Callable[[], None]:
        def draw() -> None:
            client: Any = ui.context.client
            ui.add_head_html(_HEAD.format(version=_version()))
            shell = Shell(frame, name)
            with shell.around():
                page = make(frame)
            shell.refresh()
            page.refresh()
            self._open[client.id] = (client, shell, page)
            frame.desk.context.health.gauge("open_pages", len(self._open))
            client.on_connect(frame.desk.changed.set)
            client.on_delete(lambda: self._forget(frame, client.id))

        return draw

    def _forget(self, frame: Frame, identity: str) -> None:
        self._open.pop(identity, None)
        frame.desk.context.health.gauge("open_pages", len(self._open))


def _own_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({name, f"{name.split('.')[0]}.local"})


def _version() -> int:
    return int((_FILES / "style.css").stat().st_mtime)


async def _style(_: object) -> Response:
    return FileResponse(_FILES / "style.css", media_type="text/css", headers={"cache-control": "public, max-age=3600"})


async def _icon(_: object) -> Response:
    return FileResponse(_FILES / "icon.svg", media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})
