"""The bridge's section of `hems.yaml`."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from hems.actor.configuration import Configuration
from hems.actor.settings import Section
from hems.contracts.payload import Identifier
from services.bridge_adafruit.domain import feeds as mapping
from services.bridge_adafruit.domain.hooks import Action, Hook
from services.bridge_adafruit.domain.triggers import Rule, When
from services.bridge_adafruit.hook_settings import AnyHook, HookName, folded


def _known_topic(topic: str) -> str:
    if topic == mapping.APPLIANCES or re.fullmatch(r"relay/[a-z0-9_-]{1,32}", topic) or _payload(topic):
        return topic
    raise ValueError("is one of mains, energy, energy/<appliance>, appliance/<appliance>, appliances, demand and relay/<relay>")


def _payload(topic: str) -> type[BaseModel] | None:
    start, slash, name = topic.partition("/")
    if slash and not re.fullmatch(r"[a-z0-9_-]{1,32}", name):
        return None
    return mapping.PAYLOADS.get(start + slash)


Key = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$", description="lower case, digits and '-'")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+"), AfterValidator(lambda url: url.rstrip("/"))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FeedSettings(_Part):
    """What one feed shows."""

    topic: Annotated[str, AfterValidator(_known_topic)]
    field: Annotated[str, Field(description="of the topic's payload; none for appliances and relays")] = ""
    name: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    every_s: Annotated[float, Field(ge=0, le=86_400, description="the least time between two points; 0 shows each change at once")] = 60.0
    decimals: Annotated[int, Field(ge=0, le=6)] = 2
    unit: Annotated[str, Field(max_length=16)] = ""
    most: Annotated[float | None, Field(gt=0, description="the end of its gauge's scale; no gauge where absent")] = None

    @model_validator(mode="after")
    def _field_exists(self) -> Self:
        payload = _payload(self.topic)
        if payload is None and self.field:
            raise ValueError(f"{self.topic} takes no field")
        if payload is not None and self.field not in payload.model_fields:
            raise ValueError(f"{self.topic} has no field {self.field!r}; it has {', '.join(payload.model_fields)}")
        if self.topic == "mains" and self.every_s < 1:
            raise ValueError("every_s: the mains changes all the time; take 1 or more")
        return self

    def feed(self, key: str) -> mapping.Feed:
        """As the bridge uses it: the appliances, the demand and a relay are states."""
        at_once = self.topic in (mapping.APPLIANCES, "demand") or self.topic.startswith(mapping.RELAY)
        name = self.name or mapping.readable(key).capitalize()
        return mapping.Feed(key, name, self.topic, self.field, 0 if at_once else self.every_s, self.decimals, self.unit, self.most)


class EventSettings(_Part):
    """One event at IFTTT."""

    event: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$", description="its name at IFTTT")]
    when: When
    appliance: Annotated[Identifier | None, Field(description="only this one; for started and finished")] = None
    severity: Annotated[Literal["info", "warning", "critical"], Field(description="this and worse; for alert")] = "warning"


class IftttSettings(_Part):
    """What IFTTT is told."""

    key: Annotated[SecretStr | None, Field(description="of the Webhooks service; from the environment")] = None
    events: tuple[EventSettings, ...] = ()
    base_url: Url = "https://maker.ifttt.com"
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20.0

    def rules(self) -> tuple[Rule, ...]:
        """As the bridge uses them."""
        return tuple(Rule(event.event, event.when, event.appliance, event.severity) for event in self.events)


class MqttSettings(_Part):
    """Adafruit's broker."""

    host: str = "io.adafruit.com"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8_883
    tls: bool = True
    ca_file: Annotated[str | None, Field(description="the authority that signed its certificate, where it is not a public one")] = None
    reconnect_s: Annotated[float, Field(gt=0, le=3_600, description="the first wait; Adafruit asks for 10 at least")] = 10.0


class HttpSettings(_Part):
    """Adafruit's HTTP API."""

    base_url: Url = "https://io.adafruit.com/api/v2"
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20.0


class BridgeAdafruitSettings(Section):
    """The dashboard in the cloud, and who may ask from there."""

    section: ClassVar[str] = "bridge_adafruit"

    username: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_]{1,64}$", description="at Adafruit IO; off while absent")] = None
    key: Annotated[SecretStr | None, Field(description="the AIO key; from the environment")] = None
    group: Annotated[Key, Field(description="of the feeds, and of the dashboard's address")] = "home"
    feeds: Annotated[dict[Key, FeedSettings] | None, Field(description="what is shown; power, energy, … where absent")] = None
    relays: Annotated[tuple[Identifier, ...] | None, Field(description="those with a toggle; the actuator's where absent")] = None
    points_per_minute: Annotated[int, Field(ge=10, le=10_000, description="of the account: 30 on the free plan, 60 on a paid one")] = 30
    most_feeds: Annotated[int | None, Field(ge=1, description="that the account may have: 10 on the free plan")] = 10
    kept_points: Annotated[int, Field(ge=10, le=1_000, description="of each feed, while the cloud is away")] = 60
    orders: Annotated[Key | None, Field(description="a feed that takes the names of hooks, for voices; it counts among the feeds")] = None
    mqtt: MqttSettings = MqttSettings()
    http: HttpSettings = HttpSettings()
    hooks: Annotated[dict[HookName, AnyHook], BeforeValidator(folded)] = {}
    hooks_host: Annotated[str, Field(description="where hooks are listened for")] = "127.0.0.1"
    hooks_port: Annotated[int, Field(ge=0, le=65_535)] = 8_090
    ifttt: IftttSettings = IftttSettings()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.username is None and self.key is not None:
            raise ValueError("there is a key but no username; set bridge_adafruit.username")
        if self.username is not None and self.key is None:
            raise ValueError(
                "there is a username but no key; set key_file to the name of a file that holds it, or HEMS_BRIDGE_ADAFRUIT__KEY"
            )
        return self

    def shown(self, relays: Sequence[str], locked: Collection[str] = ()) -> tuple[tuple[mapping.Feed, ...], tuple[mapping.Feed, ...]]:
        """The feeds that fit, and those that don't.

        Args:
            relays: the home's, for where none are set here; those with a toggle come first.
            locked: relays that may not be switched from Adafruit IO.
        """
        relays = sorted(relays, key=lambda relay: relay in locked)
        chosen = mapping.DEFAULTS if self.feeds is None else tuple(feed.feed(key) for key, feed in self.feeds.items())
        most = None if self.most_feeds is None else max(0, self.most_feeds - (self.orders is not None))
        fitting, left_out = mapping.fitting(chosen, relays if self.relays is None else self.relays, most)
        return tuple(replace(feed, locked=feed.relay in locked) for feed in fitting), left_out

    def actions(self) -> dict[str, Action]:
        """What each hook does."""
        return {name: hook.does() for name, hook in self.hooks.items()}

    def opened(self) -> dict[str, Hook]:
        """The hooks that have a secret.

        Raises:
            ValueError: a secret's file can't be used; the message names the hook.
        """
        found: dict[str, Hook] = {}
        for name, hook in self.hooks.items():
            try:
                secret = hook.opened_by()
            except ValueError as error:
                raise ValueError(f"bridge_adafruit.hooks.{name}: {error}") from None
            if secret is not None:
                found[name] = Hook(name, hook.does(), secret, hook.signed)
        return found


def relays_of(configuration: Configuration) -> tuple[str, ...]:
    """The names of the home's relays, as the actuator's section lists them."""
    return tuple(_relays(configuration))


def locked_of(configuration: Configuration) -> frozenset[str]:
    """The relays whose `allow` does not list `adafruit`."""
    return frozenset(name for name, relay in _relays(configuration).items() if "adafruit" not in _allowed(relay))


def _relays(configuration: Configuration) -> dict[str, Any]:
    relays: Any = configuration.sections.get("actuator", {}).get("relays")
    known = cast("Mapping[Any, Any]", relays) if isinstance(relays, Mapping) else dict[Any, Any]()
    return {str(name): relay for name, relay in known.items() if re.fullmatch(r"[a-z0-9_-]{1,32}", str(name))}


def _allowed(relay: Any) -> Sequence[Any]:
    allow: Any = cast("Mapping[str, Any]", relay).get("allow") if isinstance(relay, Mapping) else None
    return cast("list[Any]", allow) if isinstance(allow, list) else ()
