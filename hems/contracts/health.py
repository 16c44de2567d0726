"""How the services are."""

from typing import Annotated, ClassVar, Self

from pydantic import Field

from hems.contracts.payload import LongText, MalformedPayload, Moment, Payload


class YesOrNo(Payload):
    """Whether its one field holds, as one of the two words of `plain`: yes first."""

    is_json: ClassVar[bool] = False

    def to_wire(self) -> bytes:
        """The plain word."""
        yes, no = self.plain.split("|")
        return (yes if all(dict(self).values()) else no).encode()

    @classmethod
    def from_wire(cls, raw: bytes) -> Self:
        """The plain word.

        Raises:
            MalformedPayload: it is another word.
        """
        yes, no = cls.plain.split("|")
        if raw not in (yes.encode(), no.encode()):
            raise MalformedPayload(f"payload: neither '{yes}' nor '{no}'")
        return cls(**dict.fromkeys(cls.model_fields, raw == yes.encode()))


class ServiceStatus(YesOrNo):
    """`online` or `offline`, plain; the last will says `offline`."""

    plain: ClassVar[str] = "online|offline"

    online: bool


class ServiceHealth(Payload):
    """What a service has done lately, and what stands in its way."""

    at: Moment
    version: str
    started_at: Moment
    work: Annotated[dict[str, int], Field(description="counters of work done since the start")] = {}
    errors: Annotated[dict[str, int], Field(description="counters of what went wrong since the start")] = {}
    gauges: Annotated[dict[str, float], Field(description="figures of the moment, the unit in the name")] = {}
    backlog: Annotated[int, Field(ge=0, description="messages accepted and not yet acknowledged by the broker")] = 0
    blind: Annotated[LongText | None, Field(description="why it can't do its work now")] = None
    configuration_error: LongText | None = None


class Missed(Payload):
    """A reader whose session the broker lost asks all to say again what they still keep."""

    at: Moment


class BrokerUptime(Payload):
    """Mosquitto's own `1234 seconds`: how long the broker has run."""

    plain: ClassVar[str] = "[0-9]+ seconds"
    is_json: ClassVar[bool] = False

    seconds: Annotated[int, Field(ge=0)]

    def to_wire(self) -> bytes:
        """As Mosquitto writes it."""
        return b"%d seconds" % self.seconds

    @classmethod
    def from_wire(cls, raw: bytes) -> Self:
        """As Mosquitto writes it.

        Raises:
            MalformedPayload: it begins with no number.
        """
        number = raw[:20].split(b" ")[0]
        if not number.isdigit():
            raise MalformedPayload("payload: not a number of seconds")
        return cls(seconds=int(number))


class TasmotaPresence(YesOrNo):
    """Tasmota's own plain `Online` or `Offline`; its last will says `Offline`."""

    plain: ClassVar[str] = "Online|Offline"

    online: bool


class TasmotaPower(YesOrNo):
    """Tasmota's own plain `ON` or `OFF`."""

    plain: ClassVar[str] = "ON|OFF"

    on: bool
