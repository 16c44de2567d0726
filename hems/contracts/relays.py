"""Switching loads: commands, states, and the answer that each command gets."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from hems.contracts.payload import Identifier, LongText, MalformedPayload, MessageId, Moment, Payload, Seconds

Level = Literal["ON", "OFF"]
Source = Literal["local", "adafruit", "webhook", "sms", "load_manager", "dashboard", "fleet"]

NOTHING = "there is nothing in it; a command is ON, OFF, 1 or 0, or JSON"
"""What is wrong with an empty command. Retained, it is none: it clears a retained one."""

_BARE: dict[bytes, Level] = {b"ON": "ON", b"OFF": "OFF", b"1": "ON", b"0": "OFF"}


class RelayCommand(Payload):
    """Ask a relay for a state. People may type the bare `ON`, `OFF`, `1` or `0`, which is stamped on arrival."""

    plain: ClassVar[str] = "|".join(word.decode() for word in _BARE)

    state: Literal["ON", "OFF", "TOGGLE"]
    id: Annotated[MessageId | None, Field(description="the same id switches once; TOGGLE needs one")] = None
    issued_at: Moment | None = None
    expires_at: Moment | None = None
    for_s: Annotated[Seconds | None, Field(gt=0, description="a lease, s: at its end the relay rests")] = None

    @classmethod
    def from_wire(cls, raw: bytes) -> Self:
        """JSON, or one of the four bare forms."""
        word = raw.strip()
        if not word:
            raise MalformedPayload(NOTHING)
        if word not in _BARE and not word.startswith(b"{"):
            raise MalformedPayload('neither ON, OFF, 1 or 0, nor JSON such as {"state": "ON"}')
        command = cls(state=_BARE[word]) if word in _BARE else super().from_wire(raw)
        if command.state == "TOGGLE" and command.id is None:
            raise MalformedPayload("id: TOGGLE needs an id, so that saying it again does not switch back")
        return command


class RelayState(Payload):
    """Where a relay stands, and how that is known."""

    state: Level
    how: Annotated[Literal["read_back", "commanded"], Field(description="read from the pin, or only what was last asked of it")]
    changed_at: Moment
    until: Annotated[Moment | None, Field(description="end of the lease in force")] = None
    source: Annotated[Identifier | None, Field(description="who asked; absent for the safe and the resting state")] = None


class RelayResult(Payload):
    """The answer to one command."""

    id: MessageId | None = None
    source: Source
    accepted: bool
    reason: Annotated[LongText | None, Field(description="why it was refused, or what was done instead")] = None
