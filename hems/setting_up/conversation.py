"""Questions to a person, whatever carries them: a terminal, or a page."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import click

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        default: what an empty answer means.
        options: the answers that there are, and what each means; any text where there are none.
        hidden: a secret, not to be shown while it is typed.
    """

    text: str
    default: str | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    hidden: bool = False


class Left(Exception):
    """The person has gone: nothing more can be asked."""


class Conversation(ABC):
    """Says and asks; an answer that can't be used is told, and asked for again."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Tell the person something."""

    @abstractmethod
    def answer(self, question: Question) -> str:
        """Ask, and wait; the default for an empty answer.

        Raises:
            Left: the person has gone.
        """

    def ask(self, text: str, default: str | None = None, check: Callable[[str], T] = str, *, hidden: bool = False) -> T:
        """Ask for a value, until `check` takes it. What it raises as ValueError is what the person is told."""
        while True:
            try:
                return check(self.answer(Question(text, default, hidden=hidden)).strip())
            except ValueError as error:
                self.say(f"That can't be used: {error}.")

    def choose(self, text: str, options: Mapping[str, str], default: str | None = None) -> str:
        """One of these; its first letters are enough."""
        while True:
            given = self.answer(Question(text, default, options)).strip().lower()
            fitting = [given] if given in options else [option for option in options if given and option.startswith(given)]
            if len(fitting) == 1:
                return fitting[0]
            self.say(f"Please answer one of: {', '.join(options)}.")

    def confirm(self, text: str, *, default: bool = True) -> bool:
        """Yes or no."""
        return self.choose(text, {"yes": "", "no": ""}, "yes" if default else "no") == "yes"


class Terminal(Conversation):
    """A conversation in a terminal."""

    def say(self, text: str) -> None:
        """Print it."""
        click.echo(text)

    def answer(self, question: Question) -> str:
        """Ask, and read a line."""
        for option, meaning in question.options.items():
            if meaning:
                click.echo(f"  {option:<14} {meaning}")
        choice = f" ({'/'.join(question.options)})" if question.options else ""
        try:
            return click.prompt(
                question.text + choice, default=question.default, hide_input=question.hidden, show_default=question.default != ""
            )
        except click.Abort:
            raise Left from None
