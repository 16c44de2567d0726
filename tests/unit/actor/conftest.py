"""What the tests of the runtime share."""

import pytest

import hems.actor.connection as connection


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks as soon as it is made is made anew without a rest."""
    monkeypatch.setattr(connection, "_SHORT_S", 0.0)
