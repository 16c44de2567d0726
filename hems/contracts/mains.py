"""What the home draws, as the meter on the incoming supply says."""

from typing import Annotated, Literal

from pydantic import Field

from hems.contracts.payload import Amperes, Moment, Payload, Volts, Watts

Quality = Literal["measured", "estimated"]
"""`measured`: real power from voltage and current sampled together; `estimated`: from a current and a power factor."""


class Mains(Payload):
    """One reading of the whole home."""

    measured_at: Moment
    power_w: Annotated[Watts, Field(description="real power, W; negative exports, where the meter has a sign")]
    quality: Quality
    apparent_power_va: Annotated[float | None, Field(ge=-1e6, le=1e6, description="VA")] = None
    voltage_v: Volts | None = None
    current_a: Amperes | None = None
    power_factor: Annotated[float | None, Field(ge=-1, le=1)] = None
    channels: Annotated[dict[str, Watts] | None, Field(description="W or VA per input of the meter, as it said them", max_length=32)] = None
    temperature_c: Annotated[float | None, Field(ge=-60, le=150, description="degrees Celsius")] = None


class Voltage(Payload):
    """The mains voltage, said by a device of its own."""

    measured_at: Moment | None = None
    voltage_v: Volts
