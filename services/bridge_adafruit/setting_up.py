"""Makes the group, its feeds and the dashboard at Adafruit IO, or mends them: what is there stays as people have changed it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from services.bridge_adafruit.cloud import ApiRefused
from services.bridge_adafruit.domain.board import Block, blocks, differs, layouts, lies_elsewhere
from services.bridge_adafruit.domain.feeds import Feed, readable

_FULL = 422


class AccountApi(Protocol):
    """The account's HTTP API. Each call raises ApiRefused or ApiSilent."""

    async def get(self, path: str, **query: str) -> Any:
        """Read something."""
        ...

    async def send(self, method: str, path: str, body: Any) -> Any:
        """Create or change something."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What there should be. `left_out` are the feeds that the settings leave no room for."""

    group: str
    feeds: Sequence[Feed]
    left_out: Sequence[Feed]
    most_feeds: int | None
    orders: str | None = None

    @property
    def dashboard(self) -> str:
        """The dashboard's key."""
        return f"{self.group}-energy"


@dataclass
class Report:
    """What was done, what there was no room for, and how many feeds of the account are not the home's."""

    done: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])
    other_feeds: int = 0


class NoRoom(Exception):
    """The account is too full for what can't be left out; the message says what to do."""


class SettingUp:
    """One run over the account."""

    def __init__(self, api: AccountApi, wanted: Wanted) -> None:
        self._api = api
        self._wanted = wanted
        self.report = Report()

    async def run(self) -> Report:
        """Do it.

        Raises:
            NoRoom: not even a group or a dashboard can be made.
            ApiRefused: the account refuses something else.
            ApiSilent: there was no answer; running it again mends the rest.
        """
        group_id = await self._group()
        feed_ids = await self._feeds()
        shown = [feed for feed in self._wanted.feeds if feed.key in feed_ids]
        await self._dashboard()
        await self._blocks(shown, feed_ids, group_id)
        return self.report

    async def _group(self) -> str:
        key = self._wanted.group
        found = _with_key(await self._api.get("groups"), key)
        if found is None:
            body = {"name": key, "key": key, "description": "A home's energy, by hems"}
            found = await self._made("groups", body, f"group {key}", "groups")
        return str(found.get("id", ""))

    async def _feeds(self) -> dict[str, str]:
        """The ids of the feeds by their keys in the group."""
        held, prefix = _objects(await self._api.get("feeds")), f"{self._wanted.group}."
        ids = {str(feed.get("key", "")).removeprefix(prefix): str(feed.get("id", "")) for feed in held if _in_group(feed, prefix)}
        self.report.other_feeds = len(held) - len(ids)
        room = None if self._wanted.most_feeds is None else self._wanted.most_feeds - len(held)
        self.report.left_out += [feed.name for feed in self._wanted.left_out if feed.key not in ids]
        for key, name in self._missing(ids):
            if room is not None and room <= 0:
                self.report.left_out.append(name)
                continue
            made = await self._feed(key, name)
            if made is None:
                self.report.left_out.append(name)
                room = 0
            else:
                ids[key] = made
                room = room - 1 if room is not None else None
        return ids

    def _missing(self, ids: Mapping[str, str]) -> list[tuple[str, str]]:
        orders = [(self._wanted.orders, "Orders")] if self._wanted.orders else []
        return [(key, name) for key, name in ((*((feed.key, feed.name) for feed in self._wanted.feeds), *orders)) if key not in ids]

    async def _feed(self, key: str, name: str) -> str | None:
        """A feed's id, or None where the account takes no more."""
        try:
            made = await self._api.send("POST", f"groups/{self._wanted.group}/feeds", {"name": name, "key": key})
        except ApiRefused as refusal:
            if refusal.status != _FULL:
                raise
            return None
        self.report.done.append(f"feed {self._wanted.group}.{key}")
        return str(_object(made).get("id", ""))

    async def _dashboard(self) -> None:
        key = self._wanted.dashboard
        if _with_key(await self._api.get("dashboards"), key) is None:
            # A name that Adafruit, too, would make this key of.
            await self._made("dashboards", {"name": readable(key).capitalize(), "key": key}, f"dashboard {key}", "dashboards")

    async def _blocks(self, shown: Sequence[Feed], feed_ids: Mapping[str, str], group_id: str) -> None:
        path = f"dashboards/{self._wanted.dashboard}"
        there = {str(block.get("name", "")): block for block in _objects(await self._api.get(f"{path}/blocks"))}
        placed = [(block, await self._block(path, block, feed_ids[block.feed], group_id, there.get(block.name))) for block in blocks(shown)]
        wanted = layouts(placed)
        known = _object(await self._api.get(path)).get("layouts")
        if lies_elsewhere(wanted, known):
            await self._api.send("POST", f"{path}/update_layouts", {"layouts": wanted})
            self.report.done.append("layout")

    async def _block(self, path: str, block: Block, feed_id: str, group_id: str, there: Mapping[str, Any] | None) -> str:
        body = {
            "name": block.name,
            "visual_type": block.visual_type,
            "properties": dict(block.properties),
            "block_feeds": [{"feed_id": feed_id, "group_id": group_id}],
        }
        if there is None:
            made = await self._api.send("POST", f"{path}/blocks", body)
            self.report.done.append(f"block {block.name}")
            return str(_object(made).get("id", ""))
        identity = str(there.get("id", ""))
        if differs(block, feed_id, there):
            properties: Mapping[str, Any] = there.get("properties") or {}
            mended = {**body, "visual_type": there.get("visual_type", block.visual_type), "properties": {**properties, **block.properties}}
            await self._api.send("PATCH", f"{path}/blocks/{identity}", mended)
            self.report.done.append(f"block {block.name}, mended")
        return identity

    async def _made(self, path: str, body: dict[str, str], what: str, things: str) -> dict[str, Any]:
        try:
            made = await self._api.send("POST", path, body)
        except ApiRefused as refusal:
            if refusal.status == _FULL:
                held = len(_objects(await self._api.get(path)))
                raise NoRoom(
                    f"the account has {held} {things} and takes no more ({refusal.reason}); delete one there, and run this again"
                ) from None
            raise
        self.report.done.append(what)
        return _object(made)


class DryRun:
    """Reads, and says what it would send in place of sending it."""

    def __init__(self, api: AccountApi, say: Callable[[str, str, Any], None]) -> None:
        self._api = api
        self._say = say
        self._made = 0

    async def get(self, path: str, **query: str) -> Any:
        """Read; what was only said to be made is not there yet."""
        try:
            return await self._api.get(path, **query)
        except ApiRefused as refusal:
            if refusal.status == 404 and self._made:
                return []
            raise

    async def send(self, method: str, path: str, body: Any) -> Any:
        """Say it, and answer as if it had been done."""
        self._say(method, path, body)
        self._made += 1
        return {"id": f"new-{self._made}"}


def _in_group(feed: Mapping[str, Any], prefix: str) -> bool:
    return str(feed.get("key", "")).startswith(prefix)


def _with_key(answer: Any, key: str) -> dict[str, Any] | None:
    return next((entry for entry in _objects(answer) if entry.get("key") == key), None)


def _objects(answer: Any) -> list[dict[str, Any]]:
    return [_object(entry) for entry in cast("list[Any]", answer) if isinstance(entry, dict)] if isinstance(answer, list) else []


def _object(answer: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
