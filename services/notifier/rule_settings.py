"""The rules in `hems.yaml`, one class for each `when`, and those that come with the product."""

import re
from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hems.contracts.payload import Identifier
from hems.contracts.relays import Source
from services.notifier.domain.appliance_rules import Announced, LeftOn, UnusualHours
from services.notifier.domain.home_rules import AlertRaised, Demand, PowerAbove, RelayRefused, Silent
from services.notifier.domain.hours import DayHours
from services.notifier.domain.report_rules import Budget, Digest
from services.notifier.domain.rule import Limit, Rule
from services.notifier.domain.wording import check_template

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)")
_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=366)
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def duration(value: Any) -> Any:
    """`90s`, `15min`, `3h`, `2d`, `1w`; a bare number is seconds."""
    if isinstance(value, bool | timedelta):
        return value
    found = None if isinstance(value, int | float) else _DURATION.fullmatch(str(value).strip().lower())
    if found is None and not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a length of time; one is '15min', '3h' or '2d'")
    length = timedelta(seconds=value) if found is None else timedelta(**{_UNITS[found[2]]: float(found[1])})
    if not timedelta(0) <= length <= _LONGEST:
        raise ValueError("a length of time is between 0 and a year")
    return length


def _time_of_day(value: Any) -> Any:
    """`20:00`: without quotes, YAML reads it as the number of its minutes."""
    minutes = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_440
    return time(*divmod(value, 60)) if minutes else value


def _hours(text: str) -> str:
    return str(DayHours.parse(text))


def _quiet(text: str) -> str:
    return text if text in ("recipient", "none") else _hours(text)


Duration = Annotated[timedelta, BeforeValidator(duration, json_schema_input_type=str | float)]
Hours = Annotated[str, AfterValidator(_hours)]
Quiet = Annotated[str, AfterValidator(_quiet), Field(description="`recipient` (theirs), `none`, or hours such as '22:00-07:00'")]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day, json_schema_input_type=str)]
Confident = Annotated[float, Field(ge=0, le=1, description="what is less sure is not told")]
Appliances = Annotated[frozenset[Identifier] | None, Field(description="all of them where absent")]


class RuleSettings(BaseModel):
    """What every rule has."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
    kind: ClassVar[type[Rule]] = Rule

    recipients: Annotated[frozenset[Identifier] | None, Field(description="all of them where absent")] = None
    quiet_hours: Quiet = "recipient"
    at_most: Annotated[int, Field(ge=1, le=100, description="messages to one recipient …")] = 5
    per: Annotated[Duration, Field(description="… within this time")] = timedelta(days=1)
    useful_for: Annotated[Duration, Field(description="dropped when it could not be sent by then")] = timedelta(hours=2)
    text: Annotated[str, Field(min_length=1, max_length=300, description="what stands in {braces} is filled in")]

    @model_validator(mode="after")
    def _text_can_be_filled(self) -> Self:
        check_template(self.text, self.kind.fields)
        return self

    def build(self, name: str) -> Rule:
        """The rule as it is applied."""
        quiet: Any = self.quiet_hours if self.quiet_hours in ("recipient", "none") else DayHours.parse(self.quiet_hours)
        limit = Limit(self.at_most, self.per)
        shared = {"name": name, "template": self.text, "recipients": self.recipients, "quiet": quiet, "limit": limit}
        return self.kind(**shared, useful_for=self.useful_for, **self.own())

    def own(self) -> dict[str, Any]:
        """What this kind has besides."""
        return {}


class StartedSettings(RuleSettings):
    """An appliance started."""

    kind: ClassVar[type[Rule]] = Announced

    when: Literal["started"]
    appliances: Appliances = None
    confidence: Confident = 0.6
    useful_for: Duration = timedelta(minutes=30)
    text: str = "{appliance} started at {time}."

    def own(self) -> dict[str, Any]:
        """The appliances, and how sure it must be."""
        return {"kind": "started", "appliances": self.appliances, "confidence": self.confidence}


class FinishedSettings(RuleSettings):
    """An appliance finished."""

    kind: ClassVar[type[Rule]] = Announced

    when: Literal["finished"]
    appliances: Appliances = None
    confidence: Confident = 0.6
    at_least: Annotated[Duration, Field(description="shorter runs are not told")] = timedelta(0)
    useful_for: Duration = timedelta(hours=10)
    text: str = "{appliance} finished: {details}."

    def own(self) -> dict[str, Any]:
        """The appliances, how sure it must be, and how long the run."""
        return {"kind": "finished", "appliances": self.appliances, "confidence": self.confidence, "at_least": self.at_least}


class LeftOnSettings(RuleSettings):
    """An appliance is left on."""

    kind: ClassVar[type[Rule]] = LeftOn

    when: Literal["left_on"]
    longer_than: Annotated[dict[Identifier, Duration], Field(description="by appliance: iron: 1h")]
    useful_for: Duration = timedelta(hours=1)
    text: str = "{appliance} has been on for {duration}, since {time}. Was it left on?"

    def own(self) -> dict[str, Any]:
        """How long each may run."""
        return {"longer_than": self.longer_than}


class UnusualHoursSettings(RuleSettings):
    """An appliance starts at unusual hours."""

    kind: ClassVar[type[Rule]] = UnusualHours

    when: Literal["unusual_hours"]
    hours: Hours = "00:30-05:00"
    appliances: Appliances = None
    confidence: Confident = 0.6
    useful_for: Duration = timedelta(minutes=30)
    text: str = "{appliance} started at {time}, which is unusual."

    def own(self) -> dict[str, Any]:
        """The hours, the appliances, and how sure it must be."""
        return {"hours": DayHours.parse(self.hours), "appliances": self.appliances, "confidence": self.confidence}


class PowerAboveSettings(RuleSettings):
    """The home draws too much for too long."""

    kind: ClassVar[type[Rule]] = PowerAbove

    when: Literal["power_above"]
    above_w: Annotated[float, Field(gt=0, le=1e6, description="W")]
    lasting: Annotated[Duration, Field(description="for at least so long")] = timedelta(minutes=15)
    useful_for: Duration = timedelta(minutes=30)
    text: str = "The home has drawn more than {limit} for {duration}: {power} now."

    def own(self) -> dict[str, Any]:
        """The limit, and how long it must be passed."""
        return {"above_w": self.above_w, "lasting": self.lasting}


class BudgetSettings(RuleSettings):
    """Energy or cost over a budget; without one it is at rest."""

    kind: ClassVar[type[Rule]] = Budget

    when: Literal["budget"]
    period: Literal["day", "week", "month"]
    energy_kwh: Annotated[float | None, Field(gt=0, description="kWh in the period")] = None
    cost: Annotated[float | None, Field(gt=0, description="in the home's currency, in the period")] = None
    warn_at: Annotated[float, Field(gt=0, le=1, description="the share at which it is told first")] = 0.8
    useful_for: Duration = timedelta(hours=12)
    text: str = "{period} budget: {percent} used, {used} of {limit}; about {forecast} by its end at this pace."

    def own(self) -> dict[str, Any]:
        """The period and its limits."""
        return {"period": self.period, "energy_kwh": self.energy_kwh, "cost": self.cost, "warn_at": self.warn_at}


class SilentSettings(RuleSettings):
    """The meter, a service or the broker is silent."""

    kind: ClassVar[type[Rule]] = Silent

    when: Literal["silent"]
    longer_than: Duration = timedelta(minutes=30)
    services: Annotated[frozenset[Identifier] | None, Field(description="all of them where absent")] = None
    useful_for: Duration = timedelta(hours=12)
    text: str = "{what} {news}."

    def own(self) -> dict[str, Any]:
        """How long, and of which services."""
        return {"longer_than": self.longer_than, "services": self.services}


class RelaySettings(RuleSettings):
    """A relay refused a command, or hit a limit."""

    kind: ClassVar[type[Rule]] = RelayRefused

    when: Literal["relay"]
    sources: Annotated[frozenset[Source], Field(description="whose commands; the load manager's are refused in the course of things")] = (
        frozenset({"local", "adafruit", "webhook", "dashboard"})
    )
    useful_for: Duration = timedelta(minutes=30)
    text: str = "Relay {relay} {news}: {reason}."

    def own(self) -> dict[str, Any]:
        """Whose commands."""
        return {"sources": frozenset(self.sources)}


class DemandSettings(RuleSettings):
    """A demand event is announced, and ends."""

    kind: ClassVar[type[Rule]] = Demand

    when: Literal["demand"]
    useful_for: Duration = timedelta(hours=2)
    text: str = "Demand event ({level}): {news}{reason}."


class AlertSettings(RuleSettings):
    """A service raised an alert."""

    kind: ClassVar[type[Rule]] = AlertRaised

    when: Literal["alert"]
    severity: Annotated[Literal["info", "warning", "critical"], Field(description="at least; critical ones go out at all hours")] = (
        "warning"
    )
    ignore: Annotated[frozenset[str], Field(description="alerts' rules that are not told")] = frozenset()
    useful_for: Duration = timedelta(hours=12)
    text: str = "{title}: {message}"

    def own(self) -> dict[str, Any]:
        """How severe, and which not."""
        return {"severity": self.severity, "ignore": self.ignore}


class DigestSettings(RuleSettings):
    """A digest of the last day, or the last week."""

    kind: ClassVar[type[Rule]] = Digest

    when: Literal["digest"]
    every: Literal["day", "week"]
    at: TimeOfDay = time(8, 0)
    weekday: Annotated[Weekday, Field(description="of a weekly one")] = "mon"
    useful_for: Duration = timedelta(hours=6)
    text: str = "{period}: {totals}{before}.{appliances}"

    def own(self) -> dict[str, Any]:
        """How often, and when."""
        return {"period": self.every, "at": self.at, "weekday": _WEEKDAYS.index(self.weekday)}


AnyRule = Annotated[
    StartedSettings
    | FinishedSettings
    | LeftOnSettings
    | UnusualHoursSettings
    | PowerAboveSettings
    | BudgetSettings
    | SilentSettings
    | RelaySettings
    | DemandSettings
    | AlertSettings
    | DigestSettings,
    Field(discriminator="when"),
]

DEFAULT_RULES: Mapping[str, Mapping[str, Any]] = {
    "finished": {"when": "finished", "appliances": ["washing_machine", "dishwasher", "tumble_dryer", "washer_dryer"], "at_least": "15min"},
    "left_on": {
        "when": "left_on",
        "longer_than": {"kettle": "20min", "toaster": "20min", "microwave": "1h", "iron": "1h", "hob": "3h", "oven": "3h"},
        "at_most": 3,
    },
    "night": {"when": "unusual_hours", "appliances": ["oven", "hob", "iron", "toaster"], "quiet_hours": "none", "at_most": 2},
    "power": {"when": "power_above", "above_w": 10_000, "lasting": "15min", "at_most": 2},
    "daily_budget": {"when": "budget", "period": "day", "at_most": 2},
    "weekly_budget": {"when": "budget", "period": "week", "at_most": 2},
    "monthly_budget": {"when": "budget", "period": "month", "at_most": 2},
    "silence": {"when": "silent", "longer_than": "30min", "at_most": 4},
    "relays": {"when": "relay", "at_most": 3},
    "demand": {"when": "demand", "at_most": 6},
    "alerts": {"when": "alert", "at_most": 6},
    "weekly_digest": {"when": "digest", "every": "week"},
}
"""On as soon as there is somebody to tell; a budget waits until it is given its `cost` or `energy_kwh`."""

OPTIONAL_RULES: Mapping[str, Mapping[str, Any]] = {
    "started": {"when": "started", "appliances": ["washing_machine", "dishwasher", "tumble_dryer", "oven", "hob"]},
    "daily_digest": {"when": "digest", "every": "day"},
}
"""Ready, and off until they are named: `daily_digest: on`."""


def with_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """A person's rules over those that come with the product: `off` takes one away, `on` brings it, keys change it, `when` makes it new."""
    rules: dict[str, Any] = {name: dict(rule) for name, rule in DEFAULT_RULES.items() if given.get(name, True) not in (False, None)}
    for name, rule in given.items():
        known = {**DEFAULT_RULES, **OPTIONAL_RULES}.get(name, {})
        if rule is True and known:
            rules[name] = dict(known)
        elif isinstance(rule, Mapping):
            changed = cast("Mapping[str, Any]", rule)
            rules[name] = dict(changed) if changed.get("when", known.get("when")) != known.get("when") else {**known, **changed}
        elif rule not in (False, None):
            rules[name] = rule
    return rules
