"""A notifier that a test kills at a chosen step: the real service on a real file, in a forked process that starts in no time.

`python -m tests.support.notifier_process DIRECTORY URL` reads one JSON line for each run: the alerts to say and where to
end itself. It answers with the run's process id, then `accepted N` for each alert that was acknowledged, then how it ended.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import structlog
import twilio.rest.api.v2010  # noqa: F401 # pyright: ignore[reportMissingTypeStubs, reportUnusedImport] - takes a second: before the fork

from hems.actor.clock import WallClock
from hems.actor.context import Context
from hems.actor.logs import configure_logs
from hems.actor.runner import serve
from hems.actor.settings import HomeSettings
from hems.actor.store import Store
from hems.contracts.alerts import Alert
from hems.contracts.catalog import ALERT
from hems.contracts.topic import Root
from hems.testing.memory_bus import MemoryBroker
from services.notifier.actor import Notifier
from services.notifier.domain import outgoing
from services.notifier.settings import NotifierSettings
from services.notifier.twilio_channel import TwilioChannel
from tests.support.notifier_stage import ME
from tests.support.twilio_server import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER

ROOT = Root("home")


def tell(*words: object) -> None:
    """Say something to the test."""
    print(*words, flush=True)  # noqa: T201 - this is how the test is answered


def die() -> None:
    """As `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


class KilledStore(Store):
    """Ends the process just before, or just after, the commit of a chosen number."""

    before: int | None = None
    after: int | None = None
    commits = 0

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Generator[Any]:
        """Count, and end where it is time."""
        with super().transaction(durable=durable) as transaction:
            yield transaction
            KilledStore.commits += 1
            if KilledStore.commits == self.before:
                die()
        if KilledStore.commits == self.after:
            die()


def chosen(url: str) -> NotifierSettings:
    """Alerts to one number, at once; what has no answer is looked up at once."""
    account = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, "from_number": FROM_NUMBER, "base_url": url}
    twilio = {**account, "look_up_after_s": 0, "timeout_s": 0.5}
    rules = {"alerts": {"at_most": 100}, "silence": False}
    values: dict[str, Any] = {"recipients": {"me": {"sms": ME}}, "rules": rules, "twilio": twilio, "daily_cap": 200}
    return NotifierSettings.read(values, {})


async def run(directory: Path, url: str, alerts: list[int]) -> None:
    """Say the alerts, and end when every message has arrived."""
    settings, broker, log = chosen(url), MemoryBroker(), structlog.get_logger()
    account = settings.twilio.account()
    assert account is not None
    built: list[Notifier] = []

    def build(context: Context) -> Notifier:
        built.append(Notifier(settings, context, {"sms": TwilioChannel(account)}, HomeSettings.read({}, {})))
        return built[0]

    with KilledStore(directory / "notifier.db", log) as store:
        serving = asyncio.ensure_future(serve("notifier", build, broker=broker, root=ROOT, clock=WallClock(), store=store, log=log))
        await until(lambda: _durable(broker) is not None)
        for number in alerts:
            await say(broker, number)
            tell("accepted", number)
        pages = built[0]._book.pages  # pyright: ignore[reportPrivateUsage]
        await until(lambda: all(message.is_over for message in pages.messages.values()))
        assert not serving.done()
        os._exit(0)  # an orderly goodbye takes half a second


async def say(broker: MemoryBroker, number: int) -> None:
    """Say an alert, and come back when the notifier has acknowledged it."""
    now = WallClock().now()
    alert = Alert(id=f"alert-{number}", rule=f"test.{number}", severity="critical", title=f"Alert {number}", message="It burns.", at=now)
    broker.say(ALERT.at(ROOT), alert.to_wire())
    await until(lambda: not _durable(broker).queue and not _durable(broker).unacknowledged)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


def _durable(broker: MemoryBroker) -> Any:
    """The session that alerts come by, once it listens to them."""
    session = broker._subscribers.get("hems-home-notifier-durable")  # pyright: ignore[reportPrivateUsage]
    return session if session is not None and ALERT.filter(ROOT) in session.filters else None


def child(directory: Path, url: str, order: dict[str, Any]) -> None:
    """One run, in a process of its own."""
    KilledStore.before, KilledStore.after = order.get("before"), order.get("after")
    if order.get("cpu_s") is not None:
        # By its own work, so that a busy machine does not end it before it has begun.
        signal.signal(signal.SIGPROF, lambda _number, _frame: die())
        signal.setitimer(signal.ITIMER_PROF, order["cpu_s"])
    asyncio.run(run(directory, url, order["alerts"]))


def main(directory: Path, url: str) -> None:
    """Fork a run for each line."""
    configure_logs("notifier")
    # Waits of a quarter of a minute are what people want; a test of 200 kills does not.
    outgoing._FIRST_WAIT_S, outgoing._CHECKS_S = 0.02, (0.01,) * 20  # type: ignore[misc,assignment]
    random.seed(1)
    for line in sys.stdin:
        tell("ready")
        pid = os.fork()
        if pid == 0:
            try:
                tell("pid", os.getpid())
                child(directory, url, json.loads(line))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        tell("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
