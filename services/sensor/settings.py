"""The sensor's section of `hems.yaml`."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hems.actor.settings import Section
from services.sensor.domain.mains import Voltmeter, Wiring
from services.sensor.domain.profiles import MeterProfile, layouts
from services.sensor.domain.readings import MOST_CHANNELS
from services.sensor.domain.rpict import channels_of

Channel = Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
Port = Annotated[
    str, Field(min_length=1, description="a path below /dev; one in /dev/serial/by-id keeps its name when replugged; or socket://host:port")
]
Baud = Literal[1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 74_880, 115_200, 230_400, 250_000, 460_800, 921_600]


def _readable_columns(names: list[str] | None) -> list[str] | None:
    layouts("rpict3t1", names)
    return names


class MeterSettings(BaseModel):
    """The meter on the incoming supply."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    port: Port = "/dev/ttyAMA0"
    baud: Baud = 38_400
    profile: Annotated[MeterProfile, Field(description="what its lines look like")] = "rpict3t1"
    columns: Annotated[
        list[str] | None, AfterValidator(_readable_columns), Field(description="the order of its columns, where no profile fits")
    ] = None
    node_id: Annotated[int | None, Field(ge=0, le=255, description="take only this node's lines")] = None
    mains_channels: Annotated[list[Channel], Field(min_length=1, description="inputs on the incoming supply; only they are summed")] = [1]
    invert: Annotated[list[Channel], Field(description="inputs whose clamp sits the wrong way round, on meters with a sign")] = []
    power_factor: Annotated[float, Field(gt=0, le=1, description="assumed where only current is measured")] = 0.95
    vest_v: Annotated[float, Field(ge=50, le=500, description="the voltage that the board multiplies its currents by")] = 230.0
    scale: Annotated[float, Field(gt=0, le=100, description="multiplies its powers and currents, to calibrate it")] = 1.0
    silent_after_s: Annotated[float, Field(ge=5, le=86_400, description="no valid line for so long raises an alert")] = 90.0

    @model_validator(mode="after")
    def _inputs_exist(self) -> Self:
        known = channels_of(layouts(self.profile, self.columns))
        absent = sorted({*self.mains_channels, *self.invert} - known)
        if known and absent:
            raise ValueError(f"input {absent[0]} is not among those of this meter: {', '.join(map(str, sorted(known)))}")
        if len(set(self.mains_channels)) < len(self.mains_channels):
            raise ValueError("mains_channels names an input twice; it would be counted twice")
        return self


class VoltageSettings(BaseModel):
    """A voltage sensor of its own; it may also say the `voltage` topic by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    port: Annotated[Port | None, Field(description="none where absent")] = None
    baud: Baud = 115_200
    profile: Literal["zmpt101b"] = "zmpt101b"
    scale: Annotated[float, Field(gt=0, le=1_000, description="multiplies what it prints, to calibrate it")] = 1.0
    valid_for_s: Annotated[float, Field(gt=0, le=3_600, description="a voltage older than this is not used")] = 10.0


class SensorSettings(Section):
    """Which meter stands where, and how it is wired."""

    section: ClassVar[str] = "sensor"

    meter: MeterSettings = MeterSettings()
    voltage: VoltageSettings = VoltageSettings()

    def wiring(self, nominal_voltage_v: float) -> Wiring:
        """How the meter is wired, for a supply of this voltage."""
        meter = self.meter
        return Wiring(
            mains_channels=tuple(meter.mains_channels),
            invert=frozenset(meter.invert),
            power_factor=meter.power_factor,
            vest_v=meter.vest_v,
            nominal_voltage_v=nominal_voltage_v,
            node_id=meter.node_id,
            scale=meter.scale,
        )

    def voltmeter(self, nominal_voltage_v: float) -> Voltmeter:
        """A voltmeter that has read nothing yet."""
        return Voltmeter(nominal_voltage_v, timedelta(seconds=self.voltage.valid_for_s))
