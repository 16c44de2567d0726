"""What the machine's figures and the services' reports mean."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from hems.contracts.health import ServiceHealth

GIGABYTE = 1e9
LEAST_FREE_BYTES = 0.5 * GIGABYTE
MOST_WRITTEN_BYTES_PER_DAY = 20 * GIGABYTE
MOST_BACKLOG = 500
EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""No release is older: a clock before it has not been set since the power came."""
HEALTH_EVERY_S = 10.0

Trouble = tuple[str, str]
"""What is wrong, and the next step."""


def platform_trouble(bits: int, machine: str, python: tuple[int, int]) -> Trouble | None:
    """Only 64-bit systems are served: the network that names appliances has no build for others."""
    if bits < 64:
        return (
            f"this is a {bits}-bit system ({machine}), on which hems does not run",
            "install the 64-bit Raspberry Pi OS (a Pi 3, 4 and 5 has the processor for it)",
        )
    if python < (3, 11):
        return f"Python {python[0]}.{python[1]} is too old", "install Python 3.11 or newer: Debian 12 and its Raspberry Pi OS have it"
    return None


def clock_trouble(now: datetime, synchronised: bool | None) -> Trouble | None:
    """A clock that was never set, or that nobody keeps."""
    if now < EARLIEST:
        return f"the clock says {now:%Y-%m-%d}", "connect the network, or set the time: a Pi has no clock of its own while it is off"
    if synchronised is False:
        return "nobody keeps the clock", "switch on time synchronisation: `sudo timedatectl set-ntp true`"
    return None


def disk_trouble(free_bytes: float, written_bytes_per_day: float | None, wear_share: float | None) -> Iterator[Trouble]:
    """A full disk, and one that wears out.

    Args:
        free_bytes: for the home's files.
        written_bytes_per_day: by the whole system since its start; None where that can't be told.
        wear_share: how much of its life the disk says that it has used, 0..1; None where it says nothing.
    """
    if free_bytes < LEAST_FREE_BYTES:
        yield f"{free_bytes / GIGABYTE:.2f} GB are free", "free some space: nothing can be kept on a full disk"
    if written_bytes_per_day is not None and written_bytes_per_day > MOST_WRITTEN_BYTES_PER_DAY:
        yield f"{written_bytes_per_day / GIGABYTE:.0f} GB a day are written, which wears a card out", "look who writes, with `iotop -a`"
    if wear_share is not None and wear_share >= 0.8:
        yield f"the disk has used {wear_share:.0%} of its life", "copy the home with `hems backup`, and change the disk"


def service_trouble(service: str, *, online: bool, report: ServiceHealth | None, alive: bool | None) -> Trouble | None:
    """One service, by its own word and by its silence.

    Args:
        service: its name.
        online: its retained status.
        report: its newest report.
        alive: it reported lately; None where nobody listened long enough to tell.
    """
    if report is not None and report.configuration_error and not online:
        return f"found a mistake in its configuration: {report.configuration_error}", "correct it; it starts again within a minute"
    if not online:
        return "is offline", f"look into the log of `hems up` for {service}, and start it again"
    if alive is False:
        return "says nothing any more, though it is connected", "restart it; if it happens again, send `hems doctor --bundle`"
    if report is not None and report.blind:
        return f"can't do its work: {report.blind}", "do as it says"
    if report is not None and report.backlog > MOST_BACKLOG:
        return f"{report.backlog} messages wait to be said", "look at the broker: it does not take them as fast as they come"
    return None


def troubled(
    expected: Sequence[str], online: Mapping[str, bool], health: Mapping[str, ServiceHealth], alive: frozenset[str], listened_s: float
) -> Iterator[tuple[str, Trouble | None]]:
    """Each service that should run, or that was heard of, and what is wrong with it."""
    for service in dict.fromkeys((*expected, *sorted(online))):
        known = listened_s > HEALTH_EVERY_S + 1
        trouble = service_trouble(
            service, online=online.get(service, False), report=health.get(service), alive=service in alive if known else None
        )
        yield service, trouble
