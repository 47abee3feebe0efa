"""A page that lists all calls with a command for each: it needs nothing from elsewhere, so that it opens anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733 }
h2 { margin: 2rem 0 0; font-size: 1.1rem } h2 code { font-weight: 400 } p { margin: .3rem 0 }
pre { background: #f2f5f8; padding: .7rem 1rem; overflow-x: auto; border-radius: 4px; margin: .4rem 0 }
td { padding: .15rem 1rem .15rem 0; vertical-align: top } small { color: #5b6b7b }
"""


def docs_page(document: Mapping[str, Any], address: str) -> str:
    """The page of an OpenAPI document; ``address`` is where the server was asked for it."""
    calls = [
        _call(method.upper(), path, operation, address)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description', ''))}</p>"
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a></p>{"".join(calls)}</html>'
    )


def _call(method: str, path: str, operation: Mapping[str, Any], address: str) -> str:
    query = [
        f"<tr><td><code>{escape(parameter['name'])}</code><td>{escape(parameter['schema'].get('description', ''))}"
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    ]
    commands = "".join(f"<pre>{escape(line)}</pre>" for line in _commands(method, address + path, operation))
    statuses = "<br>".join(
        f"{status}: {escape(told['description'])}" for status, told in sorted(operation["responses"].items())
    )
    return (
        f"<h2>{escape(operation['summary'])} <code>{method} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description', ''))}</p><table>{''.join(query)}</table>{commands}"
        f"<small>{statuses}</small>"
    )


def _commands(method: str, url: str, operation: Mapping[str, Any]) -> list[str]:
    url = url.replace("{modelId}", "yolox-nano").replace("{jobId}", "JOB")
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return [f"curl {f'-X {method} ' if method != 'GET' else ''}{url}"]
    lines = []
    if "image/jpeg" in content:
        lines.append(f"curl -H 'Content-Type: image/jpeg' --data-binary @frame.jpg '{url}?confidenceThreshold=0.5'")
    if "application/json" in content:
        example = json.dumps(content["application/json"]["example"])
        lines.append(f"curl -H 'Content-Type: application/json' -d '{example}' {url}")
    return lines
