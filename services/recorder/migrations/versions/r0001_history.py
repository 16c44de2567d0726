"""The first history."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SMALL, _BIG, _TEXT = sa.SmallInteger, sa.BigInteger, sa.Text


def upgrade() -> None:
    """Make every table."""
    _table("home", [("id", _SMALL)], [("name", _TEXT)])
    _table("subject", [("home", _SMALL), ("id", _SMALL)], [("name", _TEXT)])
    _table("note", [("home", _SMALL), ("key", _TEXT)], [("value", _TEXT)])
    figures = ("apparent_power_mva", "voltage_mv", "current_ma", "power_factor_thousandths", "temperature_mc")
    optional = [*((name, _BIG) for name in figures), ("channels", _TEXT)]
    _table("mains", [("home", _SMALL), ("at_us", _BIG)], [("power_mw", _BIG), ("estimated", _SMALL)], optional)
    state = [("running", _SMALL), ("power_mw", _BIG), ("confidence_thousandths", _SMALL)]
    _table("appliance_state", [("home", _SMALL), ("at_us", _BIG), ("subject", _SMALL)], state, [("since_us", _BIG)])
    _table("happening", [("home", _SMALL), ("kind", _TEXT), ("at_us", _BIG), ("key", _TEXT)], [("subject", _TEXT), ("body", _TEXT)])
    _table("gap", [("home", _SMALL), ("start_us", _BIG)], [("end_us", _BIG), ("estimate_mj", _BIG)])
    _table("counter", [("home", _SMALL), ("subject", _SMALL)], [("carried_mj", _BIG), ("floor_mj", _BIG)])
    _table("tariff", [("home", _SMALL), ("since_s", _BIG)], [("definition", _TEXT)])
    _table("series", [("home", _SMALL), ("name", _TEXT), ("start_s", _BIG)], [("end_s", _BIG), ("value", sa.Float)])
    for name in ("minute", "quarter", "hour", "day"):
        sums = [(column, _BIG) for column in ("least_mw", "most_mw", "covered_ms", "imported_mj", "exported_mj")]
        _table(name, [("home", _SMALL), ("at_s", _BIG), ("subject", _SMALL)], sums, [("cost_nano", _BIG)])


def _table(name: str, key: list[tuple[str, Any]], values: list[tuple[str, Any]], optional: list[tuple[str, Any]] | None = None) -> None:
    op.create_table(
        name,
        *(sa.Column(column, kind, primary_key=True, autoincrement=False) for column, kind in key),
        *(sa.Column(column, kind, nullable=False) for column, kind in values),
        *(sa.Column(column, kind, nullable=True) for column, kind in optional or []),
        sqlite_with_rowid=False,
    )
