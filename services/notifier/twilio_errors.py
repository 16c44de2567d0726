"""What Twilio's error codes mean for a message, its number and the account (https://www.twilio.com/docs/api/errors)."""

from collections.abc import Mapping

from services.notifier.domain.outgoing import Delivered, Later, Rejected

NUMBER_STOPS: Mapping[int, str] = {
    21211: "it is not a valid phone number; correct it in hems.yaml",
    21214: "it can't be reached; correct it in hems.yaml",
    21217: "it does not look like a phone number; correct it in hems.yaml",
    21408: "messages to its country are not enabled; enable them in Twilio's console under Messaging, Geo permissions",
    21608: "a trial account sends to verified numbers only; verify it in Twilio's console",
    21610: "its owner has replied STOP; a START from that phone takes it back",
    21612: "it can't be reached from the sender's number; choose another from_number",
    21614: "it is not a mobile number; correct it in hems.yaml",
}
"""Nothing more is sent to a number after one of these."""

ACCOUNT_STOPS: Mapping[int, str] = {
    20003: "Twilio refuses the credentials; check account_sid and auth_token",
    20005: "the Twilio account is not active; see Twilio's console",
    20404: "Twilio knows no such account; check account_sid",
    21603: "no sender was given; set from_number",
    21606: "from_number does not belong to the Twilio account, or can't send SMS; correct it",
    21659: "from_number does not belong to Twilio; correct it",
    21660: "from_number belongs to another Twilio account; correct it",
    21705: "messaging_service_sid is not known; correct it",
}
"""Nothing can be sent to anybody after one of these, until a person does something."""

_NEVER_ARRIVES: Mapping[int, str] = {
    30003: "the phone can't be reached",
    30004: "the phone blocks messages",
    30005: "the number is not known, or no longer in use",
    30006: "the number is a landline, or its network can't be reached",
    30007: "the network took it for spam",
    30008: "the network did not say why",
    30034: "the sender's US number is not registered",
}
_STOPS_AFTER_SENDING = frozenset({30005, 30006, 21610})


def judge(status: int | None, code: int | None, said: str, retry_after_s: float | None) -> Rejected | Later:
    """What an error answer means: a passing state of Twilio, of the account, or the end of a message."""
    if status == 429:
        return Later(f"Twilio asks to slow down ({code or status}): {said}", retry_after_s)
    if status is None or status >= 500:
        return Later(f"Twilio failed ({status}): {said}", retry_after_s, may_be_taken=True)
    if code is not None and code in NUMBER_STOPS:
        return Rejected(NUMBER_STOPS[code], code, stops_address=True)
    if code is not None and code in ACCOUNT_STOPS:
        return Later(f"{ACCOUNT_STOPS[code]} ({code})", account=True)
    if status in (401, 403, 404):
        return Later(f"Twilio refuses ({code or status}): {said}; see Twilio's console", account=True)
    return Rejected(f"Twilio refused the message ({code or status}): {said}", code)


def undelivered(code: int | None, said: str | None) -> Delivered:
    """What it means that a message which Twilio took has not arrived."""
    known = _NEVER_ARRIVES.get(code or 0) or said or "no reason given"
    return Delivered("undelivered", f"{known} ({code})" if code else known, stops_address=code in _STOPS_AFTER_SENDING)
