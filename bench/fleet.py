"""`make bench-fleet`: what many homes cost, from the model alone to readings and answers over a broker.

Costs are processor time of one process, so that what else runs on the machine counts little; delays are not, and need an idle
machine of more cores than one. The generator of the load, the broker and the replica share the machine.
"""

import socket
import time
import tracemalloc
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.disaggregation import ancestor_step, spent_us
from bench.fleet_over_a_broker import Measured, measure
from bench.fleet_picture import Row, picture
from bench.fleet_without_a_client import reading_us
from services.disaggregator.domain.many import ManyHomes, Reading
from services.disaggregator.domain.network import Network
from services.disaggregator.onnx_model import load_all
from services.disaggregator.settings import DisaggregatorSettings
from services.replay.domain.street import Street
from services.replay.parquet_file import read_recording

DEMO = Path(__file__).parents[1] / "services/replay/demo/home.parquet"
PICTURE = Path(__file__).parents[1] / "docs/pictures/many-homes.svg"

_HOMES = ((100, 1.0), (1_000, 1.0), (5_000, 5.0))
"""Homes, and seconds between the readings of each over the broker: five thousand at 1 Hz would measure the generator of the load."""
_WARM_UP_S, _MEASURED_S = 61, 60
_BATCHES_A_SECOND = 50
_START_S = 1.7e9


@dataclass(frozen=True)
class Part:
    """The model's part: µs of processor time a home and second, for reading and for its state as JSON; kB a home."""

    read_us: float
    saving_us: float
    memory_kb: float


def main() -> None:
    """Measure, print a table, draw the picture."""
    networks, refused = load_all(DisaggregatorSettings().models)
    if refused:
        raise SystemExit("; ".join(map(str, refused)))
    ancestor_us = spent_us(ancestor_step(1), 200)
    print(f"the ancestor's way, one home at a time: {ancestor_us:.0f} µs a reading")
    print(f"taking a publication from a socket and acknowledging it, with a dozen lines of Python: {_with_raw_socket_us():.1f} µs")
    handed_over_us = reading_us(networks, list(_readings(400, 90, 1.0)))
    print(f"a replica's own work on a reading, its messages handed over in memory: {handed_over_us:.0f} µs")
    rows: list[Row] = []
    for homes, period_s in _HOMES:
        alone, part = _model_part(networks, min(homes, 50), period_s, together=1), _model_part(networks, homes, period_s)
        measured = measure(homes, period_s)
        _print(homes, period_s, alone, part, measured)
        rows.append(Row(homes, period_s, ancestor_us / period_s, alone.read_us, part.read_us, measured.reading_us / period_s))
    PICTURE.write_text(picture(rows), encoding="utf-8")
    print(f"drawn: {PICTURE.relative_to(Path.cwd()) if PICTURE.is_relative_to(Path.cwd()) else PICTURE}")


def _print(homes: int, period_s: float, alone: Part, part: Part, measured: Measured) -> None:
    over_us = measured.reading_us / period_s
    print(
        f"\n{homes:,} homes, a reading each {period_s:g} s: µs of processor time a home and second, and homes a core\n"
        f"  the model's part, one home at a time  {alone.read_us:7.1f}  {1e6 / alone.read_us:9,.0f}\n"
        f"  the model's part, together            {part.read_us:7.1f}  {1e6 / part.read_us:9,.0f}\n"
        f"  and the states as JSON                {part.read_us + part.saving_us:7.1f}  {1e6 / (part.read_us + part.saving_us):9,.0f}\n"
        f"  a replica, over a broker              {over_us:7.1f}  {1e6 / over_us:9,.0f}   ({measured.reading_us:.0f} µs a reading)\n"
        f"  memory: {part.memory_kb:.1f} kB a home; the replica {measured.resident_mb:.0f} MB\n"
        f"  from a reading to the state that it changed: {measured.delay}",
        flush=True,
    )


def _model_part(networks: Sequence[Network], count: int, period_s: float, together: int | None = None) -> Part:
    """Readings in the order in which they would come, so many in a batch; by default those of a fiftieth of a second."""
    readings = list(_readings(count, _WARM_UP_S + _MEASURED_S, period_s))
    homes = ManyHomes(networks)
    for name in {reading.home for reading in readings}:
        homes.admit(name, {}, _START_S, 1e9)
    step, warm = together or max(1, round(count / period_s / _BATCHES_A_SECOND)), len(readings) * _WARM_UP_S // (_WARM_UP_S + _MEASURED_S)
    for first in range(0, warm, step):
        homes.read(readings[first : min(first + step, warm)])
    for name in homes.names:
        homes[name].home.save()
    read_s = saving_s = 0.0
    for first in range(warm, len(readings), step):
        batch = readings[first : first + step]
        began_s = time.process_time()
        homes.read(batch)
        then_s = time.process_time()
        for name in {reading.home for reading in batch}:
            homes[name].home.save()
        read_s += then_s - began_s
        saving_s += time.process_time() - then_s
    seconds = count * _MEASURED_S
    return Part(read_s / seconds * 1e6, saving_s / seconds * 1e6, _memory_kb(networks))


def _memory_kb(networks: Sequence[Network], count: int = 200) -> float:
    """What a home that runs holds in memory, by Python's own account."""
    readings = list(_readings(count, 121, 1.0))
    tracemalloc.start()
    homes = ManyHomes(networks)
    for name in {reading.home for reading in readings}:
        homes.admit(name, {}, _START_S, 1e9)
    for first in range(0, len(readings), count):
        homes.read(readings[first : first + count])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / len(homes) / 1024


def _readings(homes: int, seconds: int, period_s: float) -> Iterator[Reading]:
    street = Street([read_recording(DEMO)], homes, period_s)
    return (Reading(*reading) for reading in islice(street.readings(_START_S), round(homes * seconds / period_s)))


def _with_raw_socket_us(messages: int = 50_000) -> float:
    """Taking publications apart and acknowledging them, the least that a client in Python can cost: from bytes to topic and payload."""
    topic, payload = b"hems/sim-00001/mains", b'{"measured_at":"2026-01-01T00:00:00.001000+00:00","power_w":123.4,"quality":"measured"}'
    packet = b"\x32" + bytes((len(topic) + len(payload) + 4,)) + bytes((0, len(topic))) + topic + b"\x00\x07" + payload
    with _pair() as (reader, writer):
        stream, spent_s, taken = packet * 100, 0.0, 0
        while taken < messages:
            writer.sendall(stream)
            began_s = time.process_time()
            data, at, answers = b"", 0, bytearray()
            while len(data) < len(stream):
                data += reader.recv(65_536)
            while at < len(data):
                length, name = data[at + 1], data[at + 3]
                body = at + 4 + name
                _ = data[at + 4 : body].decode(), data[body + 2 : at + 2 + length]
                answers += b"\x40\x02" + data[body : body + 2]
                at += 2 + length
                taken += 1
            reader.sendall(answers)
            spent_s += time.process_time() - began_s
            writer.recv(65_536)
    return spent_s / taken * 1e6


@contextmanager
def _pair() -> Generator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


if __name__ == "__main__":
    main()
