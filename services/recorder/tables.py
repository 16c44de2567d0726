"""The history's tables, the same on SQLite and PostgreSQL. `migrations` makes them; a test compares the two.

Single readings carry microseconds, roll-ups seconds, both since 1970 UTC; figures are whole thousandths. On SQLite
the tables are ordered by their key, so that a day lies together and no index doubles them.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Float, MetaData, SmallInteger, Table, Text

METADATA = MetaData()
HOME = 0
"""The subject that is the whole home; appliances count from 1."""
EXPORT = -1
"""Among the counters, what the home has sent out."""


def _table(name: str, *columns: "Column[Any]") -> Table:
    return Table(name, METADATA, *columns, sqlite_with_rowid=False)


def _key(name: str, kind: Any = BigInteger) -> "Column[Any]":
    return Column(name, kind, primary_key=True, autoincrement=False)


def _value(name: str, kind: Any = BigInteger, *, optional: bool = False) -> "Column[Any]":
    return Column(name, kind, nullable=optional)


homes = _table("home", _key("id", SmallInteger), _value("name", Text))
subjects = _table("subject", _key("home", SmallInteger), _key("id", SmallInteger), _value("name", Text))
notes = _table("note", _key("home", SmallInteger), _key("key", Text), _value("value", Text))
mains = _table(
    "mains",
    _key("home", SmallInteger),
    _key("at_us"),
    _value("power_mw"),
    _value("estimated", SmallInteger),
    _value("apparent_power_mva", optional=True),
    _value("voltage_mv", optional=True),
    _value("current_ma", optional=True),
    _value("power_factor_thousandths", optional=True),
    _value("temperature_mc", optional=True),
    _value("channels", Text, optional=True),
)
states = _table(
    "appliance_state",
    _key("home", SmallInteger),
    _key("at_us"),
    _key("subject", SmallInteger),
    _value("running", SmallInteger),
    _value("power_mw"),
    _value("confidence_thousandths", SmallInteger),
    _value("since_us", optional=True),
)
happenings = _table(
    "happening",
    _key("home", SmallInteger),
    _key("kind", Text),
    _key("at_us"),
    _key("key", Text),
    _value("subject", Text),
    _value("body", Text),
)
gaps = _table("gap", _key("home", SmallInteger), _key("start_us"), _value("end_us"), _value("estimate_mj"))
counters = _table("counter", _key("home", SmallInteger), _key("subject", SmallInteger), _value("carried_mj"), _value("floor_mj"))
tariffs = _table("tariff", _key("home", SmallInteger), _key("since_s"), _value("definition", Text))
series = _table("series", _key("home", SmallInteger), _key("name", Text), _key("start_s"), _value("end_s"), _value("value", Float))


def _rollup(name: str) -> Table:
    return _table(
        name,
        _key("home", SmallInteger),
        _key("at_s"),
        _key("subject", SmallInteger),
        _value("least_mw"),
        _value("most_mw"),
        _value("covered_ms"),
        _value("imported_mj"),
        _value("exported_mj"),
        _value("cost_nano", optional=True),
    )


minutes, quarters, hours, days = (_rollup(name) for name in ("minute", "quarter", "hour", "day"))
