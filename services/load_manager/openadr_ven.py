"""A VEN (the household's end) of OpenADR 2.0b, by openleadr. Imported only where a server is configured: it is an extra.

openleadr's own `run` gives up at the first failure and goes on after others without a word, so that its parts are called from
outside; and it swallows what goes wrong in a request, so that `_Client` passes it on.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import structlog
from openleadr import OpenADRClient, enums, objects, utils  # pyright: ignore[reportMissingTypeStubs]

from hems.actor.logs import FaultLog, Log
from services.load_manager.domain.grid import GridEvent
from services.load_manager.grid import AnswerRefused, NotRegistered, OperatorAway, Sample
from services.load_manager.openadr_events import UnreadableEvent, grid_event
from services.load_manager.settings import OpenAdrSettings

_PATIENCE = aiohttp.ClientTimeout(total=30, sock_connect=5, sock_read=10)
_SHORTEST_POLL_S, _LONGEST_POLL_S = 1.0, 86_400.0
_MOST_REPORTS_WAITING = 100
_RESOURCE, _REPORT, _READING = "mains", "hems-mains", "power"
_SAMPLED_AT_LEAST, _SAMPLED_AT_MOST = timedelta(seconds=1), timedelta(hours=1)

_enums: Any = enums
_objects: Any = objects
_utils: Any = utils


class OpenAdrVen:
    """One household at one server (VTN)."""

    def __init__(self, settings: OpenAdrSettings, ven_name: str) -> None:
        self._settings = settings
        self._ven_name = ven_name
        self._client: Any = None
        self._sending: asyncio.Task[None] | None = None
        self._power: Callable[[], Sample | None] = lambda: None
        self._told: Callable[[bool], None] = lambda _arrived: None
        self._remarks = _Remarks()
        self._log: Log = structlog.get_logger()
        self._unreadable = FaultLog(self._log, "an OpenADR event can't be read, and is left out", every=100)
        self._report_faults = FaultLog(self._log, "a report could not be given to the OpenADR server", every=100)

    @contextlib.asynccontextmanager
    async def opened(self, power: Callable[[], Sample | None], told: Callable[[bool], None]) -> AsyncGenerator[None]:
        """Be ready until the end."""
        self._power, self._told = power, told
        self._show_fingerprint()
        with self._remarks.heard():
            try:
                yield
            finally:
                await self._leave()

    @property
    def poll_s(self) -> float:
        """How often the server wants to be asked, s."""
        asked: timedelta | None = self._client.poll_frequency if self._client is not None else None
        return min(max(asked.total_seconds(), _SHORTEST_POLL_S), _LONGEST_POLL_S) if asked else 10.0

    async def register(self) -> None:
        """Make ourselves known, and offer the report.

        Raises:
            OperatorAway: nobody is there, or the server does not want us.
        """
        await self._leave()
        with self._in_words():
            client: Any = _Client(self._settings, self._ven_name, self._remarks)
            self._client = client
            client.add_report(self._samples, **_offered())
            client.scheduler.start()
            await client.query_registration()
            await client.create_party_registration(ven_id=client.ven_id)
            if not client.registration_id:
                raise OperatorAway(self._remarks.last or "it gives no registration")
        self._log.info("registered with the OpenADR server", ven_id=str(client.ven_id), poll_s=self.poll_s)
        self._sending = asyncio.create_task(self._send_reports(client))
        await self._offer_report(client)

    async def events(self) -> Sequence[GridEvent]:
        """All that the server has for us now.

        Raises:
            OperatorAway: it could not be asked.
            NotRegistered: it does not know us.
        """
        with self._in_words():
            return await self._follow(*await self._registered().request_event())

    async def poll(self) -> Sequence[GridEvent]:
        """What is new.

        Raises:
            OperatorAway: it could not be asked.
            NotRegistered: it does not know us.
        """
        with self._in_words():
            return await self._follow(*await self._registered().poll())

    async def answer(self, event: GridEvent, *, takes_part: bool) -> None:
        """Say whether we take part.

        Raises:
            OperatorAway: it could not be told.
            AnswerRefused: it does not want to know.
        """
        with self._in_words():
            client = self._registered()
            opt = _enums.OPT.OPT_IN if takes_part else _enums.OPT.OPT_OUT
            client.refusals = AnswerRefused
            try:
                await client.created_event(_utils.generate_id(), event.id, opt, modification_number=event.modification)
            finally:
                client.refusals = NotRegistered

    def _registered(self) -> Any:
        if self._client is None:
            raise NotRegistered("it has not been asked yet")
        return self._client

    async def _follow(self, kind: str, payload: Mapping[str, Any]) -> Sequence[GridEvent]:
        """Do what the server's message wants; the events in it."""
        if kind in ("oadrRequestReregistration", "oadrCancelPartyRegistration"):
            raise NotRegistered("it wants us to register anew")
        if kind == "oadrCreateReport":
            await self._do_report(self._registered().create_report(payload))
        elif kind == "oadrCancelReport":
            await self._do_report(self._registered().cancel_report(payload))
        return list(self._readable(payload.get("events") or ())) if kind == "oadrDistributeEvent" else ()

    def _readable(self, events: Sequence[Mapping[str, Any]]) -> Iterator[GridEvent]:
        for raw in events:
            try:
                yield grid_event(raw, self._ven_name)
            except UnreadableEvent as error:
                self._unreadable.failed(reason=str(error))

    async def _offer_report(self, client: Any) -> None:
        # A server that does not want it may have events all the same.
        await self._do_report(client.register_reports(client.reports))

    async def _do_report(self, work: Any) -> None:
        try:
            with self._in_words():
                await work
        except OperatorAway as reason:
            self._lost(reason)

    def _samples(self) -> list[tuple[datetime, float]]:
        sample = self._power()
        return [(sample.at, sample.power_w)] if sample is not None else []

    async def _send_reports(self, client: Any) -> None:
        while True:
            report = await client.pending_reports.get()
            while client.pending_reports.qsize() > _MOST_REPORTS_WAITING:
                client.pending_reports.get_nowait()
                self._lost("too many wait")
            if report.intervals:
                await self._send_report(client, report)

    async def _send_report(self, client: Any, report: Any) -> None:
        try:
            with self._in_words():
                await client.send_report(report)
        except OperatorAway as reason:
            self._lost(reason)
        else:
            self._told(True)
            self._report_faults.recovered()

    def _lost(self, reason: object) -> None:
        self._told(False)
        self._report_faults.failed(reason=str(reason))

    @contextlib.contextmanager
    def _in_words(self) -> Generator[None]:
        """Whatever openleadr stumbles over in an answer is the server's trouble, never ours."""
        try:
            yield
        except (OperatorAway, AnswerRefused):
            raise
        except Exception as error:
            raise OperatorAway(f"{type(error).__name__}: {error}"[:300]) from error

    def _show_fingerprint(self) -> None:
        if self._settings.cert_file is None:
            return
        with contextlib.suppress(OSError, ValueError):
            fingerprint = _utils.certificate_fingerprint(self._settings.cert_file.read_text())
            self._log.info("the OpenADR server needs to know our certificate's fingerprint", fingerprint=fingerprint)

    async def _leave(self) -> None:
        client, self._client = self._client, None
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if client is not None:
            await client.close()


class _Client(OpenADRClient):
    """openleadr's client, which says what went wrong where that one returns nothing.

    Attributes:
        refusals: what an answer with an error is.
    """

    refusals: type[Exception] = NotRegistered

    def __init__(self, settings: OpenAdrSettings, ven_name: str, remarks: "_Remarks") -> None:
        inherited: Any = super()
        passphrase = settings.key_passphrase.get_secret_value() if settings.key_passphrase else None
        inherited.__init__(
            ven_name,
            settings.vtn_url,
            cert=_text(settings.cert_file),
            key=_text(settings.key_file),
            passphrase=passphrase,
            vtn_fingerprint=settings.vtn_fingerprint,
            show_fingerprint=False,
            ven_id=settings.ven_id,
            disable_signature=not settings.sign,
        )
        self._remarks = remarks
        connector = aiohttp.TCPConnector(ssl=_tls(settings, passphrase))
        self.client_session = aiohttp.ClientSession(connector=connector, headers={"content-type": "application/xml"}, timeout=_PATIENCE)

    async def send_report(self, report: Any) -> None:
        """Give one report to the server, and end what it does not want any more."""
        itself: Any = self
        _kind, payload = await itself._perform_request("EiReport", itself._create_message(
            "oadrUpdateReport", ven_id=itself.ven_id, request_id=_utils.generate_id(), reports=[report]
        ))  # fmt: skip
        if payload.get("cancel_report"):
            await itself.cancel_report(payload["cancel_report"])

    async def close(self) -> None:
        """End its timers and connections."""
        itself: Any = self
        if itself.scheduler.running:
            itself.scheduler.shutdown(wait=False)
        await itself.client_session.close()

    async def _perform_request(self, service: str, message: Any) -> tuple[str, dict[str, Any]]:
        inherited: Any = super()
        self._remarks.last = None
        answer: Any = await inherited._perform_request(service, message)
        kind, payload = cast("tuple[str | None, dict[str, Any]]", answer or ("oadrResponse", {}))
        if kind is None:
            raise OperatorAway(self._remarks.last or "it does not answer")
        response: Mapping[str, Any] = payload.get("response") or {}
        if int(response.get("response_code") or 200) != 200:
            raise self.refusals(f"it answers {response.get('response_code')} {response.get('response_description')}"[:300])
        return kind, payload


class _Remarks(logging.Handler):
    """What openleadr logs: kept to explain a failure, and shown nowhere else, since it repeats at every poll."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the newest; the message that it was about is left out."""
        self.last = record.getMessage().split(" with data ", 1)[0][:300]

    @contextlib.contextmanager
    def heard(self) -> Generator[None]:
        """Listen until the end."""
        logger = logging.getLogger("openleadr")
        before = logger.propagate
        logger.addHandler(self)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.propagate = before


def _offered() -> dict[str, Any]:
    rate = _objects.SamplingRate(min_period=_SAMPLED_AT_LEAST, max_period=_SAMPLED_AT_MOST, on_change=False)
    return {
        "resource_id": _RESOURCE,
        "measurement": "REAL_POWER",
        "unit": "W",
        "report_specifier_id": _REPORT,
        "r_id": _READING,
        "report_duration": _SAMPLED_AT_MOST,
        "sampling_rate": rate,
    }


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


def _tls(settings: OpenAdrSettings, passphrase: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=_text(settings.ca_file))
    context.check_hostname = settings.check_hostname
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file, passphrase)
    return context
