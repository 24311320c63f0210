"""Metadata of vector files, and percent-encoding of their ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.errors import DataError
from embedrec.vectors.metadata import (
    Meta,
    check_meta,
    load_meta,
    meta_file,
    percent_decode,
    percent_encode,
    save_meta,
)


def test_defaults_are_written_only_over_other_metadata(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    defaults, other = Meta("cosine", 3, 2), Meta("l2", 3, 2, "percent-encoded")
    save_meta(defaults, path)
    assert load_meta(path) is None and not meta_file(path).exists()
    for meta in (other, defaults):
        save_meta(meta, path)
        assert load_meta(path) == meta


@pytest.mark.parametrize("text", ["", "[]", '{"metric": "l1", "vectors": 1, "dim": 1}', '{"metric": "l2"}'])
def test_invalid_metadata_are_refused(text: str, tmp_path: Path) -> None:
    meta_file(tmp_path / "v.txt").write_text(text)
    with pytest.raises(DataError, match=r"v\.txt\.meta\.json is not the metadata of v\.txt .*; repair or remove it"):
        load_meta(tmp_path / "v.txt")


def test_metadata_of_another_file_are_refused(tmp_path: Path) -> None:
    check_meta(Meta("l2", 3, 2), tmp_path / "v.txt", 3, 2)
    with pytest.raises(DataError, match=r"describes 3 × 2 vectors, but .*v\.txt contains 3 × 4; remove it"):
        check_meta(Meta("l2", 3, 2), tmp_path / "v.txt", 3, 4)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)))))
def test_encoded_words_have_no_white_space_and_are_decoded(words: list[str]) -> None:
    encoded = percent_encode(words)
    assert not any(character.isspace() for word in encoded for character in word if character != "\x1f")
    assert percent_decode(encoded) == words


def test_other_values_are_not_decoded() -> None:
    assert percent_decode([1, "a%20b", 2.5]) == [1, "a b", 2.5]
