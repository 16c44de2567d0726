"""Counters, prices, carbon intensity, and questions about the past."""

from typing import Annotated, Any, Literal

from pydantic import Field

from hems.contracts.payload import KilowattHours, LongText, MessageId, Moment, Payload, ShortText

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]


class Energy(Payload):
    """What the home, or one appliance, has used."""

    as_of: Moment
    total_kwh: Annotated[KilowattHours, Field(ge=0, description="kWh; never falls")]
    today_kwh: Annotated[KilowattHours, Field(description="kWh since local midnight")]
    month_kwh: Annotated[KilowattHours, Field(description="kWh since the month began, local time")]
    today_cost: Annotated[float | None, Field(description="in `currency`")] = None
    month_cost: Annotated[float | None, Field(description="in `currency`")] = None
    currency: Currency | None = None
    rate: Annotated[float | None, Field(description="price now, `currency` per kWh")] = None
    estimated: Annotated[bool, Field(description="True where it comes from an estimated power")] = False
    exported_kwh: Annotated[float | None, Field(ge=0, description="kWh sent out, where the meter has a sign")] = None
    missed_kwh: Annotated[float | None, Field(ge=0, description="kWh estimated for the holes between readings; in no other sum")] = None


class SeriesValue(Payload):
    """A value that holds from `from` until `to`."""

    start: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="to")]
    value: float


class Series(Payload):
    """A price or a carbon intensity, as far ahead as it is known."""

    as_of: Moment
    unit: Annotated[ShortText, Field(description="GBP/kWh, gCO2/kWh, …")]
    values: Annotated[tuple[SeriesValue, ...], Field(max_length=500)]


class HistoryQuery(Payload):
    """A question to the recorder."""

    id: MessageId
    client: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="the answer comes on history/result/<client>")]
    what: Annotated[
        ShortText,
        Field(
            description="mains, energy, energy/<appliance>, appliance/<appliance>, appliances, events, relays, alerts, demand, labels,"
            " messages, price, carbon or gaps"
        ),
    ]
    start: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="to")]
    resolution: Annotated[Literal["raw", "1min", "15min", "1h", "1d", "auto"], Field(description="auto: as points allow")] = "auto"
    points: Annotated[int, Field(ge=1, le=20_000, description="a chart's width: thinned to about this many")] = 1_000


class HistoryResult(Payload):
    """A piece of an answer, at most 60 KiB."""

    id: MessageId
    piece: Annotated[int, Field(ge=0)]
    last: bool
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    error: LongText | None = None
