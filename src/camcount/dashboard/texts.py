"""Everything the pages say, in every language: ``texts_<language>.yaml`` beside this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

Language = Literal["en", "vi"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@cache
def texts(language: Language) -> Mapping[str, str]:
    """By key; sections are joined by dots, as in ``live.empty.title``."""
    path = Path(__file__).with_name(f"texts_{language}.yaml")
    return dict(_flat(yaml.safe_load(path.read_text(encoding="utf-8")), ""))


def preferred(accepted: str) -> Language:
    """The language that a browser wants most of those there are; English if it wants none.

    >>> preferred("fr-FR,vi;q=0.8,en;q=0.5"), preferred("en-GB,vi;q=0.5"), preferred("*")
    ('vi', 'en', 'en')
    """
    wishes = []
    for part in accepted.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            wishes.append((-float(quality or 1), tag[:2].lower()))
        except ValueError:
            continue
    known = [tag for _, tag in sorted(wishes, key=lambda wish: wish[0]) if tag in LANGUAGES]
    return "vi" if known[:1] == ["vi"] else "en"


def _flat(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
