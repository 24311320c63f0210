"""The search of items by parts of their names."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import UnknownItemError
from embedrec.storage.workspace import Workspace
from embedrec.workflows.items import (
    Catalogue,
    catalogue_items,
    find_catalogue_source,
    folded,
    open_catalogue,
    search_catalogue,
)

NAMES = ["Björk", "The Beatles", "Beatles Revival Band", "Queen", "Queens of the Stone Age"]
CATALOGUE = Catalogue(Vocab([f"i{n}" for n in range(5)], NAMES), np.array([1, 2, 9, 4, 7]))


@pytest.mark.parametrize(
    ("text", "names", "nearly"),
    [
        ("beatles", ["Beatles Revival Band", "The Beatles"], False),  # the most frequent first
        ("QUEEN", ["Queen", "Queens of the Stone Age"], False),  # the equal name first
        ("bjork", ["Björk"], False),
        ("i3", ["Queen"], False),
        ("betles", ["Beatles Revival Band", "The Beatles"], True),
    ],
)
def test_items_are_found_by_parts_of_names(text: str, names: list[str], nearly: bool) -> None:
    matches = search_catalogue(CATALOGUE, text)
    assert [item.name for item in catalogue_items(CATALOGUE, matches.rows)] == names
    assert matches.nearly == nearly


def test_texts_without_a_match_are_refused() -> None:
    with pytest.raises(UnknownItemError) as error:
        search_catalogue(CATALOGUE, "xyzzy")
    assert str(error.value) == "no item matches 'xyzzy' among the 5; try a part of its name"


def test_case_and_accents_are_ignored() -> None:
    assert (folded("ÉCOLE"), folded("ABC"), folded("ß")) == ("ecole", "abc", "ss")


def test_items_of_artifacts_are_searched(plays: Workspace) -> None:
    assert find_catalogue_source(plays).kind == "sessions"
    for source in (find_catalogue_source(plays, model="cooccurrence"), find_catalogue_source(plays)):
        catalogue = open_catalogue(plays, source)
        (item,) = catalogue_items(catalogue, catalogue.vocab.rows(["a"]))
        assert (item.item, item.count, item.features) == ("a", 4, {})
    imported = open_catalogue(plays, find_catalogue_source(plays, index="flat"))
    assert imported.counts is None and imported.vocab.ids.tolist() == list("abcd")
