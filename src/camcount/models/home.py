"""Where camcount keeps its own files and its models, and who is asking."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from camcount.errors import UsageError

URL_VARIABLE = "CAMCOUNT_REGISTRY_URL"
ARTIFACTS_VARIABLE = "CAMCOUNT_REGISTRY_ARTIFACTS"


def home() -> Path:
    """``CAMCOUNT_HOME``, or the user's folder for data of programs; it need not exist yet."""
    if given := os.environ.get("CAMCOUNT_HOME"):
        return Path(given).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "camcount"


def user() -> str:
    """Who does something here: ``CAMCOUNT_USER``, or the account and the machine."""
    if given := os.environ.get("CAMCOUNT_USER"):
        return given
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        account = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{account}@{socket.gethostname()}"


def registry_url() -> str:
    """``CAMCOUNT_REGISTRY_URL``, or a SQLite file in `home`."""
    return os.environ.get(URL_VARIABLE) or f"sqlite:///{home() / 'registry' / 'mlflow.db'}"


def database_file(url: str) -> Path | None:
    """The file of a SQLite address; ``None`` for any other."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def artifacts_for(url: str, experiment: str) -> str | None:
    """Where a registry's files go when it is first used: ``CAMCOUNT_REGISTRY_ARTIFACTS`` where that is set.

    Otherwise ``None`` for a server, which decides itself, and for a database file a folder beside it.

    Raises:
        UsageError: a database that is no file, and ``CAMCOUNT_REGISTRY_ARTIFACTS`` does not say where.
    """
    folder = experiment.replace(" ", "-")
    if given := os.environ.get(ARTIFACTS_VARIABLE):
        return f"{given.rstrip('/')}/{folder}"
    if urlsplit(url).scheme in ("http", "https"):
        return None
    if (path := database_file(url)) is None:
        raise UsageError(f"{ARTIFACTS_VARIABLE} is not set: name a folder or s3://bucket/path for the models' files")
    return (path.parent.absolute() / "artifacts" / folder).as_uri()


def without_password(url: str) -> str:
    """The address as messages may show it.

    >>> without_password("http://ann:secret@models.example:5000")
    'http://models.example:5000'
    """
    parts = urlsplit(url)
    return url.replace(parts.netloc, parts.netloc.rpartition("@")[2]) if parts.password else url
