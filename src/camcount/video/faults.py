"""Why a video could not be opened, in one line that names the fault and the remedy, and no password."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from av import error as av_error

from camcount.errors import SourceError, SourceNotFound, SourceTimeout

_REFUSED = (av_error.HTTPUnauthorizedError, av_error.HTTPForbiddenError)
_LATE = (av_error.ExitError, TimeoutError)


def file_fault(path: Path, error: Exception) -> SourceError:
    """What to tell the user whose file could not be opened."""
    if isinstance(error, PermissionError):
        return SourceError(f"{path} may not be read by this user: change its permissions (chmod +r)")
    if not _is_there(path):
        return SourceNotFound(f"{path} is not there: check the spelling, or give the full path")
    if path.stat().st_size == 0:
        return SourceError(f"{path} is empty: the recording or the copy of it failed, fetch it again")
    if lacks_index(path):
        return SourceError(
            f"{path} has no index (moov): the recording was cut off before it was finished; repair it with a tool "
            "such as untrunc, or record to MKV or TS, which can be read up to where they end"
        )
    return SourceError(
        f"{path} is no video that can be read ({_reason(error)}): try to play it, or convert it to MP4"
    )


def network_fault(shown: str, timeout_s: float, error: Exception) -> SourceError:
    """What to tell the user whose camera or server gave no video; ``shown`` is its address without secrets."""
    if isinstance(error, _LATE):
        return SourceTimeout(
            f"{shown} did not answer within {timeout_s:g} s: check address, port and network, or allow it longer"
        )
    if isinstance(error, _REFUSED):
        return SourceError(f"{shown} refused the user name or the password: check both")
    if isinstance(error, av_error.HTTPNotFoundError):
        return SourceNotFound(f"{shown} has no such stream or file: check the path after the host name")
    if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
        return SourceError(f"{shown} refused the connection: nothing listens there, check address and port")
    if isinstance(error, av_error.InvalidDataError):
        return SourceError(f"{shown} answers, but with no video: check the path and the protocol")
    remedy = "check address, path and network"
    if shown.startswith("http"):
        remedy += "; an MP4 with its index at the end must be fetched first (or written with -movflags +faststart)"
    return SourceError(f"{shown} gave no video ({_reason(error)}): {remedy}")


def device_fault(device: str, error: Exception) -> SourceError:
    """What to tell the user whose USB camera could not be opened."""
    if isinstance(error, FileNotFoundError):
        present = sorted(str(path) for path in Path("/dev").glob("video*"))
        remedy = (
            f"present: {', '.join(present)}" if present else "no camera is plugged in, or it is not passed through"
        )
        return SourceNotFound(f"there is no camera {device} ({remedy})")
    if isinstance(error, OSError) and error.errno == errno.EBUSY:
        return SourceError(f"camera {device} is in use: close the other program that has it open")
    return SourceError(f"camera {device} gives no video ({_reason(error)}): check permissions (group video)")


def lacks_index(path: Path) -> bool:
    """Whether a file is an MP4 or MOV without its ``moov`` box (ISO/IEC 14496-12, 4.2: boxes of size and type)."""
    kinds: list[bytes] = []
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        at = 0
        while at + 8 <= end and len(kinds) < 1000:
            file.seek(at)
            head = file.read(16)
            size = int.from_bytes(head[:4], "big")
            kinds.append(head[4:8])
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            if size < 8:
                break
            at += size
    return kinds[:1] == [b"ftyp"] and b"moov" not in kinds


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
