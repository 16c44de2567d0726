"""The load manager's section of `hems.yaml`."""

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from hems.actor.settings import Section
from hems.contracts.payload import Identifier
from services.load_manager.domain.best_hours import Best
from services.load_manager.domain.comfort import Hours, Sheddable
from services.load_manager.domain.manager import Limits, Plan
from services.load_manager.domain.schedules import Beginning, Schedule

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SUN = re.compile(r"(sunrise|sunset)(?:([+-])(.+))?")

NOT_INSTALLED = (
    "load_manager.openadr.vtn_url is set, but OpenADR is not installed: `make setup` brings it, elsewhere"
    " `pip install 'openleadr>=0.5.36,<0.6'`, and in containers docker-compose.openadr.yml"
)

Watts = Annotated[float, Field(gt=0, le=1e6, description="W")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _time(value: Any) -> Any:
    # YAML reads an unquoted 17:30 as the number 17 * 60 + 30.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    try:
        return time.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is not a time of day; one is '17:30'") from None


def _duration(value: Any) -> Any:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value) if isinstance(value, str) else None
    if isinstance(value, str) and found is None:
        raise ValueError(f"{value!r} is not a duration; one is '4h', '30m' or '90s'")
    return timedelta(seconds=float(found[1]) * _UNITS_S[found[2]]) if found else value


def _hours(value: Any) -> Any:
    if not isinstance(value, str) or value.count("-") != 1:
        raise ValueError("hours are given as '17:00-19:00'")
    starts, ends = map(_time, value.split("-"))
    return Hours(starts, ends)


def _beginning(value: Any) -> Any:
    if value in get_args(Best):
        return Beginning(best=value)
    found = _SUN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        at = _time(value)
        return Beginning(at=at) if isinstance(at, time) else at
    offset = _offset(found[3]) if found[3] else timedelta()
    return Beginning(sun=cast("Any", found[1]), offset=-offset if found[2] == "-" else offset)


def _offset(text: str) -> timedelta:
    if ":" in text:
        at = _time(text)
        return timedelta(hours=at.hour, minutes=at.minute)
    return _duration(text)


HoursOfDay = Annotated[Hours, BeforeValidator(_hours, json_schema_input_type=str)]
Begins = Annotated[
    Beginning,
    BeforeValidator(_beginning, json_schema_input_type=str),
    Field(description="'17:30', sunset, 'sunrise-30m', cheapest, greenest"),
]
Lasting = Annotated[timedelta, BeforeValidator(_duration, json_schema_input_type=str), Field(gt=timedelta(), le=timedelta(days=7))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SheddableSettings(_Part):
    """What a household puts up with for one load. A relay that is not named is never shed."""

    priority: Annotated[int, Field(ge=1, le=100, description="1 goes first; moderate takes 1, high 1 and 2, special all")] = 1
    longest_off_s: Annotated[float, Field(gt=0, le=86_400)] = 3_600.0
    rest_s: Annotated[float, Field(ge=0, le=86_400, description="left alone for so long after it was held back")] = 0.0
    never: Annotated[list[HoursOfDay], Field(description="hours in which it is left alone, local time")] = []
    power_w: Annotated[Watts | None, Field(description="what it draws; measured when it is shed, if absent")] = None


class PeakSettings(_Part):
    """A tighter limit in some hours, such as a peak tariff's."""

    hours: Annotated[list[HoursOfDay], Field(min_length=1)]
    power_cap_w: Watts


class ScheduleSettings(_Part):
    """Holds a relay on, or off, from a time for a while."""

    relay: Identifier
    on: Begins | None = None
    off: Begins | None = None
    lasts: Annotated[Lasting, Field(alias="for")]
    days: Annotated[list[Day], Field(min_length=1, description="on which it begins")] = list(_DAYS)
    between: Annotated[HoursOfDay | None, Field(description="the hours in which the cheapest or greenest time is looked for")] = None

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, values: Any) -> Any:
        # YAML reads the keys on and off as truth values.
        names = {True: "on", False: "off"}
        if not isinstance(values, dict):
            return values
        given = cast("dict[Any, Any]", values)
        return {names.get(key, key) if isinstance(key, bool) else key: value for key, value in given.items()}

    @model_validator(mode="after")
    def _one_state(self) -> Self:
        if (self.on is None) == (self.off is None):
            raise ValueError("a schedule has either 'on' or 'off', and 'for' says how long")
        return self

    @model_validator(mode="after")
    def _best_time(self) -> Self:
        if self.off is not None and self.off.best is not None:
            raise ValueError("only 'on' can be cheapest or greenest")
        best = self.on is not None and self.on.best is not None
        if best != (self.between is not None):
            raise ValueError("'cheapest' and 'greenest' go with 'between', such as '22:00-07:00', and nothing else does")
        if self.between is not None and self.lasts > self.between.length:
            raise ValueError("'for' is longer than the hours of 'between'")
        return self

    def schedule(self) -> Schedule:
        """What the domain needs of it."""
        days = frozenset(_DAYS.index(day) for day in self.days)
        return Schedule(self.relay, "OFF" if self.on is None else "ON", self.on or self.off or Beginning(), self.lasts, days, self.between)


class OpenAdrSettings(_Part):
    """An OpenADR 2.0b server (VTN) whose events are met; none where `vtn_url` is absent."""

    vtn_url: Annotated[
        str | None,
        Field(pattern=r"^https?://[^\s?#]+$", max_length=500, description="such as https://vtn.example.org/OpenADR2/Simple/2.0b"),
    ] = None
    ven_name: Annotated[str | None, Field(min_length=1, max_length=100, description="as agreed; home.id if absent")] = None
    ven_id: Annotated[str | None, Field(min_length=1, max_length=100, description="where the operator has given one")] = None
    opt_in: Annotated[bool, Field(description="take part in events unless a person opts out; false only reports")] = True
    cert_file: Annotated[Path | None, Field(description="our certificate, PEM: for TLS, and to sign messages")] = None
    key_file: Annotated[Path | None, Field(description="its private key, PEM")] = None
    key_passphrase: SecretStr | None = None
    sign: Annotated[bool, Field(description="sign messages with the certificate")] = True
    ca_file: Annotated[Path | None, Field(description="who signed the server's certificate, PEM; the system's if absent")] = None
    check_hostname: bool = True
    vtn_fingerprint: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9A-F]{2}(:[0-9A-F]{2}){9}$",
            description="of the certificate that signs the server's messages; unsigned ones are then refused",
        ),
    ] = None

    @model_validator(mode="after")
    def _certificate(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self


class LoadManagerSettings(Section):
    """What may be held back, the power cap, and the schedules."""

    section: ClassVar[str] = "load_manager"

    sheddable: dict[Identifier, SheddableSettings] = {}
    power_cap_w: Annotated[Watts | None, Field(description="the home is kept below; none where absent")] = None
    peak: PeakSettings | None = None
    schedules: list[ScheduleSettings] = []
    lease_s: Annotated[float, Field(ge=5, le=3_600, description="if this service dies, loads come back after so long at the latest")] = (
        120.0
    )
    stagger_s: Annotated[float, Field(ge=0, le=600, description="between two loads that are shed or brought back")] = 10.0
    openadr: OpenAdrSettings = OpenAdrSettings()

    @property
    def needs_the_sun(self) -> bool:
        """Whether a schedule begins with the sun."""
        return any((schedule.on or schedule.off or Beginning()).sun is not None for schedule in self.schedules)

    def plan(self) -> Plan:
        """What the domain needs of it."""
        return Plan(
            sheddable={name: _sheddable(name, load) for name, load in self.sheddable.items()},
            schedules=[schedule.schedule() for schedule in self.schedules],
            limits=Limits(self.power_cap_w, self.peak.power_cap_w if self.peak else None, tuple(self.peak.hours) if self.peak else ()),
            lease_s=self.lease_s,
            stagger_s=self.stagger_s,
        )


def _sheddable(name: str, load: SheddableSettings) -> Sheddable:
    return Sheddable(name, load.priority, load.longest_off_s, load.rest_s, tuple(load.never), load.power_w)
