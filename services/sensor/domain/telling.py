"""What people are told of a meter that fails."""

from datetime import datetime
from errno import EACCES, EAGAIN, EBUSY

from hems.contracts.alerts import Alert

_ADVICE = {
    EACCES: "the user of this service may not read it; add that user to the group 'dialout'",
    EAGAIN: "another program reads it; stop that one",
    EBUSY: "another program reads it; stop that one",
}


def port_problem(path: str, number: int | None, reason: str) -> str:
    """Why a port can't be read, by the system's error number and its words, and what to do."""
    if number in _ADVICE:
        return f"{path} can't be read: {_ADVICE[number]}"
    return f"{path} can't be read ({reason}); plug the meter in, or correct sensor.meter.port in hems.yaml"


def silence_problem(path: str, silent_for_s: float) -> str:
    """An open port from which no valid line comes."""
    advice = "check the meter's supply and cable, and sensor.meter.profile in hems.yaml"
    return f"no valid line has come from {path} for {silent_for_s:g} s; {advice}"


def silence_alert(reason: str, at: datetime) -> Alert:
    """The home's power is not known."""
    message = f"The home's power is not known: {reason}."
    return _alert("sensor.silent", "The meter is silent", message[:2_000], at)


def recovery_alert(at: datetime) -> Alert:
    """It is known again."""
    return _alert("sensor.recovered", "The meter is back", "The home's power is known again.", at)


def _alert(rule: str, title: str, message: str, at: datetime) -> Alert:
    severity = "warning" if rule == "sensor.silent" else "info"
    return Alert(id=f"{rule}-{at.isoformat()}", rule=rule, severity=severity, title=title, message=message, at=at)
