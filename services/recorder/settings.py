"""The recorder's section of `hems.yaml`."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, SecretStr, model_validator

from hems.actor.settings import Section
from services.recorder.domain.series import SeriesForm
from services.recorder.domain.tariff import EVERY_DAY, Rate, Tariff, Tier

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _span(value: object) -> object:
    match = re.fullmatch(r"(\d+)\s*([smhd])", value) if isinstance(value, str) else None
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else value


def _known_database(url: SecretStr) -> SecretStr:
    if not re.match(r"(sqlite:///|postgresql://).", url.get_secret_value()):
        raise ValueError("begins with sqlite:/// and a path, or with postgresql:// and user:password@host/name")
    return url


Span = Annotated[timedelta, BeforeValidator(_span)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$", description="local, HH:MM")]
DayOfYear = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", description="MM-DD")]
Price = Annotated[float, Field(ge=-1e4, le=1e6, description="in the home's currency, per kWh")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _TariffPart(_Part):
    standing_charge_per_day: Annotated[float, Field(ge=0, le=1e6, description="in the home's currency")] = 0.0
    export_per_kwh: Annotated[Price, Field(description="what is paid for energy sent out, on meters with a sign")] = 0.0


class TierSettings(_Part):
    """A price up to a use in the period; the last has no `up_to_kwh`."""

    per_kwh: Price
    up_to_kwh: Annotated[float | None, Field(gt=0)] = None


class Season(_Part):
    """From the first day to the last, both included; may go over the new year."""

    start: Annotated[DayOfYear, Field(alias="from")]
    end: Annotated[DayOfYear, Field(alias="to")]


class RateSettings(_Part):
    """A price, and when it holds; what is left out holds always. The first rate that holds counts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_by_name=True, validate_by_alias=True)

    per_kwh: Price
    start: Annotated[TimeOfDay, Field(alias="from")] = "00:00"
    end: Annotated[TimeOfDay, Field(alias="to")] = "24:00"
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = _DAYS
    season: Season | None = None

    def rate(self) -> Rate:
        """As the sums take it."""
        return Rate(
            tiers=(Tier(self.per_kwh),),
            start_minute=_minute(self.start),
            end_minute=_minute(self.end),
            weekdays=frozenset(_DAYS.index(day) for day in self.days),
            season=(_month_and_day(self.season.start), _month_and_day(self.season.end)) if self.season else ((1, 1), (12, 31)),
        )


class FlatTariff(_TariffPart):
    """One price."""

    kind: Literal["flat"]
    per_kwh: Price

    def tariff(self) -> Tariff:
        """As the sums take it."""
        return Tariff((Rate((Tier(self.per_kwh),)),), self.standing_charge_per_day, self.export_per_kwh)


class DayNightTariff(_TariffPart):
    """Two prices."""

    kind: Literal["day_night"]
    day_per_kwh: Price
    night_per_kwh: Price
    night_from: TimeOfDay = "00:30"
    night_to: TimeOfDay = "07:30"

    def tariff(self) -> Tariff:
        """As the sums take it."""
        night = Rate((Tier(self.night_per_kwh),), _minute(self.night_from), _minute(self.night_to), EVERY_DAY)
        return Tariff((night, Rate((Tier(self.day_per_kwh),))), self.standing_charge_per_day, self.export_per_kwh)


class TimeOfUseTariff(_TariffPart):
    """Prices by time of day, weekday and season."""

    kind: Literal["time_of_use"]
    rates: Annotated[tuple[RateSettings, ...], Field(min_length=1, max_length=100)]

    def tariff(self) -> Tariff:
        """As the sums take it."""
        return Tariff(tuple(rate.rate() for rate in self.rates), self.standing_charge_per_day, self.export_per_kwh)


class TieredTariff(_TariffPart):
    """Prices that change with the use in a month or a day."""

    kind: Literal["tiered"]
    period: Literal["day", "month"] = "month"
    tiers: Annotated[tuple[TierSettings, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        limits = [tier.up_to_kwh for tier in self.tiers]
        bounded = [limit for limit in limits[:-1] if limit is not None]
        if limits[-1] is not None or len(bounded) != len(limits) - 1 or sorted(set(bounded)) != bounded:
            raise ValueError("each tier but the last has up_to_kwh, and they rise; the last has none")
        return self

    def tariff(self) -> Tariff:
        """As the sums take it."""
        tiers = tuple(Tier(tier.per_kwh, tier.up_to_kwh) for tier in self.tiers)
        return Tariff((Rate(tiers),), self.standing_charge_per_day, self.export_per_kwh, tier_period=self.period)


class SourceSettings(_Part):
    """Where a series comes from: a file, or an address that is fetched."""

    file: str | None = None
    url: HttpUrl | None = None
    form: SeriesForm = "plain"
    scale: Annotated[float, Field(gt=0, le=1e6, description="multiplies each value, such as 0.01 for pence")] = 1.0
    every: Annotated[Span, Field(ge=timedelta(minutes=1), le=timedelta(days=7), description="how often it is read")] = timedelta(minutes=30)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("takes either file or url")
        return self


class HalfHourlyTariff(_TariffPart):
    """Prices from a file or fetched, such as Octopus Agile's."""

    kind: Literal["half_hourly"]
    source: SourceSettings
    otherwise_per_kwh: Annotated[Price | None, Field(description="where no price is known; such energy has no cost where absent")] = None

    def tariff(self) -> Tariff:
        """As the sums take it."""
        rates = () if self.otherwise_per_kwh is None else (Rate((Tier(self.otherwise_per_kwh),)),)
        return Tariff(rates, self.standing_charge_per_day, self.export_per_kwh, by_series=True)


TariffSettings = Annotated[FlatTariff | DayNightTariff | TimeOfUseTariff | TieredTariff | HalfHourlyTariff, Field(discriminator="kind")]


class BudgetSettings(_Part):
    """What may be spent."""

    month_cost: Annotated[float | None, Field(gt=0, description="in the home's currency; an alert at 80 % and at 100 %")] = None


class FleetSettings(_Part):
    """Many homes at once, instead of the one that `home.id` names; then `home.id` names this recorder. It needs PostgreSQL."""

    partitions: Annotated[
        int | None, Field(ge=1, le=1_000, description="how many the broker splits the readings into; absent where it splits nothing")
    ] = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$", description="the first level of what the broker splits")] = "hems-p"
    window: Annotated[int, Field(ge=20, le=20_000, description="messages on their way, a session")] = 2_000
    most_rows: Annotated[int, Field(ge=20, le=100_000, description="written at once, before `commit_every_s` is over")] = 5_000
    say_every_s: Annotated[float, Field(ge=0, le=3_600, description="each home's sums")] = 60


class RecorderSettings(Section):
    """What is kept, where, and what energy costs."""

    section: ClassVar[str] = "recorder"

    database: Annotated[
        SecretStr | None, AfterValidator(lambda url: url and _known_database(url)),
        Field(description="sqlite:///path or postgresql://user:password@host/name; history.db beside the services' own files where absent"),
    ] = None  # fmt: skip
    keep_raw: Annotated[
        Span, Field(ge=timedelta(days=2), le=timedelta(days=36_500), description="single readings; roll-ups stay for ever")
    ] = timedelta(days=90)
    commit_every_s: Annotated[float, Field(ge=0.05, le=60, description="readings are written together, to spare an SD card")] = 5.0
    keep_channels: Annotated[bool, Field(description="keep each input of the meter, not their sum alone")] = False
    query_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    tariff: TariffSettings | None = None
    carbon: Annotated[SourceSettings | None, Field(description="the grid's carbon intensity, g/kWh")] = None
    budget: BudgetSettings = BudgetSettings()
    fleet: Annotated[FleetSettings | None, Field(description="many homes in one process")] = None

    @model_validator(mode="after")
    def _fit_for_many(self) -> Self:
        if self.fleet is None:
            return self
        if self.database is None or not self.database.get_secret_value().startswith("postgresql://"):
            raise ValueError("the histories of many homes need PostgreSQL: set database to postgresql://user:password@host/name")
        if isinstance(self.tariff, HalfHourlyTariff) or self.carbon is not None or self.budget.month_cost is not None:
            raise ValueError("a half-hourly tariff, carbon and a budget are of one home: leave them out where fleet is set")
        return self


def _minute(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def _month_and_day(day: str) -> tuple[int, int]:
    month, day_of_month = day.split("-")
    return int(month), int(day_of_month)
