"""Settings of one search."""

from __future__ import annotations

import pytest

from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT, SearchSettings


@pytest.mark.parametrize("name", ["nprobe", "ef_search", "rerank"])
def test_settings_below_one_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be at least 1, but is 0"):
        SearchSettings(**{name: 0})


def test_given_settings_override_others() -> None:
    ours, theirs = SearchSettings(nprobe=3), SearchSettings(nprobe=1, rerank=4)
    assert ours.over(theirs) == SearchSettings(nprobe=3, rerank=4)
    assert ours.numbers() == {"nprobe": 3}


def test_defaults_are_those_of_faiss() -> None:
    assert (AS_BUILT.cells, AS_BUILT.candidates) == (1, 16)
    given = SearchSettings(nprobe=5, ef_search=40)
    assert (given.cells, given.candidates) == (5, 40)
    assert AS_BUILT.numbers() == {}


@pytest.mark.parametrize(
    ("name", "types"),
    [("nprobe", "IVF indexes"), ("ef_search", "HNSW indexes"), ("rerank", "indexes of compressed vectors")],
)
def test_models_have_no_search_settings(name: str, types: str) -> None:
    AS_BUILT.require_index("word2vec")
    with pytest.raises(SettingsError) as error:
        SearchSettings(**{name: 3}).require_index("word2vec")
    assert str(error.value) == f"{name} is a setting of {types}, but word2vec is a model; leave it out"
