"""A real cluster for these tests; `make test-fleet` runs them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nats import RealNats, running_nats

collect_ignore_glob = [] if os.environ.get("HEMS_TEST_FLEET") else ["test_*.py"]

HOMES = tuple(f"home{number}" for number in range(24))


@pytest.fixture(scope="session")
def shared_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNats]:
    """One cluster for all tests that only talk over it: give each test homes of its own."""
    with running_nats(tmp_path_factory.mktemp("nats"), HOMES) as cluster:
        yield cluster


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[RealNats]:
    """A cluster of this test's own, whose nodes it may kill."""
    with running_nats(tmp_path, HOMES) as cluster:
        yield cluster
