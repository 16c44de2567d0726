"""`hems setup phone`: where messages go, and a test message."""

import re
from collections.abc import Mapping
from typing import Any

from hems.actor.settings import StorageSettings
from hems.setting_up.commands import run_hems
from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.conversation import Conversation
from hems.setting_up.places import load
from hems.setting_up.private_file import write_private
from services.notifier.settings import NotifierSettings, phone_number

_WAYS = {
    "sms": "text messages, through an account of yours at Twilio",
    "ntfy": "the free ntfy app, no account",
    "none": "no messages; `hems messages` shows what would be sent",
}


def ask(talk: Conversation, file: ConfigurationFile) -> None:
    """Ask for the way and the account; the token goes into a file of its own."""
    talk.say("\nMessages to your phone: few, each worth reading (docs/notifications.md).")
    known = file.part("notifier", "recipients", "me")
    way = talk.choose("By which way?", _WAYS, next((name for name in ("sms", "ntfy") if name in known), "none"))
    if way == "none":
        if known:
            _send_nothing(talk, file)
        return
    address = _ask_sms(talk, file, known) if way == "sms" else _ask_ntfy(talk, known)
    quiet = talk.ask("Quiet hours, in which only alarms come", str(known.get("quiet_hours") or "22:00-07:00"))
    # The other way would go on: a text message goes before ntfy.
    kept = {name: value for name, value in known.items() if way == "sms" or name != "sms"}
    file.set("notifier", "recipients", "me", to={**kept, way: address, "quiet_hours": quiet})
    file.save(NotifierSettings)
    talk.say(f"Written into {file.path}.")
    if talk.confirm(f"Send a test message to {address} now?"):
        how = ("--test", address, "--no-wait") if way == "sms" else ("--ntfy", address)
        _, said = run_hems("notify", *how, configuration=file.path)
        talk.say(said)


def _send_nothing(talk: Conversation, file: ConfigurationFile) -> None:
    if talk.confirm("Messages are sent to you now. Shall that end?"):
        file.remove("notifier", "recipients", "me")
        file.save(NotifierSettings)
        talk.say(f"Nothing is sent to you any more; the account stays in {file.path}.")


def _ask_sms(talk: Conversation, file: ConfigurationFile, known: Mapping[str, Any]) -> str:
    number = talk.ask("Your number, with its country code", str(known.get("sms") or ""), phone_number)
    talk.say("From Twilio's console (console.twilio.com), Account Info:")
    sid = talk.ask("Account SID", str(file.get("notifier", "twilio", "account_sid") or ""), _sid)
    sender = talk.ask("A number of the account", str(file.get("notifier", "twilio", "from_number") or ""), phone_number)
    token_file = load(file.path).section(StorageSettings).directory / "secrets" / "twilio_auth_token"
    kept = token_file.exists()
    token = talk.ask(f"Auth token{' (empty keeps the one that is there)' if kept else ''}", "" if kept else None, hidden=True)
    if token:
        write_private(token_file, token)
        talk.say(f"The token is in {token_file}, which only you can read.")
    values = {"account_sid": sid, "from_number": sender, "auth_token_file": str(token_file)}
    file.set("notifier", "twilio", to={**file.part("notifier", "twilio"), **values})
    return number


def _ask_ntfy(talk: Conversation, known: Mapping[str, Any]) -> str:
    talk.say("Choose a topic that nobody guesses: whoever knows it reads your messages. Subscribe to it in the app.")
    return talk.ask("Topic", str(known.get("ntfy") or ""), _topic)


def _sid(text: str) -> str:
    if not re.fullmatch(r"AC[0-9a-fA-F]{32}", text):
        raise ValueError("it begins with AC and has 34 characters")
    return text


def _topic(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{8,64}", text):
        raise ValueError("it has 8 to 64 letters, digits, - and _")
    return text
