from __future__ import annotations

import difflib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import embedrec.text.near_misses as module
from embedrec.data import Vocab
from embedrec.data.find_items import find_items
from embedrec.errors import UnknownItemError, did_you_mean
from embedrec.text.near_misses import close_matches

WORDS = st.lists(st.text("abcé ", max_size=8), max_size=30, unique=True)


@given(st.text("abcé ", min_size=1, max_size=8), WORDS, st.sampled_from([0.6, 0.7, 0.9]))
def test_few_words_are_all_compared(text: str, words: list[str], cutoff: float) -> None:
    assert close_matches(text, words, cutoff=cutoff) == difflib.get_close_matches(text, words, n=3, cutoff=cutoff)


def test_typos_among_many_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every kind: a character too many, too few, another, two turned around; with few compared."""
    monkeypatch.setattr(module, "MAX_COMPARED", 50)
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyzé", k=rng.randint(6, 20))) for _ in range(30_000)]
    for word in words[:: len(words) // 25]:
        at = rng.randrange(1, len(word) - 1)
        for typo in (
            word[:at] + word[at + 1 :],
            word[:at] + "q" + word[at:],
            word[:at] + "q" + word[at + 1 :],
            word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
        ):
            assert close_matches(typo, words, cutoff=0.6)[0] == word


def test_only_some_are_compared_however_alike_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """difflib would take minutes for a million words that are all near; what it is given is bounded."""
    given_to: list[int] = []
    real = difflib.get_close_matches

    def counted(text: str, words: list[str], n: int, cutoff: float) -> list[str]:
        given_to.append(len(words))
        return real(text, words, n=n, cutoff=cutoff)

    monkeypatch.setattr(module.difflib, "get_close_matches", counted)
    names = [f"artist name number {i * 7919 % 50_000:07d}" for i in range(50_000)]
    with pytest.raises(UnknownItemError, match="no item 'artist_name_numbr_00001' among the 50000"):
        find_items(Vocab(names), ["artist_name_numbr_00001"])
    assert did_you_mean("artist name numbr 0000001", names).startswith("; did you mean 'artist name number 0000001'")
    assert given_to and max(given_to) <= module.MAX_COMPARED


def test_what_is_no_typo_is_not_compared() -> None:
    assert close_matches("x" * 10_000, ["x" * 10_000]) == []
    assert close_matches("", ["", "a"]) == []
