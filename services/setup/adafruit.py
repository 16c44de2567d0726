"""The dashboard at Adafruit IO: the account, and what setting it up there would do."""

import importlib.util
import re

from hems.actor.settings import StorageSettings
from hems.setting_up.commands import run_hems
from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.conversation import Conversation
from hems.setting_up.places import load
from hems.setting_up.private_file import write_private

_COMMAND = "services.bridge_adafruit.command"


def ask(talk: Conversation, file: ConfigurationFile) -> None:
    """Ask for username and key; the key goes into a file of its own. Nothing is changed at Adafruit."""
    if not is_there():
        talk.say("\nThe bridge to Adafruit IO is not part of this installation: this step is left out.")
        return
    talk.say("\nA dashboard in the cloud, at Adafruit IO (free at https://io.adafruit.com). All else works without it.")
    known = file.get("bridge_adafruit", "username")
    if not talk.confirm("Shall the home be shown there?", default=known is not None):
        if known is not None:
            _leave(talk, file)
        return
    username = talk.ask("Username there", str(known or ""), _username)
    key_file = load(file.path).section(StorageSettings).directory / "secrets" / "adafruit_key"
    key = talk.ask(
        f"Key{' (empty keeps the one that is there)' if key_file.exists() else ''}", "" if key_file.exists() else None, hidden=True
    )
    if key:
        write_private(key_file, key)
        talk.say(f"The key is in {key_file}, which only you can read.")
    file.set("bridge_adafruit", "username", to=username)
    file.set("bridge_adafruit", "key_file", to=str(key_file))
    file.save()
    _dry_run(talk, file)


def _leave(talk: Conversation, file: ConfigurationFile) -> None:
    for key in ("username", "key_file"):
        file.remove("bridge_adafruit", key)
    file.save()
    talk.say("Nothing of the home goes there any more. What is there already stays until you delete it at io.adafruit.com.")


def is_there(command: str = _COMMAND) -> bool:
    """Whether the bridge is part of this installation."""
    try:
        return importlib.util.find_spec(command) is not None
    except ModuleNotFoundError:
        return False


def _dry_run(talk: Conversation, file: ConfigurationFile) -> None:
    talk.say("What `hems adafruit setup` would do there (this is a dry run):")
    status, said = run_hems("adafruit", "setup", "--dry-run", configuration=file.path)
    talk.say(said)
    if status == 0:
        talk.say("Run `hems adafruit setup` to do it.")
    else:
        talk.say("That went wrong; mend it, and run `hems setup adafruit` again.")


def _username(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", text):
        raise ValueError("it has letters, digits and _ only")
    return text
