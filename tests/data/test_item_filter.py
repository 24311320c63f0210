"""Item filters: lists of ids, and the allowed items against a slow loop."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Features, Vocab
from embedrec.data.feature_conditions import Condition
from embedrec.data.features import Categories
from embedrec.data.item_filter import IdList, ItemFilter, parse_ids
from embedrec.errors import DataError, SettingsError

VOCAB = Vocab(list("abcdef"))
SHELF = np.array(["new", "old"], dtype=object)
FEATURES = Features(Vocab(list("fedcb")), {"year": np.array([6, 5, 4, 3, np.nan])},
                    {"shelf": Categories([0, 0, 1, 1, 1], SHELF)})  # fmt: skip


def features() -> Features:
    return FEATURES


def not_loaded() -> Features:
    raise AssertionError("a filter without conditions loads no features")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", ()),
        (b"a\nb", ("a", "b")),
        (b"\xef\xbb\xbfa\r\n\r\n \t\nb \r\n", ("a", "b ")),  # a byte order mark, empty lines, ends of Windows
        ("é\u2028x\x0b\n".encode(), ("é\u2028x\x0b",)),  # other line separators are characters of an id
        (b"a\ra\n", ("a\ra",)),
        (b"a\na\n", ("a", "a")),
    ],
)
def test_lists_of_ids_have_one_id_per_line(content: bytes, lines: tuple[str, ...]) -> None:
    assert IdList.read("ids.txt", content) == IdList("ids.txt", lines)


def test_a_list_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(DataError) as raised:
        IdList.read("ids.txt", b"a\nb\xff\n")
    assert str(raised.value) == (
        "ids.txt is not UTF-8 ('utf-8' codec can't decode byte 0xff in position 3: invalid start byte); "
        "give a text file with one id per line"
    )


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff")).filter(str.strip)))
def test_written_ids_are_read(ids: list[str]) -> None:
    text = "\n".join(ids)
    read = IdList.read("x", text.encode())
    assert read.lines == tuple(ids)
    assert read.digest == hashlib.sha256(text.encode()).hexdigest()


def test_a_digest_identifies_the_ids_in_their_order() -> None:
    """Not the file; ids of Python may contain surrogates."""
    ids = IdList("x", ("a", "b\udcff"))
    assert ids.digest == replace(ids, name="y").digest == hashlib.sha256(b"a\nb\xed\xb3\xbf").hexdigest()
    assert ids.digest != IdList("x", ids.lines[::-1]).digest


@pytest.mark.parametrize("text", ["9" * 5000, "--5", "-", "9" * 19, "٣", "5.5"])
def test_a_line_that_is_no_integer_is_unknown_among_integers(text: str) -> None:
    assert IdList("x", (text,)).rows(Vocab(np.array([3, 5]))).tolist() == [-1]


def test_integer_ids_may_have_blanks_around_and_string_ids_may_not() -> None:
    assert IdList("x", (" 5 ", "-3", "3")).rows(Vocab(np.array([3, 5]))).tolist() == [1, -1, 0]
    assert IdList("x", (" a", "a", "zz")).rows(VOCAB).tolist() == [-1, 0, -1]
    assert parse_ids(Vocab(np.array([3, 5])), [" 5", "x"]) == [5, "x"]
    assert parse_ids(VOCAB, [" a", "5"]) == [" a", "5"]


lists = st.one_of(st.none(), st.lists(st.sampled_from("abcdefxyz")).map(lambda ids: IdList("x", tuple(ids))))
conditions = st.lists(st.sampled_from(["year>=4", "year!=5", "shelf=old", "shelf!=new", "shelf=old|new"]), max_size=2)
HOLDS = {  # of each item, in order
    "year>=4": [False, False, False, True, True, True],
    "year!=5": [True, True, True, True, False, True],
    "shelf=old": [False, True, True, True, False, False],
    "shelf!=new": [True, True, True, True, False, False],
    "shelf=old|new": [False, True, True, True, True, True],
}


@given(conditions, lists, lists)
def test_allowed_items_against_a_slow_loop(where: list[str], only: IdList | None, exclude: IdList | None) -> None:
    item_filter = ItemFilter(tuple(map(Condition.of, where)), only, exclude)
    expected = [
        all(HOLDS[condition][row] for condition in where)
        and (only is None or item in only.lines)
        and (exclude is None or item not in exclude.lines)
        for row, item in enumerate("abcdef")
    ]
    assert bool(item_filter) == (bool(where) or only is not None or exclude is not None)
    if not item_filter:
        assert item_filter.mask(VOCAB, not_loaded) is None
    elif not any(expected):
        with pytest.raises(SettingsError) as raised:
            item_filter.mask(VOCAB, features)
        assert str(raised.value) == "the filter allows none of the 6 items; relax its conditions"
    else:
        mask = item_filter.mask(VOCAB, features if where else not_loaded)
        assert mask is not None and mask.dtype == bool and mask.tolist() == expected


def test_messages_count_allowed_items_and_unknown_ids() -> None:
    only, exclude = IdList("only.txt", ("a", "b", "x", "y")), IdList("gone.txt", ("b", "z"))
    item_filter = ItemFilter(only=only, exclude=exclude)
    mask = item_filter.mask(VOCAB, not_loaded)
    assert mask is not None
    assert item_filter.messages(VOCAB, mask) == [
        "1 of 6 items are allowed",
        "2 of the 4 ids in only.txt are not among the items",
        "1 of the 2 ids in gone.txt are not among the items",
    ]
    known = ItemFilter(exclude=IdList("gone.txt", ("b",)))
    assert known.messages(Vocab(list(range(12_345))), np.ones(12_345, dtype=bool))[0] == (
        "12,345 of 12,345 items are allowed"
    )
    assert known.messages(VOCAB, np.ones(6, dtype=bool)) == ["6 of 6 items are allowed"]


def test_a_filter_is_identified_by_conditions_and_ids() -> None:
    """Not by the names of files, so that a copied list continues an interrupted export."""
    only = IdList("only.txt", ("a", "b"))
    item_filter = ItemFilter((Condition.of("year >= 4"), Condition.of("shelf=old|new")), only)
    digest = hashlib.sha256(b"a\nb").hexdigest()
    assert item_filter.about() == {"where": ["year>=4", "shelf=old|new"], "only": digest, "exclude": None}
    assert replace(item_filter, only=replace(only, name="copy.txt")).about() == item_filter.about()
    assert ItemFilter(exclude=only).about() == {"where": [], "only": None, "exclude": digest}
