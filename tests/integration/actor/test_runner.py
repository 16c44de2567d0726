"""Services as processes on a real broker: how they start, stop, die and come back."""

import asyncio
import json
import signal
from datetime import UTC, datetime

from hems.actor.bus import Bus, Delivery, Session
from hems.contracts.demand import DemandEvent
from tests.integration.actor.conftest import StartTiny, TinyProcess, as_user
from tests.support.broker import RealBroker

PATIENCE_S = 20.0
AT = datetime(2025, 1, 6, tzinfo=UTC)


async def _until(bus: Bus, topic: str, wanted: bytes) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async for delivery in bus.deliveries():
            delivery.acknowledge()
            if (delivery.topic, delivery.payload) == (topic, wanted):
                return


async def _online(bus: Bus, home: str) -> str:
    status = f"hems/{home}/service/notifier/status"
    await bus.subscribe(status, 1)
    await _until(bus, status, b"online")
    return status


async def _exit_status(process: TinyProcess) -> int:
    return await asyncio.to_thread(process.wait)


async def test_asked_to_stop_it_says_goodbye(shared_mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """SIGTERM and SIGINT: `offline`, retained, and exit status 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        home = f"stop-{number}"
        process = start_tiny(shared_mosquitto, home)
        async with as_user(shared_mosquitto, "client").connect(Session(home)) as bus:
            status = await _online(bus, home)
            process.signal(number)
            await _until(bus, status, b"offline")
        assert await _exit_status(process) == 0
        assert "stopped" in process.log
        assert "rror" not in process.log


async def test_killed_the_broker_says_it_for_it(shared_mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """kill -9: the last will says `offline`."""
    process = start_tiny(shared_mosquitto, "killed")
    async with as_user(shared_mosquitto, "client").connect(Session("killed")) as bus:
        status = await _online(bus, "killed")
        process.signal(signal.SIGKILL)
        await _until(bus, status, b"offline")


async def test_a_bug_ends_it_with_status_1(shared_mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """The supervisor is to start it anew; the trace is in the log, and the status says `offline`."""
    process = start_tiny(shared_mosquitto, "bug")
    event = DemandEvent(id="bug", level="high", starts_at=AT, ends_at=AT)
    async with as_user(shared_mosquitto, "client").connect(Session("bug")) as bus:
        status = await _online(bus, "bug")
        await bus.publish("hems/bug/demand/event", event.to_wire(), qos=1, retain=False)
        await _until(bus, status, b"offline")
    assert await _exit_status(process) == 1
    assert "ZeroDivisionError" in process.log


async def test_a_mistake_in_its_section_is_shown_where_people_look(shared_mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """Exit status 78, and the retained health message names the key; a good start clears it."""
    process = start_tiny(shared_mosquitto, "mistake", HEMS_TINY__EVERY_S="often")
    assert await _exit_status(process) == 78
    health = "hems/mistake/service/notifier/health"
    async with as_user(shared_mosquitto, "client").connect(Session("mistake")) as bus:
        await bus.subscribe(health, 1)
        first = json.loads((await _next(bus)).payload)
        assert "HEMS_TINY__EVERY_S" in first["configuration_error"]
        start_tiny(shared_mosquitto, "mistake")
        async with asyncio.timeout(PATIENCE_S):
            while "configuration_error" in json.loads((await _next(bus)).payload):
                pass


async def test_a_mistake_without_a_broker_ends_it_too(mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """Nobody to tell is no reason to stay; a mistake in a general section ends it at once."""
    mosquitto.stop()
    assert await _exit_status(start_tiny(mosquitto, "one", HEMS_TINY__COUNT="x")) == 78
    process = start_tiny(mosquitto, "two", HEMS_BROKER__PORT="x")
    assert await _exit_status(process) == 78
    assert "HEMS_BROKER__PORT" in process.log


async def test_it_stops_while_a_thread_is_busy(shared_mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """A thread that looks up a broker's name can't be stopped, and is not waited for."""
    process = start_tiny(shared_mosquitto, "thread", HEMS_TINY__BUSY_THREAD_S="120", HEMS_TINY__COUNT="1")
    await asyncio.to_thread(process.wait_for, "accepted")
    process.signal(signal.SIGTERM)
    assert await _exit_status(process) == 0


async def test_it_stops_while_it_can_not_connect(start_tiny: StartTiny, mosquitto: RealBroker) -> None:
    """No broker is no reason to stay either."""
    mosquitto.stop()
    process = start_tiny(mosquitto, "alone")
    await asyncio.to_thread(process.wait_for, "no connection to the broker")
    process.signal(signal.SIGTERM)
    assert await _exit_status(process) == 0


async def test_it_stops_on_a_frozen_broker(mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """No answer to its goodbye does not keep it."""
    process = start_tiny(mosquitto, "frozen-stop")
    async with as_user(mosquitto, "client").connect(Session("frozen-stop")) as bus:
        await _online(bus, "frozen-stop")
        mosquitto.freeze()
        process.signal(signal.SIGTERM)
        status = await asyncio.to_thread(process.wait, 8.0)
        mosquitto.thaw()
    assert status == 0


async def test_it_stops_when_the_broker_dies_at_that_moment(mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """As on a shutdown of the machine: whoever goes first, it ends."""
    process = start_tiny(mosquitto, "shutdown", HEMS_TINY__COUNT="100000")
    await asyncio.to_thread(process.wait_for, "accepted", 20)
    mosquitto.kill()
    process.signal(signal.SIGTERM)
    assert await _exit_status(process) == 0


async def test_a_frozen_broker_is_noticed_and_come_back_to(mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """SIGSTOP: the service sees that nothing answers, and goes on once it does; nothing accepted meanwhile is lost."""
    process = start_tiny(mosquitto, "frozen", HEMS_BROKER__KEEPALIVE_S="2", HEMS_TINY__COUNT="200", HEMS_TINY__EVERY_S="0.02")
    await asyncio.to_thread(process.wait_for, "accepted", 5)
    async with as_user(mosquitto, "client").connect(Session("frozen-reader")) as bus:
        await bus.subscribe("hems/frozen/alert", 1)
        mosquitto.freeze()
        await asyncio.to_thread(process.wait_for, "no connection to the broker")
    mosquitto.thaw()
    found: set[str] = set()
    async with as_user(mosquitto, "client").connect(Session("frozen-reader-2")) as bus:
        await bus.subscribe("hems/frozen/alert", 1)
        async with asyncio.timeout(PATIENCE_S):
            async for delivery in bus.deliveries():
                delivery.acknowledge()
                found.add(json.loads(delivery.payload)["id"])
                if "tiny-199" in found:
                    break
    assert process.running


async def _next(bus: Bus) -> Delivery:
    async with asyncio.timeout(PATIENCE_S):
        delivery = await anext(aiter(bus.deliveries()))
    delivery.acknowledge()
    return delivery


async def test_killed_services_and_brokers_lose_nothing(mosquitto: RealBroker, start_tiny: StartTiny) -> None:
    """Each killed (-9) in turn amid a stream: all that the service says it accepted reaches a durable reader; repeats have equal ids."""
    reader, home = Session("durable-reader", durable=True), "kills"
    found: list[str] = []
    async with as_user(mosquitto, "client").connect(reader) as bus:
        await bus.subscribe(f"hems/{home}/alert", 1)
    mosquitto.restart()  # the session is saved: only what comes after it can be forgotten
    process = start_tiny(mosquitto, home, HEMS_TINY__COUNT="100000")
    for turn in range(1, 5):
        await asyncio.to_thread(process.wait_for, '"accepted"', 60 * turn)
        if turn % 2:
            mosquitto.kill()
            mosquitto.start()
        else:
            process.signal(signal.SIGKILL)
            process.wait()
            process = start_tiny(mosquitto, home, HEMS_TINY__COUNT="100000")
    await asyncio.to_thread(process.wait_for, '"accepted"', 300)
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    accepted = {f"tiny-{json.loads(line)['number']}" for line in process.log.splitlines() if '"accepted"' in line}
    start_tiny(mosquitto, home, HEMS_TINY__COUNT="0")
    async with asyncio.timeout(PATIENCE_S), as_user(mosquitto, "client").connect(reader) as bus:
        assert bus.session_present
        async for delivery in bus.deliveries():
            delivery.acknowledge()
            found.append(json.loads(delivery.payload)["id"])
            if accepted <= set(found):
                break
    assert len(accepted) >= 300
