from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.data.find_items import find_items
from embedrec.errors import UnknownItemError

A = "spotify:artist:"
VOCAB = Vocab(
    [f"{A}1x", f"{A}2y", f"{A}3z", "spotify:track:2y", "bare", f"{A}5"],
    np.array(["The Beatles", "Queen", "queen", "Björk", "", "Air"], dtype=object),
    np.array([5, 4, 3, 2, 1, 9]),
)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (f"{A}1x", 0),
        ("1x", 0),
        ("artist:1x", 0),
        (f"{A}2y", 1),
        ("artist:2y", 1),
        ("track:2y", 3),
        ("bare", 4),
        (f"{A}bare", 4),
        ("The Beatles", 0),
        ("the BEATLES", 0),
        ("Queen", 1),  # the very name before one in other capitals
        ("queen", 2),
        ("BJÖRK", 3),
    ],
)
def test_items_are_found_by_id_part_of_an_id_or_name(text: str, row: int) -> None:
    assert find_items(VOCAB, [text]).tolist() == [row]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2y", f"'2y' may mean 2 items ({A}2y (Queen), spotify:track:2y (Björk)); give the id"),
        ("QUEEN", f"'QUEEN' may mean 2 items ({A}2y (Queen), {A}3z (queen)); give the id"),
        (
            "spotify:album:1x",
            f"no item 'spotify:album:1x' among the 6 of the vocabulary; did you mean {A}1x",
        ),
        ("rtist:1x", "no item 'rtist:1x'"),
        ("Beatles", f"no item 'Beatles' among the 6 of the vocabulary; did you mean {A}1x (The Beatles)?"),
        ("Bjork", "did you mean spotify:track:2y (Björk)?"),
        ("e", f"did you mean {A}1x (The Beatles) or {A}2y (Queen) or {A}3z (queen)?"),  # the most mentioned first
        ("zzzzzz", "; give an id or a name"),
        (":", "no item ':'"),
    ],
)
def test_unknown_and_ambiguous_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(UnknownItemError) as raised:
        find_items(VOCAB, [f"{A}1x", text])
    assert message in str(raised.value)


@pytest.mark.parametrize("text", ["--5", "-", "", "9" * 5000, "²", "٣", "1.0", " 7", "7 ", "+7", "0x7", "None"])
def test_texts_that_are_not_integers_are_unknown(text: str) -> None:
    with pytest.raises(UnknownItemError, match="no item"):
        find_items(Vocab(np.array([7, -5])), [text])


def test_integer_ids_are_found_by_their_digits() -> None:
    vocab = Vocab(np.array([7, -5, 2**62]), np.array(["seven", "12", "big"], dtype=object))
    assert find_items(vocab, ["-5", "7", "seven", "12", str(2**62)]).tolist() == [1, 0, 0, 1, 2]
    with pytest.raises(UnknownItemError, match=r"did you mean 7 \(seven\)"):
        find_items(vocab, ["sever"])


def test_vocabularies_without_names_are_searched_by_id() -> None:
    with pytest.raises(UnknownItemError, match="did you mean abba"):
        find_items(Vocab(["abba", "zz top"]), ["abbb"])
    assert find_items(Vocab(["abba", "zz top"]), []).tolist() == []
    with pytest.raises(UnknownItemError, match="among the 0"):
        find_items(Vocab([]), ["x"])


def test_a_message_lists_five_ambiguous_items() -> None:
    vocab = Vocab([f"{i}:x" for i in range(9)])
    with pytest.raises(UnknownItemError, match=r"may mean 9 items \(0:x, 1:x, 2:x, 3:x, 4:x …\)"):
        find_items(vocab, ["x"])


@given(st.lists(st.text("ab:/ é", min_size=1, max_size=4), min_size=1, max_size=8, unique=True), st.text("ab:/ é"))
def test_an_id_finds_itself_and_any_text_an_item_or_an_error(ids: list[str], text: str) -> None:
    vocab = Vocab(ids)
    assert find_items(vocab, ids).tolist() == list(range(len(ids)))
    try:
        (row,) = find_items(vocab, [text])
        assert ids[row] == text or ids[row].endswith(f":{text}") or text.endswith(f":{ids[row]}")
    except UnknownItemError:
        assert text not in ids


def test_names_are_compared_in_one_normal_form_of_unicode() -> None:
    from unicodedata import normalize

    for stored, queries in (("NFC", "NFD"), ("NFD", "NFC")):
        names = np.array([normalize(stored, "Röyksopp"), "Roy"], dtype=object)
        for vocab in (Vocab([1, 2], names), Vocab(names)):
            for text in ("Röyksopp", "RÖYKSOPP") if vocab.names is not None else ("Röyksopp",):
                assert find_items(vocab, [normalize(queries, text)]).tolist() == [0]
    both = Vocab([normalize("NFC", "ö"), normalize("NFD", "ö")])
    assert find_items(both, [normalize("NFD", "ö"), normalize("NFC", "ö")]).tolist() == [1, 0]  # ids stay as written
