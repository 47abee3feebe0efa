"""SemVer versions of models: read, and put in order."""

from __future__ import annotations

import semver

from camcount.errors import ModelVersionMismatch

SEMVER = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-((0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(\+([0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*))?$"
)
"""What a version looks like, as semver.org gives it, for readers of the published schema."""


def parse_version(text: str) -> semver.Version:
    """A version that compares as SemVer 2.0.0 says: ``1.2.0-rc.1 < 1.2.0 < 1.10.0``.

    Raises:
        ModelVersionMismatch: it is no SemVer version.

    >>> sorted(["1.10.0", "1.2.0", "1.2.0-rc.1"], key=parse_version)
    ['1.2.0-rc.1', '1.2.0', '1.10.0']
    """
    try:
        return semver.Version.parse(text)
    except (ValueError, TypeError):
        raise ModelVersionMismatch(
            f"{text!r} is not a SemVer version: write MAJOR.MINOR.PATCH, for example 1.0.0 or 2.1.0-rc.1"
        ) from None
