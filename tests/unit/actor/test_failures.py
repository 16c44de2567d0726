"""Expected failures, out of groups of groups."""

import asyncio

import pytest

from hems.actor.failures import ends_on, leaves, still_cancelled


class Expected(Exception):
    """A passing trouble."""


def test_leaves_are_the_single_exceptions() -> None:
    """Groups of groups are taken apart."""
    one, two, three = Expected(), ValueError(), KeyError()
    assert leaves(one) == [one]
    assert leaves(BaseExceptionGroup("", [one, ExceptionGroup("", [two, ExceptionGroup("", [three])])])) == [one, two, three]


async def test_the_expected_is_collected_and_a_bug_passes() -> None:
    """A bug among expected failures is not hidden by them."""

    async def fail(error: Exception) -> None:
        raise error

    async def fail_together(*errors: Exception) -> list[BaseException]:
        with ends_on(Expected) as caught:
            async with asyncio.TaskGroup() as tasks:
                for error in errors:
                    tasks.create_task(fail(error))
        return caught

    assert len(await fail_together(Expected(), Expected())) == 2
    with pytest.raises(ExceptionGroup) as bug:
        await fail_together(Expected(), ValueError())
    assert [type(leaf) for leaf in leaves(bug.value)] == [ValueError]


async def test_a_cancellation_is_not_lost_behind_a_failure() -> None:
    """Whoever is cancelled while its task group fails ends, and does not begin another round."""
    ready, rounds = asyncio.Event(), 0

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise Expected

    async def rounds_for_ever() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            with ends_on(Expected):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(fail_when_cancelled())
                    ready.set()
                    await asyncio.Event().wait()
            still_cancelled()

    task = asyncio.create_task(rounds_for_ever())
    await ready.wait()
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait((task,), timeout=5)
    if not done:
        task.cancel()
    assert done
    assert task.cancelled()
    assert rounds == 1
