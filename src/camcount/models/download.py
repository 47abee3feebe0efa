"""One file from the web or from a folder: with progress, gone on with where it broke off, and checked."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import stamina

from camcount.errors import DiskFull, ModelLoadFailed, ModelNotFound, ServiceError, UsageError
from camcount.models.files import sha256 as digest_of

Progress = Callable[[int, int], None]
"""Told how many bytes are there, and of how many."""

_CHUNK = 1 << 18


class _CutOff(Exception):
    """The connection ended early; going on may help."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    size: int,
    progress: Progress = lambda done, size: None,
    attempts: int = 5,
    delay_s: float = 0.5,
    timeout_s: float = 30.0,
) -> Path:
    """The file at an ``http://``, ``https://`` or ``file://`` address, in place at ``target`` once it is whole.

    What came before a break stays beside the target, and the next attempt, or the next call, asks for the rest.

    Args:
        sha256: what the file must have, in hexadecimal.
        size: in bytes; not one more is written.
        attempts, delay_s: tries when the connection breaks, and the wait before the second, doubled from then on.
        timeout_s: without a single byte.

    Raises:
        ModelNotFound: there is nothing at that address.
        ModelLoadFailed: it is another file; nothing of it is kept.
        ServiceError: the server does not answer, or keeps breaking off.
        DiskFull: it could not be written.
        UsageError: the address is of another kind.
    """
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise UsageError(f"{url} cannot be downloaded: name an http://, https:// or file:// address")
    if target.is_file() and digest_of(target) == sha256:
        return target
    part = target.with_name(f"{target.name}.{sha256[:12]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        retrying = stamina.RetryingCaller(attempts=attempts, timeout=None, wait_initial=delay_s, wait_jitter=0)
        retrying.on(_CutOff)(_fetch, url, part, size, progress, timeout_s)
    except _CutOff as error:
        raise ServiceError(f"{url} does not come through ({error}): try again, what has come is kept") from error
    except OSError as error:
        raise DiskFull(f"{part} cannot be written ({error.strerror}): free space or set CAMCOUNT_HOME") from error
    if (found := digest_of(part)) != sha256:
        part.unlink()
        raise ModelLoadFailed(f"{url} is not the file expected (SHA-256 {found[:12]}…, expected {sha256[:12]}…)")
    part.replace(target)
    return target


def _fetch(url: str, part: Path, size: int, progress: Progress, timeout_s: float) -> None:
    there = part.stat().st_size if part.exists() else 0
    if there == size:
        return
    request = Request(url, headers={"User-Agent": "camcount", **({"Range": f"bytes={there}-"} if there else {})})
    try:
        with urlopen(request, timeout=timeout_s) as answer:
            goes_on = there > 0 and getattr(answer, "status", None) == 206
            _write(answer, part, there if goes_on else 0, size, progress)
    except HTTPError as error:
        with error:
            raise _refused(url, part, error) from error
    except (URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, FileNotFoundError) or "No such file" in str(reason):
            raise ModelNotFound(f"there is no {url}: check CAMCOUNT_MODEL_MIRROR") from error
        raise _CutOff(" ".join(str(reason).split()) or type(error).__name__) from error


def _write(answer: http.client.HTTPResponse, part: Path, start: int, size: int, progress: Progress) -> None:
    done = start
    with part.open("ab" if start else "wb") as file:
        progress(done, size)
        while chunk := answer.read(_CHUNK):
            done += len(chunk)
            if done > size:
                break
            file.write(chunk)
            progress(done, size)
    if done > size:
        part.unlink()
        raise ModelLoadFailed(f"more than the {size} bytes expected came for {part.stem}: it is another file")
    if done < size:
        raise _CutOff(f"it ended after {done} of {size} bytes")


def _refused(url: str, part: Path, error: HTTPError) -> Exception:
    if error.code == 416:  # what is here is not the beginning of what is there
        part.unlink(missing_ok=True)
        return _CutOff("the server cannot go on where it broke off")
    if error.code in (404, 410):
        return ModelNotFound(f"there is no {url} any more: check the address or set CAMCOUNT_MODEL_MIRROR")
    if error.code in (408, 425, 429) or error.code >= 500:
        return _CutOff(f"HTTP {error.code}")
    return ServiceError(f"{url} is refused with HTTP {error.code}: check the address or set CAMCOUNT_MODEL_MIRROR")
