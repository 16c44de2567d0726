"""A topic: its pattern, its payload, how it is delivered, and who says and reads it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Literal, TypeVar

from hems.contracts.payload import Payload

P = TypeVar("P", bound=Payload)

Qos = Literal[0, 1]


@dataclass(frozen=True)
class Root:
    """Where a home's topics stand: `<prefix>/<home>`. `home="+"` reads every home of a broker."""

    home: str
    prefix: str = "hems"

    def __str__(self) -> str:
        return f"{self.prefix}/{self.home}"


@dataclass(frozen=True)
class Grant:
    """One broker user that may say a topic, its parameters narrowed where `fixed` names them."""

    user: str
    fixed: Mapping[str, str]


def by(user: str, **fixed: str) -> Grant:
    """`by("notifier", source="sms")`: the notifier may say this topic, with that source only."""
    return Grant(user, fixed)


@dataclass(frozen=True)
class Topic(Generic[P]):
    """One kind of message. A pattern such as `relay/{relay}/set` takes one level per parameter.

    Attributes:
        pattern: levels below the root; the whole topic where `foreign`.
        payload: the one payload type that this topic carries.
        qos: 1 for what must arrive, 0 for chatter.
        retain: the broker keeps the newest.
        said_by: the broker users that may publish here.
        read_by: the broker users that may subscribe, besides those that read the whole home.
        foreign: the topic belongs to somebody else's device and has no home in it.
    """

    pattern: str
    payload: type[P]
    description: str
    said_by: tuple[Grant, ...]
    read_by: tuple[str, ...]
    qos: Qos = 1
    retain: bool = False
    foreign: bool = False

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names in braces, in order."""
        return tuple(re.findall(r"{(\w+)}", self.pattern))

    def at(self, root: Root, **parameters: str) -> str:
        """The topic's name for one home: `MAINS.at(Root("home"))` is `hems/home/mains`.

        Raises:
            ValueError: a parameter is missing, unknown, or can't be a topic level.
        """
        if set(parameters) != set(self.parameters):
            raise ValueError(f"{self.pattern} takes {self.parameters}, not {tuple(parameters)}")
        for name, value in parameters.items():
            if not value or any(character in value for character in "/+#\0"):
                raise ValueError(f"{name}={value!r} can't be a topic level")
        return self._rooted(root, self.pattern.format(**parameters))

    def filter(self, root: Root, **fixed: str) -> str:
        """The subscription that covers every parameter not fixed."""
        wild = {name: fixed.get(name, "+") for name in self.parameters}
        return self._rooted(root, self.pattern.format(**wild))

    def match(self, root: Root, name: str) -> dict[str, str] | None:
        """The parameters (and `home`) of a topic's name, or None where the name is another topic's."""
        found = self._expression(root).fullmatch(name)
        return found.groupdict() if found else None

    def _rooted(self, root: Root, levels: str) -> str:
        return levels if self.foreign else f"{root}/{levels}"

    def _expression(self, root: Root) -> re.Pattern[str]:
        home = r"(?P<home>[^/]+)" if root.home == "+" else f"(?P<home>{re.escape(root.home)})"
        start = "" if self.foreign else f"{re.escape(root.prefix)}/{home}/"
        levels = (rf"(?P<{level[1:-1]}>[^/]+)" if level.startswith("{") else re.escape(level) for level in self.pattern.split("/"))
        return re.compile(start + "/".join(levels))
