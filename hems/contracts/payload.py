"""The base of every payload, and the field types that payloads share."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

LONGEST_PACKET_BYTES = 65_536
"""The broker refuses larger packets (`broker/mosquitto.conf`)."""


class MalformedPayload(ValueError):
    """A payload that does not follow its contract; the message says where and why, in one line."""


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside the years 1 to 9999 in UTC") from None


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")


Moment = Annotated[
    AwareDatetime,
    AfterValidator(_to_utc),
    PlainSerializer(_iso, return_type=str, when_used="json"),
    Field(description="UTC, ISO 8601 with an offset"),
]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")]
"""A home, relay, appliance or service: some brokers stumble over dots and spaces in a topic."""
MessageId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Confidence = Annotated[float, Field(ge=0, le=1, description="calibrated probability, 0..1")]
Watts = Annotated[float, Field(ge=-1e6, le=1e6, description="W")]
Volts = Annotated[float, Field(ge=0, le=1e4, description="V, RMS")]
Amperes = Annotated[float, Field(ge=-1e4, le=1e4, description="A, RMS")]
KilowattHours = Annotated[float, Field(description="kWh")]
Seconds = Annotated[float, Field(ge=0, le=366 * 86_400, description="s")]
ShortText = Annotated[str, Field(max_length=200)]
LongText = Annotated[str, Field(max_length=2_000)]


class Payload(BaseModel):
    """A frozen JSON object. Unknown fields are ignored; numbers are finite; times carry an offset."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    plain: ClassVar[str] = ""
    """A regular expression of the plain text that stands for the payload on the wire; empty where there is none."""
    is_json: ClassVar[bool] = True
    """False where the plain text is the only form."""

    def to_wire(self) -> bytes:
        """The bytes on the topic: compact JSON, fields without a value left out."""
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def from_wire(cls, raw: bytes) -> Self:
        """Read the bytes of a topic.

        Raises:
            MalformedPayload: the bytes are not JSON, or break the contract.
        """
        try:
            return cls.model_validate_json(raw)
        except ValidationError as error:
            raise MalformedPayload(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    problems = (f"{'.'.join(map(str, problem['loc'])) or 'payload'}: {problem['msg']}" for problem in error.errors(include_input=False))
    told = "; ".join(list(problems)[:5])
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in told)
