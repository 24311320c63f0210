"""What objects show of themselves: one short line, and a small table whose texts are escaped."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from embedrec.text import Described, Summary, counted, html, listed, one_line


@dataclass(frozen=True, repr=False)
class Basket(Described):
    items: list[str]

    def _summary(self) -> Summary:
        return Summary(counted(items=len(self.items)), {"item": self.items[:2]}, len(self.items) - 2)


def texts_of(page: str) -> tuple[list[str], set[str]]:
    """The texts between the tags of a page, and the tags."""
    texts: list[str] = []
    tags: set[str] = set()

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            texts.append(data)

        def handle_starttag(self, tag: str, attrs: object) -> None:
            assert not attrs
            tags.add(tag)

    reader = Reader()
    reader.feed(page)
    reader.close()
    return texts, tags


def test_line_and_table() -> None:
    basket = Basket(["bread", "jam", "nail"])
    assert repr(basket) == "Basket(3 items)"
    assert basket._repr_html_() == (
        "<div><strong>Basket</strong> 3 items</div><table><thead><tr><th>item</th></tr></thead><tbody>"
        "<tr><td>bread</td></tr><tr><td>jam</td></tr></tbody></table><div>… and 1 more</div>"
    )
    assert "more" not in Basket(["bread"])._repr_html_()
    assert html("Empty", Summary(["none"])) == "<div><strong>Empty</strong> none</div>"


@given(st.lists(st.text(max_size=90), max_size=2))
def test_texts_of_strangers_are_escaped(items: list[str]) -> None:
    _, tags = texts_of(Basket([*items, "<script>alert('&')</script>"])._repr_html_())
    assert tags <= {"div", "strong", "table", "thead", "tbody", "tr", "th", "td"}


def test_cells() -> None:
    page = html("t", Summary([], {"a": ["<script>", "x\n\x1b[2J", "y" * 99], "b": [None, 0.123456, 12]}))
    texts, _ = texts_of(page)
    assert texts == ["t", " ", "a", "b", "<script>", "x \\x1b[2J", "0.1235", "y" * 59 + "…", "12"]


def test_facts() -> None:
    assert counted(sessions=1, items=1234, users=None) == ["1 session", "1,234 items"]
    assert listed("numeric", []) == []
    assert listed("tags", "abcdefg") == ["tags a, b, c, d, e, f, …"]
    assert one_line("a\tb\u202e") == "a b\\u202e"
