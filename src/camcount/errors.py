"""Every error that camcount raises on purpose, in one tree, free of HTTP.

CamcountError
├── ModelError           MODEL_001 not found · MODEL_002 load failed · MODEL_003 inference failed · MODEL_004 version
├── InferenceError       INF_001 input · INF_002 preprocessing · INF_003 postprocessing · INF_004 time-out
├── ResourceError        RES_001 memory · RES_002 GPU · RES_003 CPU · RES_004 disk
├── ServiceError         SYS_001 unavailable · SYS_002 database · SYS_003 cache · SYS_004 network
└── CountingError
    ├── SourceError      SRC_001 not found · SRC_002 unreadable · SRC_003 time-out
    ├── GeometryError    GEO_001 line, zone or point that cannot be used
    └── UsageError       CFG_001 settings or flags that contradict each other or name what is not there

A message says what was wrong, where, and what would be right, on one line.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class CamcountError(Exception):
    """The root: a stable ``code``, and whether the fault lies in what the user asked for (exit status 2, not 1)."""

    code: ClassVar[str] = "SYS_001"
    usage: ClassVar[bool] = False


class ModelError(CamcountError):
    """A model cannot be had."""

    code = "MODEL_003"


class ModelNotFound(ModelError):
    """No model of that name, version or path."""

    code = "MODEL_001"
    usage = True


class ModelLoadFailed(ModelError):
    """The model is there and cannot be loaded: corrupt, refused, of an unknown kind."""

    code = "MODEL_002"


class ModelVersionMismatch(ModelError):
    """The version asked for and the version found differ, or is not a SemVer version."""

    code = "MODEL_004"


class InferenceError(CamcountError):
    """One detection request failed."""

    code = "INF_001"


class InvalidInput(InferenceError):
    """The request's picture or options cannot be used."""

    code = "INF_001"


class PreprocessingFailed(InferenceError):
    """The picture could not be made into the model's input."""

    code = "INF_002"


class PostprocessingFailed(InferenceError):
    """The model's output could not be made into detections."""

    code = "INF_003"


class InferenceTimeout(InferenceError):
    """No answer before the deadline."""

    code = "INF_004"


class ResourceError(CamcountError):
    """Too little memory."""

    code = "RES_001"


class DiskFull(ResourceError):
    """A result could not be written."""

    code = "RES_004"


class ServiceError(CamcountError):
    """A component is not there at the moment."""

    code = "SYS_001"


class Overloaded(ServiceError):
    """More is asked than can be answered in time; ``retry_after_s`` is when to try again."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DatabaseUnavailable(ServiceError):
    """The database cannot be reached, opened or understood."""

    code = "SYS_002"


class Undelivered(ServiceError):
    """Another system did not take what it was sent.

    ``delivered`` says how many of a batch it took before; ``retry_after_s`` when it wants to be asked again, if it
    said so; ``gone`` that it wants no more at all.
    """

    code = "SYS_004"

    def __init__(
        self, message: str, *, delivered: int = 0, retry_after_s: float | None = None, gone: bool = False
    ) -> None:
        super().__init__(message)
        self.delivered, self.retry_after_s, self.gone = delivered, retry_after_s, gone


class CountingError(CamcountError):
    """The counting side cannot do what it was asked."""

    code = "CFG_001"


class SourceError(CountingError):
    """A source is there and no video comes out of it."""

    code = "SRC_002"


class SourceNotFound(SourceError):
    """There is no such file, folder or device."""

    code = "SRC_001"
    usage = True


class SourceTimeout(SourceError):
    """A camera or a server did not answer in time."""

    code = "SRC_003"


class GeometryError(CountingError):
    """A line or a zone that cannot count: outside the picture, of zero length, self-crossing."""

    code = "GEO_001"
    usage = True


class UsageError(CountingError):
    """Flags or settings that contradict each other, or that name what is not there."""

    code = "CFG_001"
    usage = True


def words_of(error: object, length: int | None = None) -> str:
    """What an error says, on one line, of at most so many characters; the name of its kind where it says nothing.

    >>> words_of(ValueError("no  such\\nthing")), words_of(TimeoutError())
    ('no such thing', 'TimeoutError')
    """
    return (" ".join(str(error).split()) or type(error).__name__)[:length]


def coded(error: CamcountError) -> str:
    """What an error says, and its code, as people are shown it.

    >>> coded(ModelNotFound("no model 'x'"))
    "no model 'x' (MODEL_001)"
    """
    return f"{error} ({error.code})"


@contextmanager
def writing(path: Path, what: str) -> Iterator[None]:
    """Turns what the operating system says while ``what`` (events, tracks, …) is written into one line.

    Raises:
        DiskFull: there is no space left; what was written before stays.
        UsageError: the file cannot be created or written.
    """
    try:
        yield
    except OSError as error:  # PyAV's errors of the operating system are OSErrors too
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"the disk is full: {path} holds the {what} up to here, free some space") from None
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
