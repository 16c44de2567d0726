"""A step of `hems setup`: a service's `asking` module has one function, `ask`."""

from typing import Protocol

from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.conversation import Conversation


class Ask(Protocol):
    """Asks a person about one part of the home, and writes it into `hems.yaml`."""

    def __call__(self, talk: Conversation, file: ConfigurationFile) -> None:
        """What is there already is offered as the answer.

        Raises:
            hems.setting_up.conversation.Left: the person has gone.
            hems.actor.configuration.ConfigurationError: it would be a mistake; nothing was written.
        """
        ...
