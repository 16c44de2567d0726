"""The actuator's section of `hems.yaml`."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hems.actor.settings import Section
from hems.contracts.payload import Identifier
from hems.contracts.relays import Level, Source
from services.actuator.domain.pins import boot_warning, refused_pin
from services.actuator.domain.rules import RelayRules


def _level(value: Any) -> Any:
    # YAML reads a bare `on` and `off` as truth values.
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return value.upper() if isinstance(value, str) and value.upper() in ("ON", "OFF") else value


State = Annotated[Level, BeforeValidator(_level)]
Duration = Annotated[float, Field(ge=0, le=7 * 86_400, description="s")]


class RelaySettings(BaseModel):
    """One relay: how it is wired, where it is safe, and what it must never do."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pin: Annotated[int | None, Field(description="BCM number, on the gpio board")] = None
    device: Annotated[
        str | None,
        Field(
            pattern=r"^[^/+#\s]{1,64}(/[1-8])?$", description="the switch's own topic, with /2 for its second relay; on the tasmota board"
        ),
    ] = None
    active: Annotated[Literal["high", "low"], Field(description="the pin's level that switches ON")] = "high"
    safe: Annotated[State, Field(description="at every start and stop, and when nobody is in charge")] = "OFF"
    resting: Annotated[State | Literal["last"], Field(description="at the end of a lease; `last` is the last command without one")] = "last"
    min_on_s: Duration = 0.0
    min_off_s: Annotated[Duration, Field(description="a compressor needs it: it holds for any return to ON")] = 0.0
    safe_overrides_min_off: Annotated[bool, Field(description="an early return to a safe ON hurts nothing")] = False
    max_on_s: Annotated[Duration | None, Field(gt=0, description="the same as max_away_s, where OFF is safe")] = None
    max_away_s: Annotated[Duration | None, Field(gt=0, description="the longest time away from safe")] = None
    rest_s: Annotated[Duration, Field(ge=1, description="so long it stays safe before its time away is counted anew")] = 60.0
    max_switches_per_hour: Annotated[int, Field(ge=2, le=3_600, description="both directions count")] = 60
    silent_after_s: Annotated[
        Duration | None, Field(ge=25, description="safe when the broker or the lease's controller is silent; they are heard every 10 s")
    ] = None
    person_holds_s: Annotated[
        Duration, Field(description="a person's command without a lease goes before the load manager for so long")
    ] = 60.0
    allow: Annotated[frozenset[Source], Field(description="who may switch it")] = frozenset({"local"})

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.pin is not None and (reason := refused_pin(self.pin)):
            raise ValueError(reason)
        if self.max_on_s is not None and self.safe == "ON":
            raise ValueError("max_on_s is for relays that are safe when OFF; use max_away_s")
        if self.safe == "ON" and not self.safe_overrides_min_off and self.min_off_s >= self.longest_away_s:
            raise ValueError("min_off_s must be shorter than max_away_s: both can't be kept")
        return self

    @property
    def longest_away_s(self) -> float:
        """The tighter of `max_on_s` and `max_away_s`; infinity where neither is set."""
        return min(self.max_on_s or float("inf"), self.max_away_s or float("inf"))

    def rules(self) -> RelayRules:
        """What the domain needs of it."""
        longest_s = self.longest_away_s
        return RelayRules(
            safe=self.safe,
            resting=None if self.resting == "last" else self.resting,
            min_on_s=self.min_on_s,
            min_off_s=self.min_off_s,
            safe_overrides_min_off=self.safe_overrides_min_off,
            max_away_s=None if longest_s == float("inf") else longest_s,
            rest_s=self.rest_s,
            max_switches_per_hour=self.max_switches_per_hour,
            silent_after_s=self.silent_after_s,
            person_holds_s=self.person_holds_s,
            allow=self.allow,
        )


class ActuatorSettings(Section):
    """Which relays there are, and what drives them."""

    section: ClassVar[str] = "actuator"

    board: Annotated[Literal["gpio", "tasmota", "simulated"], Field(description="what the relays hang on")] = "simulated"
    relays: dict[Identifier, RelaySettings] = {}
    simulated_log: Annotated[Path | None, Field(description="where the simulated board writes each change; in the storage if absent")] = (
        None
    )
    audit_entries: Annotated[int, Field(ge=1_000, le=10_000_000, description="the newest so many are kept")] = 100_000

    @model_validator(mode="after")
    def _wired(self) -> Self:
        key = {"gpio": "pin", "tasmota": "device"}.get(self.board)
        if key is None:
            return self
        places = [getattr(relay, key) for relay in self.relays.values()]
        if None in places:
            name = list(self.relays)[places.index(None)]
            raise ValueError(f"relay {name!r} has no {key!r}; the {self.board} board needs one")
        if len(set(places)) < len(places):
            raise ValueError(f"two relays have the same {key!r}: each needs its own")
        if alone := next((place for place in places if any(str(other).startswith(f"{place}/") for other in places)), None):
            raise ValueError(f"'device' {alone!r} has several relays: write {alone}/1 for its first")
        return self

    def warnings(self) -> list[str]:
        """What a person should know of the wiring before the first switch."""
        if self.board != "gpio":
            return []
        found = (
            (name, boot_warning(relay.pin or 0, active_high=relay.active == "high", safe=relay.safe)) for name, relay in self.relays.items()
        )
        return [f"{name}: {warning}" for name, warning in found if warning]
