"""What a page is, and what it is given for each visit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from starlette.requests import Request

from camcount.dashboard.addresses import ADDRESSES
from camcount.dashboard.dashboard import Dashboard
from camcount.dashboard.texts import LANGUAGES, Language, preferred, texts

Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)


@dataclass(frozen=True, slots=True)
class Visit:
    """One page opened by one browser.

    Attributes:
        place: what stands in the page's address, such as ``camera`` of ``/cameras/{camera}``.
        query: what follows the address.
    """

    dashboard: Dashboard
    language: Language
    theme: Theme
    place: Mapping[str, str]
    query: Mapping[str, str]

    @classmethod
    def of(cls, request: Request) -> Visit:
        """As the browser asked, and as its user chose earlier."""
        cookies = request.cookies
        chosen = {str(known): known for known in LANGUAGES}.get(cookies.get("camcount_language", ""))
        return cls(
            request.scope["dashboard"],
            chosen or preferred(request.headers.get("accept-language", "")),
            {str(known): known for known in THEMES}.get(cookies.get("camcount_theme", ""), "auto"),
            dict(request.path_params),
            dict(request.query_params),
        )

    def say(self, key: str, **values: object) -> str:
        """A text in the visitor's language, with ``{name}`` replaced by what is given.

        Raises:
            KeyError: there is no such text, which is a mistake of the program.
        """
        text = texts(self.language)[key]
        return text.format(**values) if values else text


@dataclass(frozen=True, slots=True)
class Page:
    """One page; ``nav.<name>`` is its text in the navigation and its heading, `ADDRESSES` has where it is.

    Attributes:
        icon: of Google's Material Icons.
        build: makes the content, within the frame that all pages share; called once per visit.
        under: the page of the navigation that it belongs to; empty for one that stands there itself.
        title: makes the heading, where it depends on the visit.
        headed: whether the frame shows the heading; a page that is not makes its own ``h1``.
    """

    name: str
    icon: str
    build: Callable[[Visit], Awaitable[None]]
    under: str = ""
    title: Callable[[Visit], str] | None = None
    headed: bool = True

    def heading(self, visit: Visit) -> str:
        """What stands above it."""
        return self.title(visit) if self.title else visit.say(f"nav.{self.name}")

    @property
    def paths(self) -> tuple[str, ...]:
        """All of its addresses, the one in the navigation first."""
        return ADDRESSES[self.name]
