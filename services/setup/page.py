"""The same conversation on a page: the newest question is a form, what was said stands above it.

It listens on the loopback interface alone, and its address holds a word that nobody guesses: no other page in the same browser,
and nobody else on this computer, can answer in the person's place.
"""

import html
import queue
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from hems.setting_up.conversation import Conversation, Question

_LONGEST_BODY_BYTES = 16_384
_REFRESH_S = 1
_END_S = 3.0
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; background: #fff; color: #1a1a1a }
pre { white-space: pre-wrap; font: 14px/1.5 ui-monospace, monospace; background: #f3f3f3; padding: 1rem; border-radius: 6px }
label { display: block; font-weight: 600; margin: 1rem 0 .4rem }
input[type=text], input[type=password] { font: inherit; padding: .4rem; width: 100% }
button { font: inherit; padding: .4rem 1rem; margin: .6rem .4rem 0 0 }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #eee } pre { background: #262626 } }
"""


class PortTaken(Exception):
    """The page can't be served at its port."""


class PageConversation(Conversation):
    """A conversation with whoever opens the page. Used as a context: it listens while that is open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._word = secrets.token_urlsafe(16)
        self._said: list[str] = []
        self._question: Question | None = None
        self._number = 0
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._seen_end = threading.Event()
        self._ended = False

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            PortTaken: another program listens there.
        """
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        except OSError as error:
            raise PortTaken(f"port {self._port} can't be listened on ({error.strerror})") from None
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{self._word}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that a browser may have asked for; another one means that a foreign page leads here."""
        port = self._server.server_address[1]
        return (f"127.0.0.1:{port}", f"localhost:{port}")

    def say(self, text: str) -> None:
        """Put it on the page."""
        with self._lock:
            self._said.append(text)

    def answer(self, question: Question) -> str:
        """Show the form, and wait."""
        with self._lock:
            self._question, self._number = question, self._number + 1
        while True:
            try:
                given = self._answers.get(timeout=0.2)  # so that Ctrl-C is heard
            except queue.Empty:
                continue
            return given if given.strip() else self._default(question)

    def end(self, text: str) -> None:
        """Say the last words, and give the browser the time to show them."""
        self.say(text)
        self._ended = True
        self._seen_end.wait(_END_S)

    def take(self, number: str, given: str) -> None:
        """An answer came, to the question of that number; a form sent twice counts once."""
        with self._lock:
            if self._question is None or number != str(self._number):
                return
            shown = "•••" if self._question.hidden else given
            self._said.append(f"{self._question.text}\n  {shown}")
            self._question = None
        self._answers.put(given)

    def page(self) -> str:
        """The page as it is now."""
        with self._lock:
            said, question, number = "\n".join(self._said), self._question, self._number
        if self._ended:
            self._seen_end.set()
        waiting = question is None and not self._ended
        refresh = f'<meta http-equiv="refresh" content="{_REFRESH_S}">' if waiting else ""
        form = _form(question, number) if question else "<p>…</p>" if waiting else ""
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>hems setup</title>{refresh}<style>{_STYLE}</style></head>'
            f"<body><main><h1>hems setup</h1><pre>{html.escape(said)}</pre>{form}</main></body></html>"
        )

    def knows(self, path: str) -> bool:
        """Whether a path has the word in it."""
        return secrets.compare_digest(path.encode(), f"/{self._word}/".encode())

    def _default(self, question: Question) -> str:
        if question.default is None:
            self.say("An answer is needed here.")
            return self.answer(question)
        return question.default


def _form(question: Question, number: int) -> str:
    default = html.escape(question.default or "", quote=True)
    text = html.escape(question.text)
    start = f'<form method="post"><input type="hidden" name="number" value="{number}">'
    if question.options:
        buttons = "".join(_button(option, meaning, chosen=option == question.default) for option, meaning in question.options.items())
        return f"{start}<p><strong>{text}</strong></p>{buttons}</form>"
    kind = "password" if question.hidden else "text"
    value = "" if question.hidden else f' value="{default}"'
    entry = f'<input id="answer" name="answer" type="{kind}"{value} autofocus autocomplete="off">'
    return f'{start}<label for="answer">{text}</label>{entry}<button>Answer</button></form>'


def _button(option: str, meaning: str, *, chosen: bool) -> str:
    focus = " autofocus" if chosen else ""
    about = f" {html.escape(meaning)}" if meaning else ""
    return f'<div><button name="answer" value="{html.escape(option, quote=True)}"{focus}>{html.escape(option)}</button>{about}</div>'


def _handler(conversation: PageConversation) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Shows the page, and takes answers."""

        def do_GET(self) -> None:
            """Show it."""
            if self._is_asked_rightly():
                self._answer(200, conversation.page())

        def do_POST(self) -> None:
            """Take an answer, and show the page anew."""
            if not self._is_asked_rightly():
                return
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= _LONGEST_BODY_BYTES:
                self._answer(413, "too long")
                return
            fields = parse_qs(self.rfile.read(length).decode(errors="replace"), keep_blank_values=True)
            conversation.take(fields.get("number", [""])[0], fields.get("answer", [""])[0])
            self.send_response(303)
            self.send_header("Location", self.path)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
            """The terminal stays quiet."""

        def _is_asked_rightly(self) -> bool:
            right = self.headers.get("Host") in conversation.hosts and conversation.knows(self.path)
            if not right:
                self._answer(404, "not here")
            return right

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
            self.end_headers()
            self.wfile.write(body)

    return Handler
