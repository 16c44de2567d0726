"""`python -m services.disaggregator` for many homes, as a process on a real broker that speaks MQTT 3.1.1, killed in between."""

import asyncio
from pathlib import Path

from tests.support.broker import RealBroker
from tests.support.fleet_process import PATIENCE_S, FleetOfProcesses, expected_events, streams
from tests.support.waiting import until

HOMES, READINGS = 10, 450
KILLED_AT = (130, 310)


async def test_killed_in_between_each_home_is_told_what_it_would_be_told_alone(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Homes at other times of a recording, a replica that is killed twice (-9): every event, no other, in order, none mixed up."""
    homes = streams(HOMES, READINGS)
    expected = expected_events(homes)
    fleet = FleetOfProcesses(mosquitto, tmp_path, None)
    replica = fleet.replica(1, "3.1.1", window=500)
    async with fleet.connect("sensor") as sensor, fleet.connect("client") as listener:
        listening = asyncio.ensure_future(fleet.listen(listener))
        await fleet.leave_sessions()
        replica.start()
        begun = 0
        for killed_at in KILLED_AT:
            await fleet.say(sensor, homes, begun, killed_at)
            replica.kill()
            await fleet.say(sensor, homes, killed_at, killed_at + 20)
            replica.start()
            begun = killed_at + 20
        await fleet.say(sensor, homes, begun, READINGS)
        await until(lambda: all(set(fleet.said.get(home, ())) >= set(ids) for home, ids in expected.items()), PATIENCE_S)
        assert await asyncio.to_thread(replica.stop) == 0
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert sum(map(len, expected.values())) > 10
    assert {home: ids for home, ids in fleet.said.items() if ids} == {home: ids for home, ids in expected.items() if ids}
