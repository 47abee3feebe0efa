"""Several at once, answered in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], at_most: int
) -> AsyncGenerator[R, None]:
    """The results of ``work``, in order, with at most so many items taken and not yet answered.

    While that many are, no more are taken: whoever sends them has to wait. Closing the iterator calls off what is
    under way, and so does an error of ``work`` or ``items``, which is raised in its turn.
    """
    slots = asyncio.Semaphore(at_most)
    tasks: asyncio.Queue[asyncio.Future[R] | None] = asyncio.Queue()
    running: set[asyncio.Future[R]] = set()

    async def take() -> None:
        try:
            await slots.acquire()
            async for item in items:
                task = asyncio.ensure_future(work(item))
                running.add(task)
                task.add_done_callback(running.discard)
                tasks.put_nowait(task)
                await slots.acquire()
        finally:
            tasks.put_nowait(None)

    reader = asyncio.ensure_future(take())
    try:
        while (task := await tasks.get()) is not None:
            yield await task
            slots.release()
        await reader
    finally:
        reader.cancel()
        for left in running:
            left.cancel()
