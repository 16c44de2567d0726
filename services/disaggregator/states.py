"""Where the states of a fleet's homes are kept: the protocol, and the service's own file for a fleet of one replica."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from hems.actor.bus import TryAgain
from hems.actor.context import DurableState
from services.disaggregator.domain.home import Home


class Part(NamedTuple):
    """One part of a home's state."""

    home: str
    key: str
    value: bytes


class Unreachable(Exception):
    """The states can't be reached: nothing may be read, said or acknowledged until they can."""


class States(Protocol):
    """The states of homes, and whose a partition is. Each raises `Unreachable`."""

    async def load(self, homes: Collection[str]) -> Mapping[str, Mapping[str, bytes]]:
        """The parts that are kept of some homes; homes that were never kept are absent."""
        ...

    async def save(self, parts: Sequence[Part]) -> None:
        """Keep all or none of these parts."""
        ...

    async def claim(self, partition: int) -> bool:
        """Take a partition for this replica, for as long as it stays connected; False where another has it."""
        ...

    async def claimed(self) -> Collection[int]:
        """The partitions that any replica has."""
        ...

    async def want(self, partition: int) -> None:
        """Let the holder know that a partition's own replica is there, until `claim` succeeds."""
        ...

    async def wanted(self) -> Collection[int]:
        """The partitions whose own replicas are there and wait."""
        ...

    async def release(self, partition: int) -> None:
        """Let another replica have a partition; nothing of its homes may be saved afterwards."""
        ...


class OwnStates:
    """The states in the service's own file: for a fleet of one replica, which has every partition."""

    def __init__(self, store: DurableState) -> None:
        self._store = store
        self._claimed: set[int] = set()

    async def load(self, homes: Collection[str]) -> Mapping[str, Mapping[str, bytes]]:
        """The parts that are kept."""
        found = {home: {key: self._store.get(_name(home, key)) for key in Home.KEYS} for home in homes}
        return {home: {key: value for key, value in parts.items() if value is not None} for home, parts in found.items()}

    async def save(self, parts: Sequence[Part]) -> None:
        """One transaction; a power cut may take the last seconds, as with a single home."""
        try:
            with self._store.transaction(durable=False) as transaction:
                for part in parts:
                    transaction.put(_name(part.home, part.key), part.value)
        except TryAgain as error:
            raise Unreachable(str(error)) from None

    async def claim(self, partition: int) -> bool:
        """Nobody else is there."""
        self._claimed.add(partition)
        return True

    async def claimed(self) -> Collection[int]:
        """This replica's."""
        return self._claimed

    async def want(self, partition: int) -> None:
        """Nobody else is there."""

    async def wanted(self) -> Collection[int]:
        """None."""
        return ()

    async def release(self, partition: int) -> None:
        """Nobody else is there."""
        self._claimed.discard(partition)


def _name(home: str, key: str) -> str:
    return f"{key} of {home}"
