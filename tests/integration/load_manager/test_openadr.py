"""OpenADR 2.0b over real HTTP: the load manager as a household, and openleadr's own server."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trustme

from hems.actor.context import Context
from hems.actor.health import Health
from hems.contracts.catalog import DEMAND, DEMAND_EVENT, DEMAND_OVERRIDE, MAINS, RELAY, RELAY_SET_BY
from hems.contracts.demand import DemandEvent, DemandOverride, DemandState
from hems.contracts.health import ServiceHealth
from hems.contracts.mains import Mains
from hems.contracts.relays import Level, RelayState, Source
from hems.testing.clocks import ManualClock
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from services.load_manager import openadr_ven
from services.load_manager.actor import LoadManager
from services.load_manager.openadr_ven import OpenAdrVen
from services.load_manager.settings import LoadManagerSettings
from tests.support.broker import free_port
from tests.support.vtn import WARNINGS, Vtn, running_vtn

pytestmark = [pytest.mark.filterwarnings(warning) for warning in WARNINGS]

_PATIENCE_S = 20.0


@pytest.fixture
def vtn() -> Iterator[Vtn]:
    """A server of this test's own."""
    with running_vtn() as server:
        yield server


class Home:
    """A load manager with one heater that does what it is told, on a clock that goes as fast as the test can."""

    def __init__(self, stage: Stage, health: Health) -> None:
        self.stage = stage
        self._health = health
        self.level: Level = "ON"
        self._orders = 0

    @property
    def demand(self) -> DemandState:
        """What is in force."""
        return self.stage.said(DEMAND)[-1][1]

    @property
    def health(self) -> ServiceHealth:
        """As it would be said now."""
        return self._health.report(self.stage.clock.now(), 0)

    async def put(self, level: Level, source: Source = "local") -> None:
        """Switch the heater."""
        self.level = level
        said = RelayState(state=level, how="read_back", changed_at=self.stage.clock.now(), source=source)
        await self.stage.tell(RELAY, said, relay="heater", retain=True)

    async def until(self, holds: Callable[[], object]) -> None:
        """Let time go by until it holds."""
        give_up_at = asyncio.get_running_loop().time() + _PATIENCE_S
        while not holds():
            assert asyncio.get_running_loop().time() < give_up_at
            await asyncio.sleep(0.02)
            await self.stage.clock.advance(0.25)
            for _, order in self.stage.said(RELAY_SET_BY)[self._orders :]:
                self._orders += 1
                if order.state != "TOGGLE" and order.state != self.level:
                    await self.put(order.state, "load_manager")


@asynccontextmanager
async def home(folder: Path, url: str, broker: MemoryBroker | None = None, **openadr: Any) -> AsyncGenerator[Home]:
    """A load manager that takes part."""
    settings = LoadManagerSettings.read(
        {"sheddable": {"heater": {"power_w": 2_000}}, "lease_s": 30, "stagger_s": 0, "openadr": {"vtn_url": url, **openadr}}, {}
    )

    contexts: list[Context] = []

    def build(context: Context) -> LoadManager:
        contexts.append(context)
        ven = OpenAdrVen(settings.openadr, "hut")
        return LoadManager(settings, context, ZoneInfo("Europe/London"), lambda _event, _day: None, ven)

    async with on_stage("load_manager", build, folder, broker=broker, clock=ManualClock(datetime.now(UTC))) as stage:
        house = Home(stage, contexts[0].health)
        await house.put("ON")
        yield house


async def test_an_event_sheds_and_the_server_sees_the_opt_in(vtn: Vtn, tmp_path: Path) -> None:
    """Registered by name; the level, the source and the reason are those of any demand event; cancelled, the load comes back."""
    async with home(tmp_path, vtn.url) as house:
        await house.until(lambda: "oadrPoll" in vtn.heard)
        assert vtn.registrations == ["hut"]
        vtn.ask("evening", 2)
        await house.until(lambda: house.level == "OFF")
        await house.until(lambda: vtn.answer_to("evening"))
        assert vtn.answer_to("evening") == "optIn"
        assert (house.demand.level, house.demand.event, house.demand.reason) == ("high", "openadr-evening", "asked for by OpenADR")
        (said,) = (event for _, event in house.stage.said(DEMAND_EVENT))
        assert said.source == "openadr"
        vtn.cancel("evening")
        await house.until(lambda: house.level == "ON")
        await house.until(lambda: house.demand.level == "normal")
        await house.until(lambda: vtn.answer_to("evening", 1))
        await house.until(lambda: house.health.work.get("openadr_opt_ins"))
        assert house.health.errors.get("openadr_failures") is None


async def test_a_changed_event_is_followed(vtn: Vtn, tmp_path: Path) -> None:
    """From special to moderate, by the same id."""
    async with home(tmp_path, vtn.url) as house:
        await house.until(lambda: "oadrPoll" in vtn.heard)
        vtn.ask("evening", 3)
        await house.until(lambda: house.demand.level == "special")
        vtn.change("evening", 1)
        await house.until(lambda: house.demand.level == "moderate")
        await house.until(lambda: vtn.answer_to("evening", 1) == "optIn")
        assert house.demand.event == "openadr-evening"
        vtn.change("evening", 0)
        await house.until(lambda: house.level == "ON")
        assert house.demand.level == "normal"


async def test_a_person_opts_out_and_the_server_is_told(vtn: Vtn, tmp_path: Path) -> None:
    """Of an event in two steps, by the one in force: the heater comes back, and no later step takes it."""
    async with home(tmp_path, vtn.url) as house:
        await house.until(lambda: "oadrPoll" in vtn.heard)
        vtn.ask("evening", 2, 3, lasts_s=30)
        await house.until(lambda: house.level == "OFF" and vtn.answer_to("evening") == "optIn")
        await house.stage.tell(DEMAND_OVERRIDE, DemandOverride(id="no", event=house.demand.event))
        await house.until(lambda: house.level == "ON")
        await house.until(lambda: vtn.answer_to("evening") == "optOut")
        begun = house.stage.clock.now()
        await house.until(lambda: (house.stage.clock.now() - begun).total_seconds() > 45)
        assert (house.level, house.demand.level) == ("ON", "normal")


async def test_who_takes_no_part_says_so(vtn: Vtn, tmp_path: Path) -> None:
    """By `opt_in: false`; and in what has no SIMPLE signal nobody can."""
    async with home(tmp_path, vtn.url, opt_in=False) as house:
        await house.until(lambda: "oadrPoll" in vtn.heard)
        vtn.ask("evening", 3)
        await house.until(lambda: vtn.answer_to("evening"))
        assert vtn.answer_to("evening") == "optOut"
        assert (house.level, house.stage.said(DEMAND_EVENT)) == ("ON", [])
    async with home(tmp_path / "other", vtn.url) as house:
        vtn.ask("price", 0.3, signal="ELECTRICITY_PRICE")
        await house.until(lambda: vtn.answer_to("price"))
        assert vtn.answer_to("price") == "optOut"
        await house.until(lambda: house.health.errors.get("openadr_events_without_a_level"))


async def test_mains_power_is_reported(vtn: Vtn, tmp_path: Path) -> None:
    """A telemetry usage report in W, of what the meter said and when it did; silence of the meter is not reported as something else."""
    async with home(tmp_path, vtn.url) as house:
        await house.until(lambda: vtn.offers)
        assert vtn.offers == [("mains", "RealPower", "W")]
        measured_at = house.stage.clock.now().replace(microsecond=0)
        await house.stage.tell(MAINS, Mains(measured_at=measured_at, power_w=1_234.5, quality="measured"))
        await house.until(lambda: vtn.samples)
        assert vtn.samples[0] == (measured_at, 1_234.5)
        await house.until(lambda: house.health.work.get("openadr_reports"))


async def test_a_server_that_dies_disturbs_nothing_and_is_found_again(vtn: Vtn, tmp_path: Path) -> None:
    """What it asked for holds; loads are still managed; it is counted; back again, knowing nobody, it is registered with anew."""
    async with home(tmp_path, vtn.url) as house:
        await house.until(lambda: "oadrPoll" in vtn.heard)
        vtn.ask("evening", 2)
        await house.until(lambda: house.level == "OFF")
        vtn.stop()
        await house.until(lambda: house.health.errors.get("openadr_failures", 0) >= 2)
        assert house.health.gauges["openadr_away_s"] > 0
        assert (house.level, house.demand.level, house.health.blind) == ("OFF", "high", None)
        await house.stage.tell(DEMAND_OVERRIDE, DemandOverride(id="no"))
        await house.until(lambda: house.level == "ON")
        vtn.start()
        await house.until(lambda: len(vtn.registrations) == 2)
        vtn.ask("night", 1)
        await house.until(lambda: vtn.answer_to("night") == "optIn")
        await house.until(lambda: house.demand.level == "moderate")
        await house.until(lambda: house.health.gauges["openadr_away_s"] == 0)


async def test_an_event_that_waited_is_met_at_the_start(vtn: Vtn, tmp_path: Path) -> None:
    """A load manager that was away asks for all events at its start; what it met before is not said twice."""
    async with home(tmp_path, vtn.url) as house:
        await house.until(lambda: "oadrPoll" in vtn.heard)
        vtn.ask("evening", 2)
        await house.until(lambda: house.level == "OFF" and vtn.answer_to("evening"))
        broker = house.stage.broker
    vtn.answers.clear()
    vtn.ask("night", 1)
    async with home(tmp_path, vtn.url, broker) as house:
        await house.until(lambda: vtn.answer_to("evening") and vtn.answer_to("night"))
        await house.until(lambda: len(house.stage.said(DEMAND_EVENT)) > 1)
        assert [event.id for _, event in house.stage.said(DEMAND_EVENT)] == ["openadr-evening", "openadr-night"]


@dataclass(frozen=True)
class Papers:
    """Certificates of one authority."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """As OpenADR counts it."""
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.certificate.read_text())).hexdigest().upper()
        return ":".join(digest[at : at + 2] for at in range(44, 64, 2))


def papers(authority: trustme.CA, folder: Path, name: str) -> Papers:
    """A certificate for the loopback."""
    issued = authority.issue_cert("127.0.0.1")
    found = Papers(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key")
    authority.cert_pem.write_to_path(str(found.authority))
    issued.cert_chain_pems[0].write_to_path(str(found.certificate))
    issued.private_key_pem.write_to_path(str(found.key))
    return found


@pytest.mark.parametrize("signed_by", ["the server", "another", "nobody"])
async def test_certificates_and_signatures(signed_by: str, tmp_path: Path) -> None:
    """TLS with certificates on both sides, messages signed on both sides; what another has signed, or nobody, is not followed."""
    authority = trustme.CA()
    ours, theirs = papers(authority, tmp_path, "ours"), papers(authority, tmp_path, "theirs")
    server = {"http_cert": theirs.certificate, "http_key": theirs.key, "http_ca_file": ours.authority}
    signing = {} if signed_by == "nobody" else {"cert": theirs.certificate, "key": theirs.key}
    client: dict[str, Any] = {"cert_file": ours.certificate, "key_file": ours.key, "ca_file": ours.authority}
    fingerprint = (ours if signed_by == "another" else theirs).fingerprint
    with running_vtn(show_fingerprint=False, **server, **signing) as vtn:
        vtn.fingerprint = ours.fingerprint
        async with home(tmp_path, vtn.url, None, vtn_fingerprint=fingerprint, **client) as house:
            if signed_by == "the server":
                await house.until(lambda: "oadrPoll" in vtn.heard)
                vtn.ask("evening", 2)
                await house.until(lambda: house.level == "OFF" and vtn.answer_to("evening") == "optIn")
            else:
                await house.until(lambda: house.health.errors.get("openadr_failures", 0) >= 2)
                assert "oadrPoll" not in vtn.heard


class Broken(asyncio.Protocol):
    """A server that answers all with the same bytes, or keeps silent where there are none."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._answer:
            self._transport.write(self._answer)
            self._transport.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\noops",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n<oadr",
    ],
    ids=["silence", "an error", "nothing", "no OpenADR", "half an answer"],
)
async def test_a_broken_server_is_waited_for(answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it answers, loads are managed and the failure is counted."""
    monkeypatch.setattr(openadr_ven, "_PATIENCE", openadr_ven.aiohttp.ClientTimeout(total=0.2))

    port = free_port()
    server = await asyncio.get_running_loop().create_server(lambda: Broken(answer), "127.0.0.1", port)
    async with server, home(tmp_path, f"http://127.0.0.1:{port}/") as house:
        await house.until(lambda: house.health.errors.get("openadr_failures", 0) >= 2)
        now = house.stage.clock.now()
        await house.stage.tell(DEMAND_EVENT, DemandEvent(id="local", level="high", starts_at=now, ends_at=now + timedelta(hours=1)))
        await house.until(lambda: house.level == "OFF")
