"""A folder of recorded homes, as `docs/packs.md` describes them: which file is whose, and what was metered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.disaggregator import recording
from services.disaggregator.domain.network import Floats
from services.disaggregator.evaluation.scores import DAY_S
from services.disaggregator.evaluation.truth import RULES
from services.disaggregator.history import Times

_WHOSE = re.compile(r"(?P<set>[a-z]+)_?house_?(?P<number>\d+)", re.IGNORECASE)
_NAMED = re.compile(r"(?P<set>[a-z-]+) (?P<number>\d+)", re.IGNORECASE)
_INTERVAL = re.compile(r"_(?P<seconds>\d+)s(?:_|$)")


@dataclass(frozen=True)
class Pack:
    """One file: the home's key, and how far its rows are apart where it has no times."""

    path: Path
    home: str
    interval_s: float | None


@dataclass(frozen=True)
class Recorded:
    """What is judged of a pack: times (seconds since 1970), W, [samples]; `truth_w` by appliance."""

    times_s: Times
    mains_w: Floats
    truth_w: Mapping[str, Floats]


def key_of(name: str) -> str:
    """One name for a home, whether a file (`refit_house2_30s`) or a card (`REFIT 2`) names it."""
    found = _WHOSE.match(name) or _NAMED.fullmatch(name)
    return f"{found['set'].replace('-', '').lower()} {found['number']}" if found else _INTERVAL.sub("", name).lower()


def find(folder: Path, intervals_s: Mapping[str, float]) -> list[Pack]:
    """The folder's packs. `intervals_s`, by the beginning of a file's name, goes before the interval that the name tells."""
    return [_pack(path, intervals_s) for path in sorted(folder.glob("*.parquet"))]


def _pack(path: Path, intervals_s: Mapping[str, float]) -> Pack:
    told = _INTERVAL.search(path.stem)
    given = [seconds for prefix, seconds in intervals_s.items() if path.stem.startswith(prefix)]
    return Pack(path, key_of(path.stem), given[0] if given else float(told["seconds"]) if told else None)


def read(pack: Pack, days: float) -> Recorded | None:
    """A pack's last days with readings; None where no known appliance was metered.

    Raises:
        recording.UnusableRecording: it can't be read.
    """
    home = recording.read(pack.path, pack.interval_s)
    truth_w = {name: column for name, column in home.columns.items() if name in RULES}
    if not truth_w:
        return None
    first = _first_of(home.times_s, home.mains_w, days)
    return Recorded(home.times_s[first:], home.mains_w[first:], {name: column[first:] for name, column in truth_w.items()})


def _first_of(times_s: Times, mains_w: Floats, days: float) -> int:
    """Where the last `days` begin, gaps not counted."""
    interval_s = float(np.median(np.diff(times_s)))
    left = np.cumsum(np.isfinite(mains_w)[::-1])[::-1] * interval_s
    return int(np.argmax(left <= days * DAY_S))
