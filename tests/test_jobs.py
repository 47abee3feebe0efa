"""The queue of jobs: order, bounds, and what nobody waits for any more."""

from __future__ import annotations

import threading
import time

import pytest

from camcount.errors import InferenceTimeout, Overloaded
from camcount.serving.jobs import Job, JobQueue
from camcount.serving.requests import DetectionRequest, Priority
from tests.fake_models import job


def _index(taken: object) -> int:
    request = getattr(taken, "request", None)
    assert isinstance(request, DetectionRequest)
    return request.frame.index


def test_who_waits_at_a_screen_goes_before_batch_work_and_otherwise_who_came_first() -> None:
    """Priority first, then order of arrival."""
    queue = JobQueue(10)
    for index, priority in enumerate([Priority.BATCH, Priority.INTERACTIVE, Priority.BATCH, Priority.INTERACTIVE]):
        queue.put(job(index, priority=priority))
    assert [_index(queue.take(0)) for _ in range(4)] == [1, 3, 0, 2]


def test_what_failed_elsewhere_comes_back_first_and_is_never_refused() -> None:
    """A retry has waited already."""
    queue = JobQueue(1)
    queue.put(job(1))
    queue.put(job(2), again=True)
    assert [_index(queue.take(0)) for _ in range(2)] == [2, 1]


def test_a_full_queue_refuses_and_says_so() -> None:
    """Bounded: what cannot be answered in time is not taken."""
    queue = JobQueue(2)
    queue.put(job())
    queue.put(job())
    with pytest.raises(Overloaded, match="2 requests wait"):
        queue.put(job())
    assert queue.refused == 1
    assert len(queue) == 2


def test_batch_work_leaves_half_of_the_queue_to_others() -> None:
    """A large batch job cannot keep interactive requests out."""
    queue = JobQueue(4)
    for _ in range(2):
        queue.put(job(priority=Priority.BATCH))
    with pytest.raises(Overloaded):
        queue.put(job(priority=Priority.BATCH))
    queue.put(job())


def test_a_job_whose_client_has_gone_is_not_begun() -> None:
    """Cancelled work is counted and passed over."""
    queue = JobQueue(4)
    ended: list[object] = []
    gone = job(1, finish=lambda job, outcome: ended.append(outcome))
    queue.put(gone)
    queue.put(job(2))
    assert gone.future.cancel()
    assert _index(queue.take(0)) == 2
    assert ended == [None]
    assert queue.cancelled == 1


def test_a_job_that_is_too_late_is_refused_unrun() -> None:
    """Past its deadline nobody can use the answer."""
    queue = JobQueue(4)
    late = job(1, deadline=time.monotonic() - 0.01)
    queue.put(late)
    assert queue.take(0) is None
    assert isinstance(late.future.exception(0), InferenceTimeout)
    assert queue.expired == 1


def test_a_begun_job_cannot_be_cancelled() -> None:
    """A replica is at it."""
    queue = JobQueue(4)
    queue.put(job())
    taken = queue.take(0)
    assert taken is not None
    assert not taken.future.cancel()


def test_a_job_is_left_for_somebody_else() -> None:
    """What one taker may not have keeps its place."""
    queue = JobQueue(4)
    queue.put(job(1))
    queue.put(job(2))
    assert _index(queue.take(0, lambda job: _index(job) == 2)) == 2
    assert _index(queue.take(0)) == 1


def test_a_waiting_taker_gets_what_comes() -> None:
    """No polling: the taker wakes when a job arrives."""
    queue = JobQueue(4)
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.append(_index(queue.take(10))))
    thread.start()
    queue.put(job(7))
    thread.join(5)
    assert taken == [7]


@pytest.mark.parametrize(("choosy", "again"), [(True, False), (False, True)])
def test_a_job_that_the_first_to_wake_leaves_wakes_the_others(choosy: bool, again: bool) -> None:
    """It does not lie there until somebody's time is over."""
    queue = JobQueue(4, choosy=choosy)
    refused, waits = threading.Event(), threading.Event()
    taken: list[int] = []

    def refuse(_: Job) -> bool:
        refused.set()
        return False

    def take() -> None:
        waits.set()
        taken.append(_index(queue.take(10)))

    first = threading.Thread(target=lambda: queue.take(10, refuse))
    second = threading.Thread(target=take)
    first.start()
    queue.put(job(1))
    assert refused.wait(5)  # it has looked, and is the first to wait
    assert _index(queue.take(0)) == 1
    second.start()
    assert waits.wait(5)
    time.sleep(0.05)
    queue.put(job(7), again=again)
    second.join(5)
    assert taken == [7]
    queue.close()
    first.join(5)


def test_a_closed_queue_gives_back_what_waited_and_takes_no_more() -> None:
    """Nobody waits for ever."""
    queue = JobQueue(4)
    queue.put(job(1, priority=Priority.BATCH))
    queue.put(job(2))
    assert [_index(left) for left in queue.close()] == [2, 1]
    assert queue.take(10) is None
    with pytest.raises(Overloaded):
        queue.put(job())
