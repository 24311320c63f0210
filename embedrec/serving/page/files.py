"""The files of the page, each at a path that holds a digest of all, so that browsers keep them for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from embedrec.serving.problems import Problem
from embedrec.serving.routing import Page

_TYPES = MappingProxyType(
    {
        "css": "text/css; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
)
_SAFE = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_POLICY = b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
_FRONT = "index.html"


@cache
def contents() -> dict[str, bytes]:
    """The bytes of each file by its name."""
    entries = files(__package__).iterdir()
    kept = {entry.name: entry.read_bytes() for entry in entries if entry.name.rpartition(".")[2] in _TYPES}
    return dict(sorted(kept.items()))


@cache
def digest() -> str:
    """A digest of all names and bytes."""
    total = hashlib.sha256()
    for name, content in contents().items():
        total.update(f"{name} {len(content)}\n".encode() + content)
    return total.hexdigest()[:16]


@cache
def front_page() -> Page:
    """The page at /; browsers ask each time whether it has changed."""
    body = contents()[_FRONT].replace(b"{digest}", digest().encode())
    headers = (
        (b"etag", f'"{digest()}"'.encode()),
        (b"cache-control", b"no-cache"),
        (b"content-security-policy", _POLICY),
        *_SAFE,
    )
    return Page(body, _TYPES["html"], headers)


def page_file(path: str) -> Page:
    """The file at DIGEST/NAME. Raises Problem 404 for another digest or name."""
    current, _, name = path.partition("/")
    content = contents().get(name)
    if current != digest() or content is None or name == _FRONT:
        raise Problem(404, "the page has no such file; load / again")
    headers = (
        (b"etag", f'"{digest()}"'.encode()),
        (b"cache-control", b"public, max-age=31536000, immutable"),
        *_SAFE,
    )
    return Page(content, _TYPES[name.rpartition(".")[2]], headers)
