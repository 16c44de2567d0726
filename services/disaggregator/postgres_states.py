"""The states of a fleet's homes in PostgreSQL, where another replica finds them; a partition is its holder's advisory lock.

States are written over the connection that holds the locks: a replica that lost them can't write any more.
"""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg as untyped_asyncpg  # pyright: ignore[reportMissingTypeStubs]

from services.disaggregator.states import Part, Unreachable

asyncpg: Any = untyped_asyncpg
T = TypeVar("T")

_PATIENCE_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS disaggregator_states (
    home text NOT NULL,
    part text NOT NULL,
    state bytea NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (home, part)
) WITH (fillfactor = 50)
"""
_LOAD = "SELECT home, part, state FROM disaggregator_states WHERE home = ANY($1::text[])"
_SAVE = """
INSERT INTO disaggregator_states (home, part, state) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT (home, part) DO UPDATE SET state = excluded.state, saved_at = excluded.saved_at
"""
_HELD = "SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND classid = $1::oid AND objsubid = 2 AND granted"
# A replica whose computer is gone says no goodbye: its locks are free after about so many seconds.
_KEEPALIVE = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3"}
# One that hangs says nothing either; a replica that is well asks for its partitions twice a second. PostgreSQL 14 and later.
_IDLE_MS = 15_000
# asyncpg calls it an error of its own where the server's goodbye comes between a question and its answer.
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class PostgresStates:
    """One connection. Its locks and its states belong together: when it breaks, both are gone."""

    def __init__(self, connection: Any, prefix: str) -> None:
        self._connection = connection
        self._claims, self._wants = (zlib.crc32(f"{prefix}{kind}".encode()) & 0x7FFFFFFF for kind in ("", "/wanted"))
        self._wanted = set[int]()
        self._turn = asyncio.Lock()

    async def load(self, homes: Collection[str]) -> Mapping[str, Mapping[str, bytes]]:
        """The parts that are kept."""
        found: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        for home, part, state in await self._ask(self._connection.fetch, _LOAD, list(homes)):
            found[home][part] = state
        return found

    async def save(self, parts: Sequence[Part]) -> None:
        """One statement, and so one transaction."""
        # In order, so that no two replicas wait for each other.
        homes, keys, values = zip(*sorted(parts), strict=True)
        await self._ask(self._connection.execute, _SAVE, homes, keys, values)

    async def claim(self, partition: int) -> bool:
        """Try for the partition's lock; call it for those alone that this connection does not have."""
        claimed = await self._try(self._claims, partition)
        if claimed and partition in self._wanted:
            self._wanted.discard(partition)
            await self._unlock(self._wants, partition)
        return claimed

    async def claimed(self) -> Collection[int]:
        """The partitions whose locks are held."""
        return await self._held(self._claims)

    async def want(self, partition: int) -> None:
        """Hold a lock of another kind, for the holder to see."""
        if partition not in self._wanted and await self._try(self._wants, partition):
            self._wanted.add(partition)

    async def wanted(self) -> Collection[int]:
        """The partitions whose locks of that kind are held."""
        return await self._held(self._wants)

    async def release(self, partition: int) -> None:
        """Give the lock back."""
        await self._unlock(self._claims, partition)

    async def _try(self, kind: int, partition: int) -> bool:
        return await self._ask(self._connection.fetchval, "SELECT pg_try_advisory_lock($1, $2)", kind, partition)

    async def _unlock(self, kind: int, partition: int) -> None:
        await self._ask(self._connection.execute, "SELECT pg_advisory_unlock($1, $2)", kind, partition)

    async def _held(self, kind: int) -> Collection[int]:
        return {row[0] for row in await self._ask(self._connection.fetch, _HELD, kind)}

    async def _ask(self, ask: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        try:
            async with self._turn:
                return await ask(*arguments)
        except _FAILURES as error:
            raise Unreachable(f"PostgreSQL: {error or type(error).__name__}") from None


@asynccontextmanager
async def open_states(url: str, prefix: str) -> AsyncGenerator[PostgresStates]:
    """Connect, and make the table where it is missing.

    Args:
        url: `postgresql://user:password@host/name`.
        prefix: of the partitions' topics; partitions of other prefixes have other locks.

    Raises:
        Unreachable: there is no connection.
    """
    try:
        connection = await asyncpg.connect(url, timeout=_PATIENCE_S, command_timeout=_PATIENCE_S, server_settings=_KEEPALIVE)
    except (*_FAILURES, ValueError) as error:
        raise Unreachable(f"PostgreSQL: {error or type(error).__name__}") from None
    try:
        await _prepare(connection)
        yield PostgresStates(connection, prefix)
    finally:
        connection.terminate()


async def _prepare(connection: Any) -> None:
    try:
        if connection.get_server_version().major >= 14:
            await connection.execute(f"SET idle_session_timeout = {_IDLE_MS}")
        async with connection.transaction():
            # Two replicas that make the same table at once would hinder each other.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('disaggregator_states'))")
            await connection.execute(_SCHEMA)
    except _FAILURES as error:
        raise Unreachable(f"PostgreSQL: {error or type(error).__name__}") from None
