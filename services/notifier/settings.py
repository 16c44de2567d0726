"""The notifier's section of `hems.yaml`."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from hems.actor.settings import Section
from hems.contracts.payload import Identifier
from services.notifier.domain.account import Account
from services.notifier.domain.desk import Recipient
from services.notifier.domain.hours import DayHours
from services.notifier.rule_settings import AnyRule, Duration, Hours, with_defaults

_SPACING = re.compile(r"[\s().-]")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


def phone_number(text: str) -> str:
    """A number with its country code, the spacing taken out.

    Raises:
        ValueError: it is written another way.
    """
    number = _SPACING.sub("", text)
    if not _E164.fullmatch(number):
        raise ValueError("not a phone number with its country code; one is '+447700900123'")
    return number


PhoneNumber = Annotated[str, AfterValidator(phone_number)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+"), AfterValidator(lambda url: url.rstrip("/"))]


class RecipientSettings(BaseModel):
    """A person: where they are reached, and when they are left alone."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    sms: Annotated[PhoneNumber | None, Field(description="the number, with its country code")] = None
    ntfy: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="a topic; used where there is no SMS")] = None
    quiet_hours: Annotated[Hours | None, Field(description="held back in these, local time; alerts that are critical are not")] = None

    def addresses(self) -> tuple[tuple[str, str], ...]:
        """The channels and addresses, the preferred first."""
        known = (("sms", self.sms), ("ntfy", self.ntfy))
        return tuple((channel, address) for channel, address in known if address is not None)


class TwilioSettings(BaseModel):
    """The account at Twilio; nothing is sent by SMS while it is absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    account_sid: Annotated[str | None, Field(pattern=r"^AC[0-9a-fA-F]{32}$")] = None
    auth_token: Annotated[SecretStr | None, Field(description="or the secret of the API key")] = None
    api_key_sid: Annotated[str | None, Field(pattern=r"^SK[0-9a-fA-F]{32}$", description="an API key, in place of the account itself")] = (
        None
    )
    from_number: Annotated[PhoneNumber | None, Field(description="a number of the account")] = None
    messaging_service_sid: Annotated[str | None, Field(pattern=r"^MG[0-9a-fA-F]{32}$", description="in place of from_number")] = None
    base_url: Annotated[Url, Field(description="of Twilio, or of a proxy before it")] = "https://api.twilio.com"
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20.0
    look_up_after_s: Annotated[float, Field(ge=0, le=600, description="an attempt without an answer is looked up no earlier")] = 10.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = (self.account_sid, self.auth_token, self.from_number or self.messaging_service_sid)
        if any(given) and not all(given):
            raise ValueError(
                "an account needs account_sid, from_number (or messaging_service_sid), and the token in the environment, "
                "HEMS_NOTIFIER__TWILIO__AUTH_TOKEN: all three or none"
            )
        return self

    def account(self) -> Account | None:
        """The account as it is used; None where there is none."""
        if self.account_sid is None or self.auth_token is None:
            return None
        return Account(
            sid=self.account_sid,
            username=self.api_key_sid or self.account_sid,
            password=self.auth_token.get_secret_value(),
            sender=self.from_number,
            messaging_service_sid=self.messaging_service_sid,
            base_url=self.base_url,
            timeout_s=self.timeout_s,
        )


class NtfySettings(BaseModel):
    """An ntfy server, for messages to a phone's app."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: Url = "https://ntfy.sh"
    token: SecretStr | None = None
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20.0


class AnswerSettings(BaseModel):
    """What people text back, such as STATUS, MENU, MUTE 2H, OFF HEATER, WRONG."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll_every: Annotated[
        Duration | None,
        Field(ge=timedelta(seconds=5), le=timedelta(seconds=60), description="how often Twilio is asked for them; never where absent"),
    ] = None


def _default_rules(given: Any) -> Any:
    if given in ("default", None):
        return with_defaults({})
    return with_defaults(cast("Mapping[str, Any]", given)) if isinstance(given, Mapping) else given


class NotifierSettings(Section):
    """Who is told what, when, and by which way."""

    section: ClassVar[str] = "notifier"

    recipients: dict[Identifier, RecipientSettings] = {}
    rules: Annotated[
        dict[Identifier, AnyRule],
        BeforeValidator(_default_rules, json_schema_input_type=Any),
        Field(description="`default`, or changes to the defaults by name: `off`, single keys, or rules of one's own with `when`"),
    ] = "default"  # pyright: ignore[reportAssignmentType] - validated: the word stands for the rules that come with the product
    daily_cap: Annotated[int, Field(ge=1, le=200, description="messages a day to one recipient")] = 10
    gather: Annotated[Duration, Field(description="what happens within this time goes out together")] = timedelta(seconds=30)
    twilio: TwilioSettings = TwilioSettings()
    ntfy: NtfySettings = NtfySettings()
    answers: AnswerSettings = AnswerSettings()

    @model_validator(mode="after")
    def _recipients_exist(self) -> Self:
        for name, rule in self.rules.items():
            unknown = sorted(set(rule.recipients or ()) - set(self.recipients))
            if unknown:
                raise ValueError(f"rules.{name}.recipients names {unknown[0]!r}, who is not among the recipients")
        return self

    def people(self) -> dict[str, Recipient]:
        """The recipients; where none is set, one called `me`, so that what would be sent can be seen."""
        if not self.recipients:
            return {"me": Recipient("me")}
        return {
            name: Recipient(name, DayHours.parse(person.quiet_hours) if person.quiet_hours else None)
            for name, person in self.recipients.items()
        }
