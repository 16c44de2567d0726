"""The recorder on a broker in memory: what it hears is kept, what it says, and how it answers."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hems.actor.context import Context
from hems.actor.settings import HomeSettings
from hems.actor.store import NotAccepted, Store
from hems.contracts.alerts import Alert
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.catalog import (
    ALERT,
    APPLIANCE,
    APPLIANCE_EVENT,
    CARBON,
    DEMAND,
    ENERGY,
    ENERGY_OF,
    HISTORY_QUERY,
    HISTORY_RESULT,
    MAINS,
    PRICE,
    RELAY,
    SERVICE_HEALTH,
)
from hems.contracts.demand import DemandState
from hems.contracts.energy import HistoryQuery, HistoryResult
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayState
from hems.testing.clocks import START
from hems.testing.harness import Stage, on_stage
from services.recorder.actor import Opened, Recorder, Sources
from services.recorder.domain.failures import Unavailable, Unread
from services.recorder.domain.series import SeriesRow
from services.recorder.opening import opened_history
from services.recorder.settings import RecorderSettings

PATIENCE_S = 10


class Prices:
    """A source that a test fills; empty, it is away."""

    def __init__(self, rows: list[SeriesRow]) -> None:
        self.rows = rows

    async def read(self) -> list[SeriesRow]:
        """All values, unless it is away."""
        if not self.rows:
            raise Unread("nobody answers")
        return self.rows


@contextlib.asynccontextmanager
async def recording(
    folder: Path,
    *,
    sources: Sources | None = None,
    database: Callable[[], Any] | None = None,
    zone: str = "Europe/London",
    **settings: Any,
) -> AsyncGenerator[Stage]:
    """A recorder with its files in a folder."""

    @contextlib.asynccontextmanager
    async def opened() -> AsyncGenerator[Opened]:
        if database is not None:
            database()
        home = HomeSettings.read({"time_zone": zone}, {})
        async with opened_history(f"sqlite:///{folder}/history.db", home, for_service=True) as found:
            yield Opened(found.history, found.answers, str(found.set_aside) if found.set_aside else None)

    def build(context: Context) -> Recorder:
        read = RecorderSettings.read({"commit_every_s": 0.05, **settings}, {})
        return Recorder(read, context, opened, sources or Sources(), "GBP")

    async with on_stage("recorder", build, folder) as stage:
        yield stage


async def until(check: Callable[[], Any]) -> Any:
    """Wait for something that happens in other threads."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := check()):  # noqa: ASYNC110 - what is waited for knows nothing of its being waited for
            await asyncio.sleep(0.01)
        return found


def kept(folder: Path) -> int:
    """How many rows there are; none while there are no tables."""
    count = "SELECT (SELECT count(*) FROM mains) + (SELECT count(*) FROM appliance_state) + (SELECT count(*) FROM happening)"
    with contextlib.closing(sqlite3.connect(folder / "history.db")) as connection:
        try:
            return connection.execute(count).fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def reading(second: float, power_w: float) -> Mains:
    """A measured power, some seconds after the start."""
    return Mains(measured_at=START + timedelta(seconds=second), power_w=power_w, quality="measured")


async def ask(stage: Stage, what: str, **options: Any) -> list[HistoryResult]:
    """The pieces of an answer."""
    identity = f"q{len(stage.broker.published)}"
    values = {
        "id": identity,
        "client": "page",
        "what": what,
        "from": START - timedelta(hours=1),
        "to": START + timedelta(days=1),
        **options,
    }
    await stage.tell(HISTORY_QUERY, HistoryQuery.model_validate(values))

    def answered() -> list[HistoryResult]:
        pieces = [piece for _, piece in stage.said(HISTORY_RESULT) if piece.id == identity]
        return pieces if pieces and pieces[-1].last else []

    return await until(answered)


async def test_what_is_heard_is_kept_and_answered(tmp_path: Path) -> None:
    """A reading, a state, an event, a switching, an alert and a demand state all come back in answers."""
    async with recording(tmp_path) as stage:
        await stage.tell(MAINS, reading(0, 1_234.5))
        await stage.tell(APPLIANCE, ApplianceState(observed_at=START, running=True, power_w=2_000, confidence=0.9), appliance="kettle")
        event = ApplianceEvent(id="e1", kind="started", at=START, announced_at=START, confidence=0.9)
        await stage.tell(APPLIANCE_EVENT, event, appliance="kettle")
        await stage.tell(RELAY, RelayState(state="ON", how="read_back", changed_at=START), relay="bulb")
        await stage.tell(ALERT, Alert(id="a1", rule="r", severity="info", title="t", message="m", at=START))
        await stage.tell(DEMAND, DemandState(level="high"))
        await until(lambda: kept(tmp_path) == 6)
        assert (await ask(stage, "mains"))[0].rows == (("2025-01-06T07:00:00+00:00", 1_234.5, 1_234.5, 1_234.5, None),)
        assert (await ask(stage, "appliance/kettle", resolution="raw"))[0].rows[0][1] == 2_000
        for what, subject, key in (
            ("events", "kettle", "id"),
            ("relays", "bulb", "state"),
            ("alerts", "r", "id"),
            ("demand", "high", "level"),
        ):
            ((_, said_of, said),) = (await ask(stage, what))[0].rows
            assert (said_of, said[key]) == (subject, {"events": "e1", "relays": "ON", "alerts": "a1", "demand": "high"}[what])


async def test_sums_are_said(tmp_path: Path) -> None:
    """Ten minutes at 1.2 kW are 0.2 kWh and, at 0.30, 0.06; the appliance's share is marked as estimated."""
    tariff = {"kind": "flat", "per_kwh": 0.30}
    async with recording(tmp_path, tariff=tariff) as stage:
        for second in range(0, 661, 30):
            await stage.tell(MAINS, reading(second, 1_200))
            state = ApplianceState(observed_at=START + timedelta(seconds=second), running=True, power_w=600, confidence=0.9)
            await stage.tell(APPLIANCE, state, appliance="kettle")
        energy = await until(lambda: next((said for _, said in reversed(stage.said(ENERGY)) if said.total_kwh >= 0.2), None))
        assert energy.today_cost == pytest.approx(0.30 * energy.today_kwh, abs=1e-5)
        assert (energy.currency, energy.rate, energy.estimated) == ("GBP", 0.30, False)
        parameters, kettle = await until(lambda: stage.said(ENERGY_OF) and stage.said(ENERGY_OF)[-1])
        assert parameters["appliance"] == "kettle"
        assert kettle.estimated
        assert 0 < kettle.total_kwh <= energy.total_kwh


async def test_totals_go_on_after_a_restart(tmp_path: Path) -> None:
    """A second recorder on the same files says at once what the first had counted."""
    async with recording(tmp_path) as stage:
        for second in range(0, 181, 30):
            await stage.tell(MAINS, reading(second, 1_200))
        first = await until(lambda: next((said for _, said in reversed(stage.said(ENERGY)) if said.total_kwh >= 0.06), None))
    async with recording(tmp_path) as stage:
        (_, second_said) = await until(lambda: stage.said(ENERGY) and stage.said(ENERGY)[0])
        assert second_said.total_kwh == first.total_kwh


async def test_sums_that_a_full_disk_can_not_note_are_said_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said must be noted first; the recorder goes on meanwhile, and says the sums when there is space again."""

    def full(*_: object, **__: object) -> None:
        raise NotAccepted("database or disk is full")

    async with recording(tmp_path) as stage:
        with monkeypatch.context() as patched:
            patched.setattr(Store, "transaction", full)
            for second in range(0, 181, 30):
                await stage.tell(MAINS, reading(second, 1_200))
            await until(lambda: kept(tmp_path) >= 7)
            await asyncio.sleep(1.2)  # the sums are due each second
            assert not stage.said(ENERGY)
            assert not stage.task.done()
        await until(lambda: [said for _, said in stage.said(ENERGY) if said.total_kwh >= 0.06])


async def test_a_damaged_history_is_set_aside(tmp_path: Path) -> None:
    """The file is kept under another name, an alert says so, recording goes on, and the total does not fall."""
    async with recording(tmp_path) as stage:
        for second in range(0, 181, 30):
            await stage.tell(MAINS, reading(second, 1_200))
        first = await until(lambda: next((said for _, said in reversed(stage.said(ENERGY)) if said.total_kwh >= 0.06), None))
    history = tmp_path / "history.db"
    history.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4_096)
    async with recording(tmp_path) as stage:
        (_, alert) = await until(lambda: stage.said(ALERT) and stage.said(ALERT)[-1])
        assert alert.rule == "recorder.damaged"
        assert "history.db.damaged-" in alert.message
        await stage.tell(MAINS, reading(300, 1_200))
        await stage.tell(MAINS, reading(330, 1_200))
        await stage.tell(MAINS, reading(361, 1_200))
        (_, energy) = await until(lambda: stage.said(ENERGY) and stage.said(ENERGY)[-1])
        assert energy.total_kwh >= first.total_kwh


async def test_totals_go_on_after_an_older_history_is_put_back(tmp_path: Path) -> None:
    """A backup knows less than was said: the total goes on from what was said, and what is used from then on comes on top."""
    async with recording(tmp_path) as stage:
        await stage.tell(MAINS, reading(0, 1_200))
        await stage.tell(MAINS, reading(60, 1_200))
        await until(lambda: stage.said(ENERGY) and stage.said(ENERGY)[-1][1].total_kwh == 0.02)
    backup = (tmp_path / "history.db").read_bytes()
    async with recording(tmp_path) as stage:
        for second in range(120, 361, 60):
            await stage.tell(MAINS, reading(second, 1_200))
        await until(lambda: stage.said(ENERGY) and stage.said(ENERGY)[-1][1].total_kwh == 0.12)
    (tmp_path / "history.db").write_bytes(backup)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"history.db{suffix}").unlink(missing_ok=True)
    async with recording(tmp_path) as stage:
        first = await until(lambda: stage.said(ENERGY) and stage.said(ENERGY)[0][1])
        assert first.total_kwh == 0.12
        for second in range(600, 721, 60):
            await stage.tell(MAINS, reading(second, 1_200))
        await until(lambda: stage.said(ENERGY)[-1][1].total_kwh == 0.16)


@pytest.mark.parametrize("what", ["weather", "energy/toaster"])
async def test_bad_questions_get_an_error(tmp_path: Path, what: str) -> None:
    """The answer is one piece with a sentence, and the next question is answered."""
    async with recording(tmp_path) as stage:
        await stage.tell(MAINS, reading(0, 100))
        (piece,) = await ask(stage, what)
        assert piece.error
        assert piece.rows == ()
        assert (await ask(stage, "mains"))[0].error is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"points": 50_000}, "points"),
        ({"to": None}, "to"),
        ({"from": "2025-01-06T00:00"}, "from"),
        ({"resolution": "5min"}, "resolution"),
        ({"id": None}, "id"),
    ],
)
async def test_what_is_no_question_gets_an_error(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    """Whoever names a client is told which field is wrong, also where there is no id to answer to."""
    whole = {"id": "q1", "client": "me", "what": "mains", "from": "2025-01-06T00:00Z", "to": "2025-01-07T00:00Z"} | given
    asked = {key: value for key, value in whole.items() if value is not None}
    async with recording(tmp_path) as stage:
        await stage.tell(HISTORY_QUERY, json.dumps(asked).encode())
        ((parameters, piece),) = await until(lambda: stage.said(HISTORY_RESULT))
        assert (parameters["client"], piece.id, piece.last) == ("me", asked.get("id", "unknown"), True)
        assert f"{says}:" in (piece.error or "")


async def test_what_names_no_client_gets_no_answer(tmp_path: Path) -> None:
    """There is nobody to tell; nor is a question answered that the broker kept. It is counted, and the next one is answered."""
    odd = {"id": "q1", "client": "a/b", "what": "mains"}
    async with recording(tmp_path) as stage:
        await stage.tell(MAINS, reading(0, 100))
        for raw in (b"what?", b"[1]", b"{}", json.dumps(odd).encode(), b"[" * 50_000):
            await stage.tell(HISTORY_QUERY, raw)
        await stage.tell(HISTORY_QUERY, json.dumps({**odd, "client": "me"}).encode(), retain=True)
        assert (await ask(stage, "mains"))[0].error is None
        assert {piece.id for _, piece in stage.said(HISTORY_RESULT)} != {"q1"}


async def test_an_oversized_question_gets_an_error(tmp_path: Path) -> None:
    """A century of readings is refused with what to ask instead."""
    async with recording(tmp_path) as stage:
        (piece,) = await ask(stage, "mains", to=START + timedelta(days=60), resolution="raw")
        assert "coarser" in (piece.error or "")


async def test_a_flood_of_questions_is_refused_not_queued(tmp_path: Path) -> None:
    """Beyond a few waiting questions the rest are told to come again; each gets exactly one answer, and readings are kept meanwhile."""
    async with recording(tmp_path) as stage:
        await stage.tell(MAINS, reading(0, 100))
        for number in range(100):
            values = {"id": f"flood{number}", "client": "page", "what": "mains", "from": START, "to": START + timedelta(days=1)}
            stage.broker.say(HISTORY_QUERY.at(stage.root), HistoryQuery.model_validate(values).to_wire())
        await stage.tell(MAINS, reading(3, 100))

        def answers() -> list[HistoryResult]:
            return [piece for _, piece in stage.said(HISTORY_RESULT) if piece.last]

        await until(lambda: len(answers()) >= 100)
        assert sorted(piece.id for piece in answers()) == sorted(f"flood{number}" for number in range(100))
        assert any("too many questions" in (piece.error or "") for piece in answers())
        await until(lambda: kept(tmp_path) == 2)


async def test_prices_and_carbon_are_said(tmp_path: Path) -> None:
    """Half-hourly prices and intensities become the retained series from now on; a source that is away is tried again."""
    start_s = int(START.timestamp())
    prices, carbon = Prices([]), Prices([(start_s, start_s + 1_800, 120.0)])
    tariff = {"kind": "half_hourly", "source": {"file": "unused"}}
    sources = Sources(prices, carbon)
    async with recording(tmp_path, sources=sources, tariff=tariff, carbon={"file": "unused"}) as stage:
        (_, said) = await until(lambda: stage.said(CARBON) and stage.said(CARBON)[-1])
        assert (said.unit, [value.value for value in said.values]) == ("gCO2/kWh", [120.0])
        assert stage.said(PRICE) == []
        prices.rows = [(start_s, start_s + 1_800, 0.1), (start_s + 1_800, start_s + 3_600, 0.2)]
        await stage.clock.advance(130)
        (_, said) = await until(lambda: stage.said(PRICE) and stage.said(PRICE)[-1])
        assert (said.unit, [value.value for value in said.values]) == ("GBP/kWh", [0.1, 0.2])
        assert json.loads(stage.broker.retained("hems/home/price") or b"{}")["unit"] == "GBP/kWh"


async def test_a_budget_raises_alerts(tmp_path: Path) -> None:
    """When the month's cost passes 80 % of the budget, one alert says so."""
    async with recording(tmp_path, tariff={"kind": "flat", "per_kwh": 100.0}, budget={"month_cost": 7.0}) as stage:
        for second in range(0, 181, 30):
            await stage.tell(MAINS, reading(second, 1_200))
        (_, alert) = await until(lambda: stage.said(ALERT) and stage.said(ALERT)[-1])
        assert (alert.rule, alert.severity) == ("recorder.budget", "info")
        await asyncio.sleep(0.05)
        assert len([said for _, said in stage.said(ALERT)]) == 1


async def test_a_budgets_month_is_the_homes(tmp_path: Path) -> None:
    """At nine in the evening of 31 January in New York it is February in UTC: the budget that is used up is still January's."""
    evening_s = (datetime(2025, 2, 1, 2, 0, tzinfo=UTC) - START).total_seconds()
    settings: dict[str, Any] = {"tariff": {"kind": "flat", "per_kwh": 100.0}, "budget": {"month_cost": 5.0}, "zone": "America/New_York"}
    async with recording(tmp_path, **settings) as stage:

        async def use(start_s: float) -> None:
            for second in range(0, 181, 30):
                await stage.tell(MAINS, reading(start_s + second, 1_200))
            await until(lambda: stage.said(ENERGY) and stage.said(ENERGY)[-1][1].as_of >= START + timedelta(seconds=start_s + 180))

        await use(0)
        await until(lambda: len(stage.said(ALERT)) == 1)
        await stage.clock.advance(evening_s)
        await use(evening_s)
        await stage.clock.advance(86_400)
        await use(evening_s + 86_400)
        january, february = await until(lambda: len(stage.said(ALERT)) > 1 and [alert for _, alert in stage.said(ALERT)])
        assert (january.id, february.id) == ("recorder-budget-2025-01-100", "recorder-budget-2025-02-100")
        assert february.at == START + timedelta(seconds=evening_s + 86_400)


async def test_while_the_database_is_away_nothing_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings wait at the broker, the health says why, and all are kept once the database is back."""
    monkeypatch.setattr("services.recorder.patience.RETRY_S", 0.05)
    away = [True]

    def database() -> None:
        if away[0]:
            raise Unavailable("nobody answers")

    async with recording(tmp_path, database=database) as stage:
        for second in range(0, 90, 3):
            await stage.tell(MAINS, reading(second, 500))
        await asyncio.sleep(0.3)
        blind = await until(lambda: stage.said(SERVICE_HEALTH)[-1][1].blind)
        assert "nobody answers" in blind
        away[0] = False
        await until(lambda: kept(tmp_path) == 30)
        assert len((await ask(stage, "mains"))[0].rows) == 30
