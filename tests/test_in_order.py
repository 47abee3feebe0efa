"""Several at once, answered in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from camcount.api.in_order import in_order


async def _numbers(count: int, taken: list[int] | None = None) -> AsyncIterator[int]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield number


def test_results_come_in_order_though_the_last_is_done_first() -> None:
    """Each waits for the one behind it."""

    async def run() -> list[int]:
        done = [asyncio.Event() for _ in range(5)]
        done[4].set()

        async def work(number: int) -> int:
            await done[number].wait()
            done[number - 1].set()
            return number

        return [result async for result in in_order(_numbers(5), work, 5)]

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_no_more_than_so_many_are_taken_before_they_are_answered() -> None:
    """Whoever sends has to wait."""

    async def run() -> list[int]:
        taken: list[int] = []
        hold = asyncio.Event()

        async def work(number: int) -> int:
            await hold.wait()
            return number

        results = in_order(_numbers(10, taken), work, 3)
        first = asyncio.ensure_future(anext(results))
        for _ in range(20):
            await asyncio.sleep(0)
        seen = list(taken)
        hold.set()
        assert await first == 0
        await results.aclose()
        return seen

    assert asyncio.run(run()) == [0, 1, 2]


def test_leaving_calls_off_what_is_under_way() -> None:
    """Nothing goes on in the background."""

    async def run() -> int:
        cancelled = 0

        async def work(number: int) -> int:
            nonlocal cancelled
            try:
                await asyncio.sleep(0 if number == 0 else 60)
            except asyncio.CancelledError:
                cancelled += 1
                raise
            return number

        async with aclosing(in_order(_numbers(4), work, 4)) as results:
            async for _ in results:
                break
        await asyncio.sleep(0)
        return cancelled

    assert asyncio.run(run()) == 3


@pytest.mark.parametrize("where", ["work", "items"])
def test_errors_come_in_their_turn(where: str) -> None:
    """What was before is answered first."""

    async def items() -> AsyncIterator[int]:
        yield 0
        if where == "items":
            raise ValueError("two")
        yield 1

    async def work(number: int) -> int:
        if number:
            raise ValueError("two")
        return number

    async def run() -> list[int]:
        results = in_order(items(), work, 2)
        first = await anext(results)
        with pytest.raises(ValueError, match="two"):
            await anext(results)
        return [first]

    assert asyncio.run(run()) == [0]
