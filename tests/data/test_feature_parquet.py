"""Features as Parquet: round trips, files of other programs, merges, and files that contain no features."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedrec.data import Features, Vocab
from embedrec.data.feature_parquet import from_table, load_features, merge_features, save_features, to_table
from embedrec.data.features import Categories
from embedrec.errors import ArtifactError, DataError
from tests.data import strategies as draw
from tests.data.random_features import as_rows, features, same

_AB = Vocab(["a", "b"])


@draw.given(features())
def test_saved_features_are_loaded(given: Features) -> None:
    with TemporaryDirectory() as folder:
        save_features(given, Path(folder) / "f.parquet")
        assert same(load_features(Path(folder) / "f.parquet"), given)


def test_names_dates_and_number_types_are_kept() -> None:
    columns = {"day": np.array([0.5, np.nan]), "score": np.array([1, np.nan], dtype=np.float32)}
    given = Features(Vocab(["a", "b"], np.array(["Ä", ""], dtype=object)), columns, dates=frozenset({"day"}))
    loaded = from_table(to_table(given))
    assert loaded.vocab.names is not None and loaded.vocab.names.tolist() == ["Ä", ""]
    assert loaded.dates == {"day"}
    assert {name: column.dtype.name for name, column in loaded.numeric.items()} == {
        "day": "float64",
        "score": "float32",
    }


def test_strings_with_surrogates_cannot_be_saved(tmp_path: Path) -> None:
    words = Categories([0, -1], np.array(["x\udcff"], dtype=object))
    with pytest.raises(DataError) as raised:
        save_features(Features(_AB, {}, {"c": words}), tmp_path / "f.parquet")
    assert str(raised.value) == "the string 'x\\udcff' is not valid Unicode; repair it"
    assert not any(tmp_path.iterdir())


def with_categories(known: str) -> pa.Table:
    return pa.table({"id": ["a"], "x": ["p"]}).replace_schema_metadata({"categories": known})


NO_IDS = "the column 'id' must contain an id in every row"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (pa.table({"x": pa.array([1.0], pa.float32())}), NO_IDS),
        (pa.table({"id": pa.array([None], pa.string())}), NO_IDS),
        (pa.table({"id": ["a", "a"]}), "vocabulary ids must be unique, but 'a' occurs twice"),
        (pa.table({"id": [1.5]}), "ids must all be strings or all be integers, but they are float"),
        (pa.table({"id": ["a"], "x": [1]}), "the column 'x' has the type int64, which cannot be a feature"),
        (
            pa.table({"id": ["a"], "x": [[1]]}),
            "the column 'x' has lists of int64, but must contain lists of strings",
        ),
        (pa.table({"id": ["a"], "x": [1.0]}).replace_schema_metadata({"dates": '["y"]'}), ""),
        (pa.table({"id": ["a"], "x": [1.0]}).replace_schema_metadata({"dates": "5"}), ""),
        (pa.table({"id": ["a"], "x": pa.array([["p", None]])}), "a category has no name"),
        (with_categories(json.dumps({"x": ["q"]})), "a category has no name"),
        (with_categories(json.dumps({"x": ["p", "p"]})), "vocabulary ids must be unique, but 'p' occurs twice"),
        (with_categories(json.dumps({"x": [1]})), ""),
        (with_categories("[]"), ""),
        (with_categories("{"), ""),
    ],
)
def test_tables_without_features_are_refused(tmp_path: Path, table: pa.Table, why: str) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(table, path)
    with pytest.raises(ArtifactError) as raised:
        load_features(path)
    assert str(raised.value).startswith(f"{path} contains no features ({why}")
    assert str(raised.value).endswith("); write the artifact again")
    if why:
        with pytest.raises(DataError, match=re.escape(why)):
            from_table(table)


@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_truncated_files_are_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "f.parquet"
    save_features(Features(_AB, {"x": np.zeros(2)}), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError) as raised:
        load_features(path)
    assert str(raised.value).startswith(f"{path} is not a Parquet file (")
    assert str(raised.value).endswith("); write the artifact again")


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    """Without names in the metadata, these are the strings that occur, sorted by code point."""
    table = {"id": [2, 1], "c": pa.array(["z", None]), "l": pa.array([["b", "a"], None], pa.list_(pa.string()))}
    pq.write_table(pa.table(table), tmp_path / "f.parquet")
    assert as_rows(load_features(tmp_path / "f.parquet")) == {2: {"c": "z", "l": ["b", "a"]}, 1: {"c": None, "l": []}}


@draw.given(features(), features(), examples=100)
def test_merged_features_against_a_slow_loop(first: Features, second: Features) -> None:
    merged = merge_features(first, second)
    one, two = as_rows(first), as_rows(second)
    if first.vocab.integer != second.vocab.integer or set(two) <= set(one):
        assert merged is first
        return
    kinds = {**types_of(second), **types_of(first)}  # of all columns of the result
    conflicts = {name for name, kind in types_of(second).items() if kinds[name] != kind}
    expected: dict[Any, dict[str, Any]] = {}
    for item in [*one, *(item for item in two if item not in one)]:
        known = one[item] if item in one else {name: v for name, v in two[item].items() if name not in conflicts}
        expected[item] = {name: known.get(name, [] if kind == "lists" else None) for name, kind in kinds.items()}
    assert as_rows(merged) == expected
    assert list(as_rows(merged)) == list(expected)


def types_of(given: Features) -> dict[str, str]:
    columns = {"lists": given.lists, "categorical": given.categorical, "numeric": given.numeric}
    return {name: kind for kind, named in columns.items() for name in named}


def test_merged_features_have_the_dates_and_names_of_both() -> None:
    def known(item: str, **columns: float) -> Features:
        named = Vocab([item], np.array([item.upper()], dtype=object))
        return Features(named, {name: np.array([day]) for name, day in columns.items()}, dates=frozenset(columns))

    merged = merge_features(known("a", born=1), known("b", released=2))
    assert merged.dates == {"born", "released"}
    assert merged.vocab.names is not None and merged.vocab.names.tolist() == ["A", "B"]


def test_merged_features_by_hand() -> None:
    def known(ids: list[str], **columns: list[float]) -> Features:
        return Features(Vocab(ids), {name: np.array(column, dtype=float) for name, column in columns.items()})

    merged = merge_features(known(["a", "b"], year=[1, 2]), known(["b", "c"], year=[5, 6], other=[7, 8]))
    assert merged.vocab.ids.tolist() == ["a", "b", "c"]
    assert merged.numeric["year"].tolist() == [1, 2, 6]
    assert np.isnan(merged.numeric["other"][:2]).all() and merged.numeric["other"][2] == 8
    first = known(["a"], year=[1])
    assert merge_features(first, known(["a"], year=[5])) is first
