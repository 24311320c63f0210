"""The page /docs: routes, parameters, schemas and errors, generated from the OpenAPI description. It loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from embedrec.serving.problems import TITLES

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
h2 code { font-size: 1em; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; }
tr { border-bottom: 1px solid #8885; }
"""


def reference_page(description: Mapping[str, Any]) -> bytes:
    """The page of an OpenAPI description."""
    return "\n".join(_page(description)).encode()


def _page(description: Mapping[str, Any]) -> Iterator[str]:
    info = description["info"]
    yield "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    yield f"<title>{escape(info['title'])} {escape(info['version'])}</title><style>{_STYLE}</style>"
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
    yield "<p>The machine-readable description is <a href=/openapi.json>/openapi.json</a>."
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            yield from _operation(method.upper(), path, operation)
    yield "<h1 id=schemas>Schemas</h1>"
    for name, schema in description["components"]["schemas"].items():
        yield f"<h2 id={escape(name)}><code>{escape(name)}</code></h2><p>{escape(schema.get('description', ''))}</p>"
        required = schema.get("required", ())
        rows = [(field, field in required, one) for field, one in schema.get("properties", {}).items()]
        yield from _table("field", rows)
    yield "<h1 id=errors>Errors</h1><p>An error is a <a href=#ProblemDetails>ProblemDetails</a> (RFC 9457).<table>"
    for status, title in TITLES.items():
        yield f"<tr id={title.replace(' ', '-')}><td>{status}<td>{escape(title)}"
    yield "</table></html>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2 id={operation['operationId']}><code>{method} {escape(path)}</code></h2>"
    yield f"<p>{escape(operation['summary'])}"
    rows = [(one["name"], one["required"], one["schema"]) for one in operation.get("parameters", ())]
    yield from _table("parameter", rows)
    if "requestBody" in operation:
        yield f"<p>Body: {_kind(operation['requestBody']['content']['application/json']['schema'])}"
    answer = operation["responses"]["200"]["content"]
    yield f"<p>Answer: {' '.join(_kind(one['schema']) for one in answer.values())}"


def _table(head: str, rows: list[tuple[str, bool, Mapping[str, Any]]]) -> Iterator[str]:
    if rows:
        yield f"<table><tr><th>{head}<th>type<th>default<th>"
        for name, required, schema in rows:
            default = "required" if required else escape(repr(schema.get("default")))
            text = escape(schema.get("description", ""))
            yield f"<tr><td><code>{escape(name)}</code><td>{_kind(schema)}<td>{default}<td>{text}"
        yield "</table>"


def _kind(schema: Mapping[str, Any]) -> str:
    """A type, with a link to its schema."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = "".join(
        f" {sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"), ("maxLength", "≤"))
        if key in schema
    )
    return escape(str(schema.get("type", "any"))) + bounds
