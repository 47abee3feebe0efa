"""What to tell the user of a video that can be counted, but not as if nothing were wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from av import error as av_error

from camcount.frame import Frame
from camcount.video.timeline import Timeline

_GAP_S = 1.0
_SHORT_S = 0.5


@dataclass
class Remarks:
    """Collects one line for each thing that went wrong with one stream, told as it happens or at its end.

    ``shown`` is the source's address without secrets; ``damaged`` is how often damaged video was passed over.
    """

    shown: str
    warnings: list[str] = field(default_factory=list)
    damaged: int = 0
    _told: int = 0
    _last: Frame | None = None
    _gaps_s: float = 0.0
    _resized: bool = False

    def at(self, frame: Frame, clock: Timeline) -> None:
        """Looks at a frame that is about to be given out."""
        last = self._last
        if last is not None:
            gap_s = frame.time_s - last.time_s
            # a gap is told only beside damage: on its own it is how this video was recorded
            if gap_s > max(_GAP_S, 2 * clock.step_s):
                self._gaps_s += gap_s
            if (frame.width, frame.height) != (last.width, last.height) and not self._resized:
                self._resized = True
                self._tell(
                    f": the picture changes from {last.width}x{last.height} to {frame.width}x{frame.height} "
                    f"at {frame.time_s:.1f} s"
                )
        while self._told < len(clock.jumps):
            before_s, after_s = clock.jumps[self._told]
            self._tell(
                f": time stamps jump from {before_s:.1f} s to {after_s:.1f} s; counting goes on as without a gap"
            )
            self._told += 1
        self._last = frame

    def end(self, clock: Timeline) -> None:
        """Sums up at the end of a file or a stream."""
        if clock.jumped > self._told:
            self._tell(f": time stamps jump {clock.jumped} times in all")
        if self.damaged:
            lost = f", {self._gaps_s:.1f} s are without pictures" if self._gaps_s else ""
            times = "once" if self.damaged == 1 else f"{self.damaged} times"
            self._tell(f": damaged video was passed over {times}{lost}")

    def end_of_file(self, clock: Timeline, fault: Exception | None) -> None:
        """Says where a file ends that claims to be longer, or cannot be read to its end."""
        self.end(clock)
        end_s = _end_s(clock)
        if fault is not None:
            self._tell(f" cannot be read beyond {end_s:.1f} s: {_reason(fault)}")
        elif clock.duration_s is not None and end_s < clock.duration_s - max(_SHORT_S, 2 * clock.step_s):
            self._tell(f" ends early, at {end_s:.1f} s of {clock.duration_s:.1f} s: the file is cut off or damaged")

    def end_of_live(self, clock: Timeline, fault: Exception | None, timeout_s: float) -> None:
        """Says when and how a camera went away: a live source has no end of its own."""
        self.end(clock)
        if fault is None:
            how = "ended the stream"
        elif isinstance(fault, (av_error.ExitError, TimeoutError)):
            how = f"fell silent (nothing for {timeout_s:g} s)"
        else:
            how = f"broke off ({_reason(fault)})"
        self._tell(f" {how} at {_end_s(clock):.1f} s")

    def _tell(self, what: str) -> None:
        self.warnings.append(self.shown + what)


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or "no more data came"


def _end_s(clock: Timeline) -> float:
    return (clock.last_s or 0.0) + clock.step_s
