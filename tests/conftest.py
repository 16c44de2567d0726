"""What tests of every kind share: a real broker, and the same examples at every run unless new ones are asked for."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.broker import RealBroker, running_broker

# `make test` passes or fails for what changed, never by chance; `make test-long` looks for new examples.
hypothesis.settings.register_profile("same examples", derandomize=True, deadline=None)
hypothesis.settings.register_profile("new examples", max_examples=500, deadline=None, print_blob=True)
hypothesis.settings.load_profile("new examples" if os.environ.get("HEMS_TEST_NEW_EXAMPLES") else "same examples")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[RealBroker]:
    """A fresh Mosquitto of this test's own, that it may stop, kill, freeze and restart.

    `.host`, `.port`, `.password(user)`; the users are the services, `client` and `device`; homes of every name may be used.
    """
    with running_broker(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture(scope="session")
def shared_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBroker]:
    """One Mosquitto for all tests that only talk over it: give each test a home of its own, and don't stop it."""
    with running_broker(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker
