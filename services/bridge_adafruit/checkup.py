"""The doctor's look at Adafruit IO."""

from collections.abc import Sequence
from dataclasses import replace

from hems.actor.configuration import ConfigurationError
from hems.setting_up.checkup import HomeSeen
from hems.setting_up.findings import Finding, left_out, look, well
from services.bridge_adafruit.account import Account
from services.bridge_adafruit.adafruit_http import AdafruitHttp
from services.bridge_adafruit.cloud import ApiRefused, ApiSilent
from services.bridge_adafruit.settings import BridgeAdafruitSettings

_LONGEST_S = 10.0
_NEW_KEY = "copy username and key from io.adafruit.com again: `hems setup adafruit`"


async def check(home: HomeSeen) -> Sequence[Finding]:
    """Whether the account can be reached and its key is right. Nothing is said there."""
    try:
        account = Account.of(home.configuration.section(BridgeAdafruitSettings))
    except ConfigurationError:
        return [left_out("Adafruit IO", "the configuration has to be mended first")]
    if account is None:
        return [left_out("Adafruit IO", "no account in hems.yaml: nothing goes into the cloud")]
    return [await _reached(replace(account, timeout_s=min(account.timeout_s, _LONGEST_S)))]


async def _reached(account: Account) -> Finding:
    http = AdafruitHttp(account)
    try:
        async with http.opened():
            limit, used = await http.rate()
    except ApiRefused as refusal:
        if refusal.status in (401, 403, 404):
            return look("Adafruit IO", "Adafruit IO refuses the key", _NEW_KEY)
        return look("Adafruit IO", str(refusal), "wait some minutes: it bans accounts for a while that ask too much")
    except ApiSilent as silence:
        return look("Adafruit IO", f"it can't be reached ({silence})", "check the internet connection; all else goes on without it")
    return well("Adafruit IO", f"reached, and the key is right; {used} of {limit} points were used in the last minute")
