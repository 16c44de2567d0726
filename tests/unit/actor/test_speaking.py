"""What a service says: its status, its health, its states and its outbox, over connections that come and go."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hems.actor.presence as presence
import hems.actor.restarts as restarts
from hems.actor.bus import Disconnected
from hems.actor.context import NotDeclared
from hems.actor.store import TooLarge
from hems.contracts.alerts import Alert
from hems.contracts.appliances import ApplianceState
from hems.contracts.catalog import ALERT, APPLIANCE, DEMAND, DEMAND_EVENT, MAINS, SERVICE_HEALTH, SERVICE_MISSED
from hems.contracts.demand import DemandEvent, DemandState
from hems.contracts.health import Missed
from hems.contracts.mains import Mains
from hems.testing.clocks import settle
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from tests.support.actors import Listener
from tests.support.waiting import until

AT = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)
STATUS = "hems/home/service/recorder/status"
HEALTH = "hems/home/service/recorder/health"
UPTIME = "$SYS/broker/uptime"

pytestmark = pytest.mark.usefixtures("quick")


def reading(number: int) -> Mains:
    """A reading that can be told from others."""
    return Mains(measured_at=AT, power_w=number, quality="measured")


def numbers(stage: Stage) -> list[float]:
    """The readings that the broker was given, in order."""
    return [mains.power_w for _, mains in stage.said(MAINS)]


def accept(listener: Listener, *readings: int) -> None:
    """Commit readings to the outbox."""
    for number in readings:
        listener.context.accept(MAINS, reading(number), message_id=str(number))


class Play:
    """Builds the listener and keeps hold of it."""

    def __init__(self) -> None:
        self.listener: Listener

    def __call__(self, context: Any) -> Listener:
        self.listener = Listener(context)
        return self.listener


@pytest.fixture
def play() -> Play:
    """Not yet begun."""
    return Play()


def uptime(broker: MemoryBroker, seconds: int) -> None:
    """The broker says how long it has run, as Mosquitto does."""
    broker.say(UPTIME, b"%d seconds" % seconds, qos=0, retain=True)


async def test_it_is_online_while_it_runs_and_offline_after(tmp_path: Path, play: Play) -> None:
    """The retained status follows the service."""
    async with on_stage("recorder", play, tmp_path) as stage:
        assert stage.broker.retained(STATUS) == b"online"
    assert stage.broker.retained(STATUS) == b"offline"
    assert [payload for topic, payload in stage.broker.published if topic == STATUS] == [b"online", b"offline"]


async def test_it_is_online_again_on_every_connection(tmp_path: Path, play: Play) -> None:
    """A broker that was killed hears `online` again."""
    async with on_stage("recorder", play, tmp_path) as stage:
        stage.broker.kill()
        stage.broker.start()
        await until(lambda: [payload for topic, payload in stage.broker.published if topic == STATUS] == [b"online", b"online"])


async def test_a_status_that_is_refused_stops_nothing(tmp_path: Path, play: Play) -> None:
    """A service with a wrong user still does its work, and says in its log what is wrong."""
    broker = MemoryBroker()
    broker.refuses = lambda topic: topic == STATUS
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1)
        await settle()
        assert numbers(stage) == [1]


async def test_health_is_said_at_once_and_retained(tmp_path: Path, play: Play) -> None:
    """What it did, what went wrong and what waits stand in the retained health message."""
    async with on_stage("recorder", play, tmp_path) as stage:
        report = json.loads(stage.broker.retained(HEALTH) or b"")
        assert report["at"] == "2025-01-06T07:00:00+00:00"
        assert "blind" not in report


async def test_health_is_said_again_and_again(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes at its interval, with the counters of the moment."""
    assert presence._HEALTH_EVERY_S == 10  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(presence, "_HEALTH_EVERY_S", 0.01)
    async with on_stage("recorder", play, tmp_path) as stage:
        play.listener.context.health.work("lines", 3)
        play.listener.context.health.gauge("power_w", 7.5)
        await until(lambda: stage.said(SERVICE_HEALTH)[-1][1].work == {"lines": 3})
        count = len(stage.said(SERVICE_HEALTH))
        await until(lambda: len(stage.said(SERVICE_HEALTH)) > count + 3)
        assert stage.said(SERVICE_HEALTH)[-1][1].gauges == {"power_w": 7.5}


async def test_going_blind_is_said_at_once(tmp_path: Path, play: Play) -> None:
    """So is seeing again; a reason that stays is no change."""
    async with on_stage("recorder", play, tmp_path) as stage:
        for reason in ("the port is gone", "the port is gone", None):
            play.listener.context.health.blind = reason
            await settle()
        assert [health.blind for _, health in stage.said(SERVICE_HEALTH)] == [None, "the port is gone", None]


async def test_what_was_dropped_stands_in_the_health_message(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outbox that was full is counted where people look."""
    monkeypatch.setattr(presence, "_HEALTH_EVERY_S", 0.01)
    async with on_stage("recorder", play, tmp_path) as stage:
        play.listener.context._store.dropped = 5  # pyright: ignore[reportPrivateUsage]
        await until(lambda: stage.said(SERVICE_HEALTH)[-1][1].errors == {"dropped_publications": 5})
        count = len(stage.said(SERVICE_HEALTH))
        await until(lambda: len(stage.said(SERVICE_HEALTH)) > count + 2)
        assert stage.said(SERVICE_HEALTH)[-1][1].errors == {"dropped_publications": 5}


async def test_an_undeclared_topic_is_a_bug(tmp_path: Path, play: Play) -> None:
    """An actor says only what it declares, by whatever way, and also through a store that it took early."""
    stores: list[Any] = []

    def build(context: Any) -> Listener:
        stores.append(context.store)
        return play(context)

    state = ApplianceState(observed_at=AT, running=True, power_w=1, confidence=1)
    async with on_stage("recorder", build, tmp_path) as stage:
        context = play.listener.context
        with pytest.raises(NotDeclared):
            await context.say(APPLIANCE, state, appliance="kettle")
        with pytest.raises(NotDeclared):
            context.accept(APPLIANCE, state, message_id="1", appliance="kettle")
        with stores[0].transaction() as transaction:
            transaction.accept(MAINS, reading(1), message_id="1")
        await settle()
        assert numbers(stage) == [1]
        assert context._store.backlog == 0  # pyright: ignore[reportPrivateUsage]


async def test_what_is_too_large_never_reaches_the_broker(tmp_path: Path, play: Play) -> None:
    """The broker would end the connection; a retained one would end every connection after it too."""
    async with on_stage("recorder", play, tmp_path) as stage:
        huge = DemandState.model_construct(level="high", reason="x" * 70_000, shed=())
        with pytest.raises(TooLarge):
            await play.listener.context.say(DEMAND, huge)
        await settle()
        assert stage.said(DEMAND) == []


async def test_retained_states_are_said_again_on_a_new_connection(tmp_path: Path, play: Play) -> None:
    """Also those that were said while there was none; the newest of each alone. What is not retained is lost, and counted."""
    event = DemandEvent(id="1", level="high", starts_at=AT, ends_at=AT)
    async with on_stage("recorder", play, tmp_path) as stage:
        context = play.listener.context
        await context.say(DEMAND, DemandState(level="moderate"))
        stage.broker.kill()
        await settle()
        await context.say(DEMAND, DemandState(level="high"))
        await context.say(DEMAND_EVENT, event)
        stage.broker.start()
        await until(lambda: len(stage.said(DEMAND)) == 2)
        await settle()
        assert [state.level for _, state in stage.said(DEMAND)] == ["moderate", "high"]
        assert stage.said(DEMAND_EVENT) == []
        errors = context.health.report(AT, 0).errors
        assert (errors["said_later"], errors["unsaid"]) == (1, 1)


async def test_a_newer_state_is_not_replaced_by_its_older_self(tmp_path: Path, play: Play) -> None:
    """A state said while the old ones are being said again is the last that the broker hears."""
    async with on_stage("recorder", play, tmp_path) as stage:
        context = play.listener.context
        speaker: Any = context._speaker  # pyright: ignore[reportPrivateUsage]
        await context.say(MAINS, reading(1))
        await context.say(DEMAND, DemandState(level="moderate"))
        stage.broker.kill()
        await until(lambda: speaker._bus is None)
        stage.broker.start()
        async with asyncio.timeout(5):
            while speaker._bus is None:  # noqa: ASYNC110 - the very step at which the first of the old ones is on its way
                await asyncio.sleep(0)
        await context.say(DEMAND, DemandState(level="high"))
        await settle()
        assert json.loads(stage.broker.retained("hems/home/demand") or b"")["level"] == "high"


async def test_the_outbox_is_said_in_order_and_emptied(tmp_path: Path, play: Play) -> None:
    """A thousand readings accepted at once come in order, each once."""
    async with on_stage("recorder", play, tmp_path) as stage:
        accept(play.listener, *range(1_000))
        await until(lambda: len(numbers(stage)) == 1_000)
        await settle()
        assert numbers(stage) == list(range(1_000))
        assert play.listener.context._store.backlog == 0  # pyright: ignore[reportPrivateUsage]


async def test_what_is_accepted_while_the_broker_is_away_is_said_later(tmp_path: Path, play: Play) -> None:
    """Over a dead broker, and over a restart of the service meanwhile, nothing is lost and the order is kept."""
    broker = MemoryBroker()
    async with on_stage("recorder", play, tmp_path, broker=broker):
        broker.kill()
        accept(play.listener, *range(100))
    broker.start()
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        await until(lambda: len(numbers(stage)) >= 100)
        assert numbers(stage) == list(range(100))


async def test_brokers_that_die_at_any_moment_lose_nothing(tmp_path: Path, play: Play) -> None:
    """Killed thirty times amid a stream, forgetting its sessions: every reading arrives, in order once repeats are taken out."""
    async with on_stage("recorder", play, tmp_path) as stage:
        for number in range(300):
            accept(play.listener, number)
            for _ in range(number % 7):
                await asyncio.sleep(0)
            if number % 10 == 5:
                stage.broker.kill(forget_sessions=True)
                stage.broker.start()
        await until(lambda: set(numbers(stage)) == set(range(300)))
        assert list(dict.fromkeys(numbers(stage))) == list(range(300))


async def test_a_refused_publication_is_kept_and_raises_one_alert(tmp_path: Path, play: Play) -> None:
    """The rest goes on; it is tried again on the next connection, and people are told once."""
    broker = MemoryBroker()
    broker.refuses = lambda topic: topic == "hems/home/mains"
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1, 2)
        await play.listener.context.say(DEMAND, DemandState(level="high"))
        await settle()
        assert [alert.rule for _, alert in stage.said(ALERT)] == ["broker.refused"]
        assert "mains" in stage.said(ALERT)[0][1].title
        assert len(stage.said(DEMAND)) == 1
        assert play.listener.context._store.backlog == 2  # pyright: ignore[reportPrivateUsage]
        broker.refuses = lambda topic: False
        broker.kill()
        broker.start()
        await until(lambda: numbers(stage) == [1, 2])
        await settle()
        assert len(stage.said(ALERT)) == 1


async def test_two_refused_topics_are_two_alerts(tmp_path: Path, play: Play) -> None:
    """Raised in the same second, they have ids of their own."""
    broker = MemoryBroker()
    broker.refuses = lambda topic: topic in ("hems/home/mains", "hems/home/demand")
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1)
        await play.listener.context.say(DEMAND, DemandState(level="high"))
        await settle()
        assert len({alert.id for _, alert in stage.said(ALERT)}) == 2


async def test_a_refused_alert_raises_no_alert(tmp_path: Path, play: Play) -> None:
    """That would have no end."""
    broker = MemoryBroker()
    broker.refuses = lambda topic: topic == "hems/home/alert"
    alert = Alert(id="1", rule="x", severity="info", title="x", message="x", at=AT)
    async with on_stage("recorder", play, tmp_path, broker=broker):
        play.listener.context.accept(ALERT, alert, message_id="1")
        await settle()
        assert play.listener.context._store.backlog == 1  # pyright: ignore[reportPrivateUsage]


async def _reconnect(stage: Stage, *, uptime_s: int | None) -> None:
    before = len([1 for topic, _ in stage.broker.published if topic == STATUS])
    stage.broker.kill()
    stage.broker.start()
    if uptime_s is not None:
        uptime(stage.broker, uptime_s)
    await until(lambda: len([1 for topic, _ in stage.broker.published if topic == STATUS]) > before)
    await settle()


async def test_a_restarted_broker_is_told_again(tmp_path: Path, play: Play) -> None:
    """An uptime shorter than the time since the last connection shows a restart: what is kept is said again."""
    broker = MemoryBroker()
    uptime(broker, 86_400)
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1, 2)
        await settle()
        await _reconnect(stage, uptime_s=0)
        assert numbers(stage) == [1, 2, 1, 2]
        await _reconnect(stage, uptime_s=0)
        assert numbers(stage) == [1, 2, 1, 2, 1, 2]


async def test_a_broker_that_ran_on_is_not_told_again(tmp_path: Path, play: Play) -> None:
    """Where the uptime shows the same run, a broken connection costs no repeats."""
    broker = MemoryBroker()
    uptime(broker, 86_400)
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1, 2)
        await settle()
        await _reconnect(stage, uptime_s=86_410)
        assert numbers(stage) == [1, 2]


async def test_later_uptimes_of_a_connection_are_not_judged(tmp_path: Path, play: Play) -> None:
    """Mosquitto says its uptime every ten seconds; only the first on a connection can show a restart."""
    broker = MemoryBroker()
    uptime(broker, 86_400)
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1)
        await settle()
        uptime(broker, 0)
        await settle()
        assert numbers(stage) == [1]


async def test_a_restart_is_noticed_over_a_connection_that_broke_too_soon(
    tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Had the connection in between counted, its short life would have hidden the restart before it."""
    now_s = [1_000.0]
    monkeypatch.setattr(restarts, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    broker = MemoryBroker()
    uptime(broker, 86_400)
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1)
        await settle()
        now_s[0] += 1_000
        broker._retained.pop(UPTIME)  # pyright: ignore[reportPrivateUsage]
        await _reconnect(stage, uptime_s=None)  # a new broker, which has not said its uptime yet
        now_s[0] += 5
        await _reconnect(stage, uptime_s=10)
        assert numbers(stage) == [1, 1]


async def test_a_broker_that_hides_its_uptime_is_told_again(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other brokers than Mosquitto: better twice than never."""
    monkeypatch.setattr(restarts, "_UPTIME_WITHIN_S", 0.05)
    broker = MemoryBroker()
    broker._retained.pop(UPTIME)  # pyright: ignore[reportPrivateUsage]
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1)
        await until(lambda: numbers(stage) == [1])
        await _reconnect(stage, uptime_s=None)
        await until(lambda: numbers(stage) == [1, 1])


async def test_what_was_forgotten_is_said_before_what_is_new(tmp_path: Path, play: Play) -> None:
    """After a restart readings come in their order, so that a reader that takes them in order misses none."""
    broker = MemoryBroker()
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1, 2)
        await settle()
        broker.kill()
        accept(play.listener, 3)
        broker.start()
        uptime(broker, 0)
        await until(lambda: len(numbers(stage)) == 5)
        assert numbers(stage) == [1, 2, 1, 2, 3]


async def test_a_reader_that_lost_its_session_is_told_again(tmp_path: Path, play: Play) -> None:
    """`missed` makes every service say what it still keeps."""
    broker = MemoryBroker()
    uptime(broker, 86_400)
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        accept(play.listener, 1)
        await settle()
        await stage.tell(SERVICE_MISSED, Missed(at=AT), service="disaggregator")
        assert numbers(stage) == [1, 1]


async def test_missed_is_asked_where_the_session_was_lost(tmp_path: Path, play: Play) -> None:
    """On the first connection ever and after a broker that forgot; not where the broker remembers."""
    async with on_stage("recorder", play, tmp_path) as stage:
        assert len(stage.said(SERVICE_MISSED)) == 1
        await _reconnect(stage, uptime_s=None)
        assert len(stage.said(SERVICE_MISSED)) == 1
        stage.broker.kill(forget_sessions=True)
        stage.broker.start()
        await until(lambda: len(stage.said(SERVICE_MISSED)) == 2)


async def test_missed_is_asked_until_it_was_said(tmp_path: Path, play: Play) -> None:
    """A connection that breaks meanwhile makes a session that the next one finds: the question must not be lost with it."""
    broker = MemoryBroker()
    say = broker.say

    def break_first(topic: str, payload: bytes, **options: Any) -> None:
        if topic.endswith("/missed"):
            broker.say = say
            broker.kill()
            broker.start()
            raise Disconnected("the connection broke before the answer came")
        say(topic, payload, **options)

    broker.say = break_first
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        await until(lambda: len(stage.said(SERVICE_MISSED)) == 1)
