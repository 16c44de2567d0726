"""The webhooks in `hems.yaml`: one class for each `action`."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from hems.contracts.demand import DemandLevel
from hems.contracts.payload import Identifier
from services.bridge_adafruit.domain.hooks import Action, AskForLess, Mute, SwitchRelay

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_SHORTEST_SECRET = 16


def _span(value: Any) -> Any:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)", value.strip()) if isinstance(value, str) else None
    return timedelta(**{_UNITS[match[2]]: float(match[1])}) if match else value


def _level(value: Any) -> Any:
    """YAML reads a bare ON as True."""
    return ("ON" if value else "OFF") if isinstance(value, bool) else value


HookName = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
Span = Annotated[timedelta, BeforeValidator(_span, json_schema_input_type=str), Field(gt=timedelta(), le=timedelta(days=7))]
State = Annotated[Literal["ON", "OFF", "TOGGLE"], BeforeValidator(_level)]


class _HookPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret: Annotated[SecretStr | None, Field(description="from the environment; the hook is shut while there is none")] = None
    secret_file: Annotated[Path | None, Field(description="a file that holds it")] = None
    signed: Annotated[bool, Field(description="take only requests that are signed with the secret")] = False

    @model_validator(mode="after")
    def _secret_is_long(self) -> Self:
        if self.secret is not None and len(self.secret.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(f"secret: has fewer than {_SHORTEST_SECRET} characters; make one with `openssl rand -hex 24`")
        return self

    def opened_by(self) -> str | None:
        """The secret, or None.

        Raises:
            ValueError: the file can't be read, or holds too short a secret.
        """
        if self.secret is not None or self.secret_file is None:
            return self.secret.get_secret_value() if self.secret else None
        try:
            secret = self.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file {self.secret_file} can't be read: {error}") from None
        if len(secret) < _SHORTEST_SECRET:
            raise ValueError(
                f"the file {self.secret_file} holds fewer than {_SHORTEST_SECRET} characters; make one with `openssl rand -hex 24`"
            )
        return secret


class RelayHook(_HookPart):
    """Switches a relay."""

    action: Literal["relay"]
    relay: Identifier
    state: State
    lasting: Annotated[Span | None, Field(alias="for", description="a lease: at its end the relay rests")] = None

    def does(self) -> Action:
        """The action."""
        return SwitchRelay(self.relay, self.state, self.lasting.total_seconds() if self.lasting else None)


class DemandHook(_HookPart):
    """Begins a demand event."""

    action: Literal["demand"]
    level: DemandLevel
    lasting: Annotated[Span, Field(alias="for")]

    def does(self) -> Action:
        """The action."""
        return AskForLess(self.level, self.lasting.total_seconds())


class MuteHook(_HookPart):
    """Mutes the notifier."""

    action: Literal["mute"]
    lasting: Annotated[Span, Field(alias="for")]

    def does(self) -> Action:
        """The action."""
        return Mute(self.lasting.total_seconds())


AnyHook = Annotated[RelayHook | DemandHook | MuteHook, Field(discriminator="action")]


def folded(given: Any) -> Any:
    """`HEMS_BRIDGE_ADAFRUIT__HOOKS__GOOD_NIGHT__SECRET` is meant for `good-night`: a shell takes no `-` in a name."""
    if not isinstance(given, Mapping):
        return given
    hooks = dict(cast("Mapping[Any, Any]", given))
    for name in [name for name in hooks if isinstance(name, str) and "_" in name]:
        hook, extra = hooks.get(meant := name.replace("_", "-")), hooks[name]
        if isinstance(hook, Mapping) and isinstance(extra, Mapping) and "action" not in extra:
            hooks[meant] = {**cast("Mapping[str, Any]", hook), **hooks.pop(name)}
    return hooks
