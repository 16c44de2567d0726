"""The page Home, in words: services, the meter, messages, and the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.dashboard.domain.figures import Figures, duration
from services.dashboard.domain.home import Home, Logged
from services.dashboard.domain.now import source_name
from services.dashboard.domain.texts import Texts

_LOGGED = 40
_MESSAGES = 20
_ERRORS_SHOWN = 3
_FIGURES_SHOWN = 4
_QUOTAS = ("quota", "left", "cap", "budget", "limit", "points")


@dataclass(frozen=True)
class ServiceRow:
    """A service; `mark` is online, offline or trouble."""

    name: str
    mark: str
    state: str
    version: str
    work: str
    backlog: str
    trouble: str


@dataclass(frozen=True)
class House:
    """All of the page."""

    services: tuple[ServiceRow, ...]
    meter: tuple[tuple[str, str], ...]
    messages: tuple[tuple[str, str, str, str], ...]
    log: tuple[tuple[str, str, str], ...]
    muted: str


def house(home: Home, now: datetime, texts: Texts, figures: Figures) -> House:
    """The page."""
    muted = home.muted_until
    return House(
        services=tuple(_service(name, home, now, texts, figures) for name in sorted({*home.online, *home.health})),
        meter=tuple(_meter(home, now, texts, figures)),
        messages=tuple(_messages(home, now, texts, figures)),
        log=tuple(_line(line, now, texts, figures) for line in list(home.log)[: -_LOGGED - 1 : -1]),
        muted=texts("muted", time=figures.time(muted, now)) if muted is not None and muted > now else "",
    )


def _service(name: str, home: Home, now: datetime, texts: Texts, figures: Figures) -> ServiceRow:
    health, online = home.health.get(name), home.online.get(name, False)
    trouble = (health.configuration_error or health.blind or "") if health else ""
    since = f" · {texts('up_since', time=figures.time(health.started_at, now))}" if health and online else ""
    errors = _errors(health.errors) if health else ""
    return ServiceRow(
        name=texts.name(name),
        mark="offline" if not online else "trouble" if trouble else "online",
        state=texts("online" if online else "offline") + since,
        version=health.version if health else "",
        work=_work(health.work, health.gauges) if health else "",
        backlog=f"{health.backlog:,}" if health else "",
        trouble=trouble or (texts("errors", kinds=errors) if errors else ""),
    )


def _errors(counts: dict[str, int]) -> str:
    """The most frequent kinds, each with its own count: bytes of noise and lost connections don't add up."""
    frequent = sorted((entry for entry in counts.items() if entry[1]), key=lambda entry: -entry[1])[:_ERRORS_SHOWN]
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in frequent)


def _work(counters: dict[str, int], gauges: dict[str, float]) -> str:
    """Quotas first, then what was done most."""
    quotas = [(name, value) for name, value in gauges.items() if any(word in name for word in _QUOTAS)]
    counted = sorted(counters.items(), key=lambda entry: -entry[1])
    shown: Sequence[tuple[str, float]] = [*quotas, *counted][:_FIGURES_SHOWN]
    return " · ".join(f"{name.replace('_', ' ')} {value:,.0f}" for name, value in shown)


def _meter(home: Home, now: datetime, texts: Texts, figures: Figures) -> list[tuple[str, str]]:
    reading = home.mains
    if reading is None:
        return [(texts("last_reading"), texts("waiting"))]
    age_s = (now - reading.measured_at).total_seconds()
    ago = texts("just_now") if age_s < 60 else texts("ago", duration=duration(age_s))
    found = [
        (texts("last_reading"), f"{figures.time(reading.measured_at, now)} · {ago}"),
        (texts("power"), f"{figures.power(reading.power_w)} · {texts(reading.quality)}"),
    ]
    optional = (
        ("voltage", reading.voltage_v, "{:.1f} V"),
        ("current", reading.current_a, "{:.2f} A"),
        ("power_factor", reading.power_factor, "{:.2f}"),
    )
    found += [(texts(key), form.format(value)) for key, value, form in optional if value is not None]
    if reading.temperature_c is not None:
        found.append((texts("temperature"), figures.temperature(reading.temperature_c)))
    return found


def _messages(home: Home, now: datetime, texts: Texts, figures: Figures) -> list[tuple[str, str, str, str]]:
    newest = sorted(home.messages.values(), key=lambda message: message.at, reverse=True)[:_MESSAGES]
    return [
        (
            figures.time(message.at, now),
            f"{texts(f'status_{message.status}')}{f': {message.reason}' if message.reason else ''}",
            texts.name(message.recipient),
            message.text,
        )
        for message in newest
    ]


def _line(line: Logged, now: datetime, texts: Texts, figures: Figures) -> tuple[str, str, str]:
    """Time, what, and more about it."""
    time = figures.time(line.at, now)
    if line.alert is not None:
        return time, f"{texts(f'severity_{line.alert.severity}')}: {line.alert.title}", line.alert.message
    if line.state is None or line.relay is None:
        return time, "", ""
    word = texts("on" if line.state.state == "ON" else "off").lower()
    by = texts("by_source", source=source_name(texts, line.state.source)) if line.state.source else ""
    return time, texts("log_relay", relay=texts.name(line.relay), state=word), by
