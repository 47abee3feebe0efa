"""The life of one model in memory, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a model stands."""

    REGISTERED = "registered"
    """Known and not in memory."""
    LOADING = "loading"
    WARMING = "warming"
    """In memory and being tried on a test batch; nobody is served yet."""
    READY = "ready"
    ERROR = "error"
    """It cannot be loaded as it is: corrupt, refused, too slow. Asking again tries again."""
    UNAVAILABLE = "unavailable"
    """Where it comes from does not answer, or there is no room for it; nothing is known against the model itself."""


class Event(StrEnum):
    """What happens to a model."""

    LOAD = "load"
    LOADED = "loaded"
    WARMED = "warmed"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    UNLOAD = "unload"


_LOADING = {Event.LOADED: State.WARMING, Event.FAILED: State.ERROR, Event.UNREACHABLE: State.UNAVAILABLE}
_AGAIN = {Event.LOAD: State.LOADING, Event.UNLOAD: State.REGISTERED}

TRANSITIONS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        State.REGISTERED: {Event.LOAD: State.LOADING},
        State.LOADING: _LOADING,
        State.WARMING: {
            Event.WARMED: State.READY,
            Event.FAILED: State.ERROR,
            Event.UNREACHABLE: State.UNAVAILABLE,
        },
        State.READY: {Event.UNLOAD: State.REGISTERED},
        State.ERROR: _AGAIN,
        State.UNAVAILABLE: _AGAIN,
    }
)


def after(state: State, event: Event) -> State:
    """The state that follows.

    Raises:
        ValueError: the event cannot happen in this state.

    >>> after(State.REGISTERED, Event.LOAD)
    <State.LOADING: 'loading'>
    """
    following = TRANSITIONS[state].get(event)
    if following is None:
        allowed = ", ".join(TRANSITIONS[state])
        raise ValueError(f"a model that is {state} cannot take {event!s}: only {allowed}")
    return following
