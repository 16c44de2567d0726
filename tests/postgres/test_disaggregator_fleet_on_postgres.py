"""Replicas of the disaggregator that share their states and their partitions through a real PostgreSQL."""

import asyncio
from pathlib import Path

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import pytest

from services.disaggregator import postgres_states
from services.disaggregator.postgres_states import open_states
from services.disaggregator.states import Part, Unreachable
from tests.support.broker import RealBroker
from tests.support.fleet_process import PATIENCE_S, FleetOfProcesses, expected_events, streams
from tests.support.postgres import RealPostgres
from tests.support.waiting import until

HOMES, READINGS = 16, 450


@pytest.fixture
def database(postgres: RealPostgres) -> str:
    """The database's address."""
    return postgres.url


async def test_what_was_saved_is_found_by_another(database: str) -> None:
    """Part by part, the newest; homes that were never kept are absent."""
    async with open_states(database, "one") as mine, open_states(database, "two") as others:
        await mine.save([Part("saved-b", "x", b"1"), Part("saved-a", "x", b"2"), Part("saved-a", "y", b"\x00\xff")])
        await others.save([Part("saved-a", "x", b"3")])
        found = await mine.load(["saved-a", "saved-b", "saved-c"])
        assert found == {"saved-a": {"x": b"3", "y": b"\x00\xff"}, "saved-b": {"x": b"1"}}


async def test_a_partition_has_one_holder_until_its_connection_ends(database: str) -> None:
    """The second is refused, and gets it when the first is gone; the same number under another prefix is another partition."""
    async with open_states(database, "hems-p") as second, open_states(database, "other") as other:
        async with open_states(database, "hems-p") as first:
            assert await first.claim(3)
            assert not await second.claim(3)
            assert await second.claim(4)
            assert await other.claim(3)
            assert set(await second.claimed()) == {3, 4}
            assert set(await other.claimed()) == {3}
        async with asyncio.timeout(PATIENCE_S):
            while not await second.claim(3):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)


async def test_a_partition_is_given_back_to_who_wants_it(database: str) -> None:
    """Its own replica says that it waits, until it has it."""
    async with open_states(database, "back") as owner, open_states(database, "back") as holder:
        assert await holder.claim(5)
        await owner.want(5)
        await owner.want(5)
        assert set(await holder.wanted()) == {5}
        await holder.release(5)
        assert await owner.claim(5)
        assert not await holder.wanted()
        assert set(await holder.claimed()) == {5}


async def test_who_lost_its_partitions_can_not_write(database: str) -> None:
    """States go over the connection that holds the locks: when the server ended it, both are gone."""
    async with open_states(database, "ended") as states:
        assert await states.claim(1)
        server = await asyncpg.connect(database)  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
        await server.execute(  # pyright: ignore[reportUnknownMemberType]
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'"
        )
        await server.close()  # pyright: ignore[reportUnknownMemberType]
        with pytest.raises(Unreachable):
            await states.save([Part("late", "x", b"1")])


async def test_a_replica_that_hangs_loses_its_partitions(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that asks nothing for a while: another may claim them, and it can't write when it wakes."""
    async with open_states(database, "hangs") as awake:
        monkeypatch.setattr(postgres_states, "_IDLE_MS", 200)
        async with open_states(database, "hangs") as hangs:
            assert await hangs.claim(1)
            async with asyncio.timeout(PATIENCE_S):
                while not await awake.claim(1):  # noqa: ASYNC110 - the server tells nobody
                    await asyncio.sleep(0.01)
            with pytest.raises(Unreachable):
                await hangs.save([Part("late", "x", b"1")])


async def test_no_server_is_unreachable() -> None:
    """Said as what it is, to be tried again."""
    with pytest.raises(Unreachable):
        async with open_states("postgresql://hems@127.0.0.1:1/none", "hems-p"):
            pass


async def test_a_killed_replicas_homes_go_on_with_the_other(database: str, mosquitto: RealBroker, tmp_path: Path) -> None:
    """Two replicas share the partitions. One is killed (-9), the other takes its homes over, and gives them back when it returns.

    Then the other is killed. Every home is told what it would be told alone: every event, no other, in order.
    """
    homes = streams(HOMES, READINGS)
    expected = expected_events(homes)
    fleet = FleetOfProcesses(mosquitto, tmp_path, 4)
    shared = {"all": 4, "states": database, "take_over_after_s": 0.5, "window": 500}
    replicas = [fleet.replica(number, "3.1.1", partitions=[2 * number, 2 * number + 1], **shared) for number in range(2)]
    async with fleet.connect("sensor") as sensor, fleet.connect("client") as listener:
        listening = asyncio.ensure_future(fleet.listen(listener))
        await fleet.leave_sessions()
        for replica in replicas:
            replica.start()
        for replica in replicas:
            await asyncio.to_thread(replica.wait_for, "reads a partition", 2)
        await fleet.say(sensor, homes, 0, 150)
        replicas[0].kill()
        await fleet.say(sensor, homes, 150, 200)
        await asyncio.to_thread(replicas[1].wait_for, "reads a partition", 4)
        await fleet.say(sensor, homes, 200, 300)
        replicas[0].start()
        await asyncio.to_thread(replicas[1].wait_for, "gave a partition back", 2)
        await fleet.say(sensor, homes, 300, 370)
        replicas[1].kill()
        await fleet.say(sensor, homes, 370, READINGS)
        await until(lambda: all(set(fleet.said.get(home, ())) >= set(ids) for home, ids in expected.items()), PATIENCE_S)
        assert await asyncio.to_thread(replicas[0].stop) == 0
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert sum(map(len, expected.values())) > 10
    assert {home: ids for home, ids in fleet.said.items() if ids} == {home: ids for home, ids in expected.items() if ids}
