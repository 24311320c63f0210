"""Parse a page like a browser: elements, texts, and what it would load from the network."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "input", "br", "hr", "img", "link"}
LOADS = {"src", "href", "data", "action", "formaction", "poster", "srcset", "xlink:href", "manifest", "ping"}


@dataclass
class Read:
    """The content of a page.

    tags     name of an element → how often
    ids      of elements
    loads    values of attributes that can make a browser fetch something, in-page links left out
    texts    between the elements, scripts and styles left out
    scripts  (type, text)
    """

    tags: dict[str, int] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    scripts: list[tuple[str, str]] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)

    @property
    def data(self) -> Any:
        """The JSON data of the script of the page."""
        (text,) = (text for kind, text in self.scripts if kind == "application/json")
        return json.loads(text)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.read, self.open = Read(), []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read.tags[tag] = self.read.tags.get(tag, 0) + 1
        given = dict(attrs)
        assert len(given) == len(attrs), f"an attribute of <{tag}> stands twice"
        self.read.ids += [given["id"]] if given.get("id") else []
        self.read.handlers += [key for key in given if key.startswith("on")]
        self.read.loads += [v or "" for k, v in attrs if k in LOADS and not (v or "").startswith("#")]
        self.read.styles += [given["style"]] if given.get("style") else []
        if tag == "script":
            self.read.scripts.append((given.get("type") or "", ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> where <{self.open[-1:]}> is open"
        self.open.pop()

    def handle_data(self, text: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            kind, before = self.read.scripts[-1]
            self.read.scripts[-1] = kind, before + text
        elif inside == "style":
            self.read.styles.append(text)
        elif text.strip():
            self.read.texts.append(text)


def read_page(text: str) -> Read:
    """Parse a page. Fails for unclosed elements, duplicate ids, and anything that loads from the network."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    content = reader.read
    assert len(set(content.ids)) == len(content.ids)
    assert content.loads == []
    assert content.handlers == []
    code = "".join(text for kind, text in content.scripts if kind != "application/json")
    styles = "".join(content.styles)
    assert not re.search(
        r"https?:|//[a-z]|\bimport\b|fetch\(|XMLHttp|WebSocket|innerHTML|document\.write|eval\(",
        code.replace(" // ", ""),
    )
    assert not re.search(r"url\(|@import", styles)
    return content
