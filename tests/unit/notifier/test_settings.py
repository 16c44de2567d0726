"""The notifier's section of hems.yaml."""

from datetime import time, timedelta
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from services.notifier.domain.home_rules import AlertRaised
from services.notifier.domain.hours import DayHours
from services.notifier.domain.report_rules import Budget, Digest
from services.notifier.domain.rule import Limit
from services.notifier.rule_settings import DEFAULT_RULES, OPTIONAL_RULES
from services.notifier.settings import NotifierSettings


def read(text: str, **environment: str) -> NotifierSettings:
    """The section, as it stands in a file."""
    return NotifierSettings.read(yaml.safe_load(text), environment)


def test_a_phone_number_is_enough() -> None:
    """The rules that come with the product are on, and the number may be written as people write it."""
    settings = read("recipients: {me: {sms: '+44 7700 900-123', quiet_hours: '22:00-07:00'}}\nrules: default")
    assert settings.recipients["me"].sms == "+447700900123"
    assert set(settings.rules) == set(DEFAULT_RULES)
    assert settings.people()["me"].quiet == DayHours(time(22), time(7))


def test_rules_are_changed_by_name() -> None:
    """`off` takes one away, `on` brings one that rests, single keys change one, `when` makes a new one."""
    settings = read("""
        recipients: {me: {sms: '+447700900123'}}
        rules:
          finished: off
          daily_digest: on
          weekly_digest: {at: 20:00, weekday: sun}
          monthly_budget: {cost: 90}
          night_oven: {when: unusual_hours, appliances: [oven], hours: "23:00-06:00", at_most: 1, per: 2d, quiet_hours: none}
    """)
    assert "finished" not in settings.rules
    assert isinstance(settings.rules["daily_digest"].build("d"), Digest)
    weekly = settings.rules["weekly_digest"].build("w")
    assert isinstance(weekly, Digest)
    assert (weekly.at, weekly.weekday) == (time(20), 6)
    budget = settings.rules["monthly_budget"].build("b")
    assert isinstance(budget, Budget)
    assert (budget.period, budget.cost, budget.warn_at) == ("month", 90, 0.8)
    night = settings.rules["night_oven"].build("n")
    assert (night.limit, night.quiet) == (Limit(1, timedelta(days=2)), "none")


def test_every_rule_of_the_product_can_be_built() -> None:
    """All of them, those that rest too."""
    settings = NotifierSettings.read({"rules": dict.fromkeys(OPTIONAL_RULES, True)}, {})
    assert set(settings.rules) == {*DEFAULT_RULES, *OPTIONAL_RULES}
    assert all(rule.build(name).name == name for name, rule in settings.rules.items())
    assert isinstance(settings.rules["alerts"].build("a"), AlertRaised)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("recipients: {me: {sms: '0770'}}", "country code"),
        ("recipients: {me: {sms: '+447700900123', quiet_hours: '22-7'}}", "span of the day"),
        ("rules: {finished: {colour: red}}", "Extra inputs"),
        ("rules: {mine: {when: never}}", "never"),
        ("rules: {mine: {appliances: [oven]}}", "when"),
        ("rules: {mine: 5}", "dictionary"),
        ("rules: {finished: {text: 'done {nobody}'}}", "not known here"),
        ("rules: {finished: {useful_for: tomorrow}}", "length of time"),
        ("rules: {finished: {recipients: [bob]}}", "bob"),
        ("rules: {power: {above_w: -1}}", "greater than 0"),
        ("twilio: {account_sid: AC00000000000000000000000000000000}", "all three or none"),
        ("twilio: {account_sid: secret}", "pattern"),
        ("answers: {poll_every: often}", "length of time"),
    ],
)
def test_a_mistake_is_named(text: str, complaint: str) -> None:
    """Where it stands, and what would be right."""
    with pytest.raises(ValidationError, match=complaint):
        read(text)


def test_secrets_come_from_the_environment_and_stay_hidden() -> None:
    """The token is never in the file, and never in what is printed."""
    account = "twilio: {account_sid: AC00000000000000000000000000000000, from_number: '+15005550006'}"
    settings = read(account, HEMS_NOTIFIER__TWILIO__AUTH_TOKEN="hush")
    known: Any = settings.twilio.account()
    assert known.password == "hush"
    assert "hush" not in repr(settings)
    assert "hush" not in repr(known)
