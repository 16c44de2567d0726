"""Where the history's tests keep it: SQLite here, PostgreSQL in `tests/postgres`."""

from pathlib import Path

import pytest

from tests.support.history import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A new history of this test's own."""
    return Place(f"sqlite:///{tmp_path}/history.db", "home")
