"""Reading what a task group raised."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast


def leaves(error: BaseException) -> list[BaseException]:
    """The single exceptions in a group of groups."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    group = cast("BaseExceptionGroup[Any]", error)
    return [leaf for inner in group.exceptions for leaf in leaves(inner)]


def still_cancelled() -> None:
    """Ends a task whose cancellation was lost on its way, which would go on for ever.

    Call it after a failure of a task group whose body has no end of its own: one that fails while its task is cancelled
    raises its failures alone (until Python 3.13). And after `asyncio.wait_for`, which aiomqtt waits with: where the
    cancellation comes together with the answer, it returns the answer alone (until Python 3.12).

    Raises:
        asyncio.CancelledError: the task was cancelled meanwhile.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def ends_on(*expected: type[Exception]) -> Generator[list[BaseException]]:
    """Collect the expected failures, also out of a task group; anything else is a bug and passes."""
    caught: list[BaseException] = []
    try:
        yield caught
    except* expected as group:
        caught.extend(leaves(group))
