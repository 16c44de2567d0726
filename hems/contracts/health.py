"""How the services are."""

from typing import Annotated, ClassVar, Self

from pydantic import Field

from hems.contracts.payload import LongText, MalformedPayload, Moment, Payload


class ServiceStatus(Payload):
    """`online` or `offline`, plain; the last will says `offline`."""

    plain: ClassVar[str] = "online|offline"
    is_json: ClassVar[bool] = False

    online: bool

    def to_wire(self) -> bytes:
        """The plain word."""
        return b"online" if self.online else b"offline"

    @classmethod
    def from_wire(cls, raw: bytes) -> Self:
        """The plain word.

        Raises:
            MalformedPayload: it is another word.
        """
        if raw not in (b"online", b"offline"):
            raise MalformedPayload("payload: neither 'online' nor 'offline'")
        return cls(online=raw == b"online")


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


class TasmotaPresence(Payload):
    """Tasmota's own plain `Online` or `Offline`; its last will says `Offline`."""

    plain: ClassVar[str] = "Online|Offline"
    is_json: ClassVar[bool] = False

    online: bool

    def to_wire(self) -> bytes:
        """The plain word."""
        return b"Online" if self.online else b"Offline"

    @classmethod
    def from_wire(cls, raw: bytes) -> Self:
        """The plain word.

        Raises:
            MalformedPayload: it is another word.
        """
        if raw not in (b"Online", b"Offline"):
            raise MalformedPayload("payload: neither 'Online' nor 'Offline'")
        return cls(online=raw == b"Online")


class TasmotaPower(Payload):
    """Tasmota's own plain `ON` or `OFF`."""

    plain: ClassVar[str] = "ON|OFF"
    is_json: ClassVar[bool] = False

    on: bool

    def to_wire(self) -> bytes:
        """The plain word."""
        return b"ON" if self.on else b"OFF"

    @classmethod
    def from_wire(cls, raw: bytes) -> Self:
        """The plain word.

        Raises:
            MalformedPayload: it is another word.
        """
        if raw not in (b"ON", b"OFF"):
            raise MalformedPayload("payload: neither 'ON' nor 'OFF'")
        return cls(on=raw == b"ON")
