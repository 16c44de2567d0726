"""Cuts the excerpt that ships with the demo out of a recording: `python -m services.replay.excerpt FROM.parquet START END TO.parquet`.

The shipped one: `refit_house2_8s.parquet 2015-01-04 2015-01-18 services/replay/demo/home.parquet`.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from services.replay.domain.recording import Recording, to_us
from services.replay.parquet_file import read_recording, write_recording


def excerpt(recording: Recording, start: datetime, end: datetime) -> Recording:
    """The rows from `start` up to, and without, `end`."""
    kept = (recording.at_us >= to_us(start)) & (recording.at_us < to_us(end))
    appliances = {name: values[kept] for name, values in recording.appliances_w.items()}
    return Recording(recording.at_us[kept], recording.mains_w[kept], appliances)


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


if __name__ == "__main__":
    source, start, end, target = sys.argv[1:]
    write_recording(Path(target), excerpt(read_recording(Path(source)), _day(start), _day(end)))
