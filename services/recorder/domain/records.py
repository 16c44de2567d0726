"""Messages as rows of the history. Times are microseconds since 1970; figures are thousandths, in whole numbers."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from hems.contracts.appliances import ApplianceState
from hems.contracts.mains import Mains
from hems.contracts.payload import Payload

HappeningKind = Literal["event", "relay", "alert", "demand", "label", "message"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class MainsRow:
    """A reading of the whole home."""

    at_us: int
    power_mw: int
    estimated: bool = False
    apparent_power_mva: int | None = None
    voltage_mv: int | None = None
    current_ma: int | None = None
    power_factor_thousandths: int | None = None
    temperature_mc: int | None = None
    channels: str | None = None


@dataclass(frozen=True, slots=True)
class StateRow:
    """An appliance's state."""

    at_us: int
    appliance: str
    running: bool
    power_mw: int
    confidence_thousandths: int
    since_us: int | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, a switching, an alert, a demand state, a label, a message to a person. The same key at the same time is the same."""

    kind: HappeningKind
    at_us: int
    key: str
    subject: str
    body: str


Row = MainsRow | StateRow | Happening


def microseconds(moment: datetime) -> int:
    """Exactly, without a float between."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(at_us: int) -> datetime:
    """UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


def mains_row(mains: Mains, *, channels: bool) -> MainsRow:
    """A reading's row; the inputs of the meter only where wanted, since they double its size."""
    return MainsRow(
        at_us=microseconds(mains.measured_at),
        power_mw=round(mains.power_w * 1_000),
        estimated=mains.quality == "estimated",
        apparent_power_mva=_thousandths(mains.apparent_power_va),
        voltage_mv=_thousandths(mains.voltage_v),
        current_ma=_thousandths(mains.current_a),
        power_factor_thousandths=_thousandths(mains.power_factor),
        temperature_mc=_thousandths(mains.temperature_c),
        channels=json.dumps(mains.channels, separators=(",", ":")) if channels and mains.channels else None,
    )


def state_row(appliance: str, state: ApplianceState) -> StateRow:
    """A state's row; an appliance draws nothing less than nothing."""
    return StateRow(
        at_us=microseconds(state.observed_at),
        appliance=appliance,
        running=state.running,
        power_mw=max(0, round(state.power_w * 1_000)),
        confidence_thousandths=round(state.confidence * 1_000),
        since_us=microseconds(state.since) if state.since else None,
    )


def happening(kind: HappeningKind, at: datetime, subject: str, payload: Payload, key: str | None = None) -> Happening:
    """A message's row; where it has no id, its content is its key."""
    body = payload.model_dump_json(exclude_none=True)
    return Happening(
        kind, microseconds(at), key or hashlib.blake2b(f"{subject} {body}".encode(), digest_size=16).hexdigest(), subject, body
    )


def _thousandths(value: float | None) -> int | None:
    return None if value is None else round(value * 1_000)
