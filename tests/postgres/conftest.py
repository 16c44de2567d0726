"""A real PostgreSQL for these tests; `make test-postgres` runs them."""

import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.history import Place
from tests.support.postgres import RealPostgres, running_postgres

collect_ignore_glob = [] if os.environ.get("HEMS_TEST_POSTGRES") else ["test_*.py"]
_HOMES = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[RealPostgres]:
    """One server for all."""
    # Not below pytest's own folder: the server runs as a user who may not look into that.
    with tempfile.TemporaryDirectory(prefix="hems-postgres-") as folder:
        Path(folder).chmod(0o755)
        with running_postgres(Path(folder) / "server") as server:
            yield server


@pytest.fixture
def place(postgres: RealPostgres) -> Place:
    """A home of this test's own."""
    return Place(postgres.url, f"home-{next(_HOMES)}")
