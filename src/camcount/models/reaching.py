"""What is said when the registry does not answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from camcount.errors import CamcountError, ServiceError
from camcount.models.home import URL_VARIABLE, without_password


class _Unanswered(ServiceError):
    detail = ""


@contextmanager
def reached(url: str, consequence: str) -> Generator[None]:
    """Whatever the registry's libraries raise inside becomes one line; ``consequence`` is what does not happen then.

    Raises:
        ServiceError: the registry does not answer; inside another one, with the outer one's consequence.
    """
    try:
        yield
    except _Unanswered as error:  # what was to be done in the end is what the user has to know
        raise _unanswered(url, consequence, error.detail) from error.__cause__
    except CamcountError:
        raise
    except Exception as error:  # MLflow lets through whatever its database, web and storage libraries raise
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise _unanswered(url, consequence, detail) from error


def _unanswered(url: str, consequence: str, detail: str) -> _Unanswered:
    error = _Unanswered(
        f"the model registry {without_password(url)} does not answer, {consequence}; "
        f"check it and {URL_VARIABLE} ({detail})"
    )
    error.detail = detail
    return error
