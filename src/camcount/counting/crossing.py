"""The verdict on one track and one line: when does a change of side count as a crossing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossingSettings:
    """What counts as a crossing. Times in seconds, lengths in usual heights of the object.

    Attributes:
        hold_s: a side counts once it was kept so long ...
        clear: ... or the object got so far away from the line.
        travel: from its farthest point on the one side to that on the other an object must have gone so far:
            what waits on the line and trembles has not.
        first_clear: how far from the line a track must have been first seen if it crosses at once.
        end_clear: how far beyond the line a track must be that is lost before ``hold_s``.
        sure: a track whose boxes are less confident than this on average does not count.
        lost_s: a track not seen for so long is taken as ended, and what is open about it decided.
        join_s, join, join_per_s: a track that starts no later after an ended one, and no farther from where that
            one would be (more for every second of the gap), continues it.
        alike: the lower of both heights over the higher one must be at least so much for that.
        walk_s, walk_share, walk_per_s, walk_alike: a track that starts no later after one that walked, that is beyond
            so large a share of the way which that one would have gone by now and not farther from it than ``join``
            and so much for every second, and whose height is so like the one expected there, continues it too.
        rest_s: an object resting for longer is remembered so long after it was last seen.
        extrapolate_s, extrapolate_frames: how far past its first and last sight a track is thought on, the
            shorter of both, where frames are farther apart than ``slow_interval_s``.
        before_s, before_sure, before_way: how far before its first sight where they are not, if the track is so
            confident on average and has come so far since.
        u_turn_s: an object that comes back within this time has not crossed.
        reentry_s: for this time after a counted crossing the same track's crossings of the line do not count.
    """

    hold_s: float = 0.3
    clear: float = 0.35
    travel: float = 0.08
    first_clear: float = 0.1
    end_clear: float = 0.05
    sure: float = 0.25
    lost_s: float = 0.9
    join_s: float = 1.5
    join: float = 0.35
    join_per_s: float = 0.4
    alike: float = 0.8
    walk_s: float = 5.0
    walk_share: float = 0.6
    walk_per_s: float = 0.1
    walk_alike: float = 0.6
    rest_s: float = 60.0
    extrapolate_s: float = 0.5
    extrapolate_frames: float = 3.2
    slow_interval_s: float = 0.08
    before_s: float = 0.3
    before_sure: float = 0.5
    before_way: float = 0.2
    u_turn_s: float = 0.0
    reentry_s: float = 0.0


@dataclass(slots=True)
class Open:
    """A change of side that is not decided yet.

    Attributes:
        home: the side left, 1 or -1; 0 if the track was seen there too briefly to say.
        home_depth, home_since: how far the track was from the line on that side, and since when.
        net: crossings of the line itself (not of its endless extension) since then, ``in`` minus ``out``.
        time_s, point, gap_s: of the last change of side: when, where, and how long the track was not seen then.
    """

    home: int
    home_depth: float = 0.0
    home_since: float = 0.0
    net: int = 0
    time_s: float = 0.0
    point: tuple[float, float] = (0.0, 0.0)
    gap_s: float = 0.0


def kept(settings: CrossingSettings, change: Open, held_s: float, depth: float) -> str | None:
    """Why the side taken by a change counts by now, or None. ``depth``: how far from the line it got, in heights."""
    if held_s < settings.u_turn_s or change.home_depth + depth < settings.travel:
        return None
    if held_s >= settings.hold_s:
        return f"stayed beyond the line for {held_s:.2f} s"
    if depth >= settings.clear:
        return f"went {depth:.2f} heights beyond the line"
    return None


def kept_at_end(settings: CrossingSettings, change: Open, held_s: float, depth: float) -> str | None:
    """The same for a track that has ended."""
    if held_s < settings.u_turn_s:
        return None
    if depth >= settings.end_clear:
        return f"last seen {depth:.2f} heights beyond the line"
    if held_s >= settings.hold_s and change.home_depth + depth >= settings.travel / 2:
        return f"last seen beyond the line, for {held_s:.2f} s"
    return None
