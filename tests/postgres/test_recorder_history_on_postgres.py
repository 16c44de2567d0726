"""The history's promises, all of them, on PostgreSQL."""

from tests.integration.recorder.test_recorder_history import *  # noqa: F403 - the same suite
