"""The doctor's look at Twilio."""

import base64
from collections.abc import Sequence

import aiohttp

from hems.actor.configuration import ConfigurationError
from hems.setting_up.checkup import HomeSeen
from hems.setting_up.findings import Finding, left_out, look, well
from services.notifier.domain.account import Account
from services.notifier.settings import NotifierSettings

_LONGEST_S = 10.0


async def check(home: HomeSeen) -> Sequence[Finding]:
    """Whether the account can be reached and its token is right. Nothing is sent."""
    try:
        settings = home.configuration.section(NotifierSettings)
    except ConfigurationError:
        return [left_out("Twilio", "the configuration has to be mended first")]
    account = settings.twilio.account()
    if account is None:
        return [left_out("Twilio", "no account in hems.yaml: no SMS are sent")]
    found = [await _account(account)]
    if not settings.recipients:
        found.append(look("messages", "nobody is told anything", "name somebody in notifier.recipients, or run `hems setup phone`"))
    return found


async def _account(account: Account) -> Finding:
    address = f"{account.base_url}/2010-04-01/Accounts/{account.sid}.json"
    credentials = base64.b64encode(f"{account.username}:{account.password}".encode()).decode()
    try:
        timeout = aiohttp.ClientTimeout(total=min(account.timeout_s, _LONGEST_S))
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address, headers={"Authorization": f"Basic {credentials}"}) as response,
        ):
            return _judged(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        return look("Twilio", f"it can't be reached ({str(error) or type(error).__name__})", "check the internet connection and the time")


def _judged(status: int) -> Finding:
    if status < 300:
        return well("Twilio", "reached, and the token is right")
    if status in (401, 403):
        return look("Twilio", "it refuses the token", "copy account SID and token from Twilio's console again: `hems setup phone`")
    return look("Twilio", f"it answers with status {status}", "look at status.twilio.com, and try again later")
