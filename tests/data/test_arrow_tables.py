"""The nouns as data frames and Arrow tables, and back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec import Embeddings, Events, Sessions, TopK, Vocab
from embedrec.data.sessions import sessionize
from embedrec.errors import DataError, SettingsError
from tests.conftest import some_embeddings, tiny_sessions

ARRAYS = ("offsets", "items", "ids", "times", "weights", "kinds", "users")
texts = st.text(st.sampled_from("ab5.é"), min_size=1, max_size=3)
numbers = st.integers(-(2**63), 2**63 - 1)


def content(sessions: Sessions) -> dict[str, Any]:
    """All that a frame holds; kinds by name, as their numbers follow the order of the rows."""
    arrays = {name: getattr(sessions, name) for name in ARRAYS}
    arrays |= {f"vocab.{name}": getattr(sessions.vocab, name) for name in ("ids", "counts", "names")}
    if sessions.kind_names is not None:
        arrays["kinds"] = sessions.kind_names[sessions.kinds]
    return {name: None if array is None else (array.tolist(), array.dtype) for name, array in arrays.items()}


@st.composite
def all_sessions(draw: st.DrawFn) -> Sessions:
    """Sessions with any of the columns, as a reader of tables makes them."""
    count = draw(st.integers(1, 20))

    def column(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.lists(values, min_size=count, max_size=count))

    session = column(draw(st.sampled_from([st.integers(0, 4), st.sampled_from(["s", "t", "u"])])))
    item = column(st.sampled_from(draw(st.lists(draw(st.sampled_from([texts, numbers])), min_size=1, max_size=5))))
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["time"] = column(st.integers(10**12, 10**12 + 5))
    if draw(st.booleans()):
        options["weight"] = column(st.floats(0, 9, width=32))
    if draw(st.booleans()):
        options["kind"] = column(st.sampled_from(["click", "buy"]))
    if draw(st.booleans()):
        of = {s: draw(st.sampled_from(["u", "v"])) for s in set(session)}
        options["user"] = [of[s] for s in session]
    if draw(st.booleans()):
        options["names"] = {i: draw(st.sampled_from(["", "Bread", "Jam & <b>"])) for i in set(item)}
    return sessionize(Events.of(session, item, **options))


@pytest.mark.parametrize(
    "convert",
    [
        Sessions.to_frame,
        Sessions.to_arrow,
        lambda sessions: pl.from_arrow(sessions.to_arrow()),
        lambda sessions: sessions.to_arrow().to_reader(max_chunksize=3),
    ],
)
@given(sessions=all_sessions())
def test_sessions_from_their_own_frame_are_equal(convert: Callable[[Sessions], Any], sessions: Sessions) -> None:
    kind = {} if sessions.kinds is None else {"kind": "kind"}
    assert content(Sessions.from_frame(convert(sessions), min_length=1, **kind)) == content(sessions)


def test_a_frame_of_sessions_has_a_row_an_event() -> None:
    events = Events.of(
        [7, 7, 9],
        ["b", "a", "b"],
        user=["u", "u", "v"],
        time=[2_000, 1_000, -1],
        weight=[1, 2, 3.5],
        kind=["click", "buy", "click"],
        names={"a": "Apple"},
    )
    frame = sessionize(events).to_frame()
    assert frame.drop(columns=["time", "item_name"]).to_dict("list") == {
        "session": [7, 7, 9],
        "item": ["a", "b", "b"],
        "user": ["u", "u", "v"],
        "weight": [2.0, 1.0, 3.5],
        "kind": ["buy", "click", "click"],
    }
    assert str(frame["time"].dtype) == "datetime64[ms, UTC]"
    assert frame["time"].astype("int64").tolist() == [1_000, 2_000, -1]
    assert frame["item_name"].isna().tolist() == [False, True, True]
    assert list(frame) == ["session", "item", "item_name", "user", "time", "weight", "kind"]


def results() -> TopK:
    vocab = Vocab([10, 20, 30], names=np.array(["Ten", "", "Thirty"], dtype=object))
    return TopK(np.array([[2, 0], [1, -1]]), np.array([[0.5, 0.25], [1.0, -np.inf]]), vocab)


def test_a_frame_of_results_omits_missing_ones() -> None:
    rows = results().to_arrow(["q", "r"]).to_pylist()
    assert rows == [
        {"query": "q", "rank": 1, "item": 30, "item_name": "Thirty", "score": 0.5},
        {"query": "q", "rank": 2, "item": 10, "item_name": "Ten", "score": 0.25},
        {"query": "r", "rank": 1, "item": 20, "item_name": None, "score": 1.0},
    ]
    assert results().to_frame()["query"].tolist() == [0, 0, 1]
    none = TopK(np.zeros((0, 3)), np.zeros((0, 3)), Vocab(["a"]))
    assert none.to_frame().shape == (0, 4)
    with pytest.raises(DataError, match="these are the results of 2 queries, but 1 ids of queries were given"):
        results().to_arrow(["q"])


def test_polars_and_duckdb_read_the_tables() -> None:
    result = results().to_arrow(["q", "r"])
    assert pl.from_arrow(result).filter(pl.col("rank") == 1)["item"].to_list() == [30, 20]  # type: ignore[union-attr]
    assert duckdb.from_arrow(result).filter("item_name IS NULL").project("item").fetchall() == [(20,)]
    embeddings = some_embeddings(n=5, d=3)
    frame = pl.from_arrow(embeddings.to_arrow())
    assert frame.schema["vector"] == pl.Array(pl.Float32, 3)  # type: ignore[union-attr]
    vectors = duckdb.from_arrow(embeddings.to_arrow())
    assert vectors.aggregate("any_value(typeof(vector))").fetchall() == [("FLOAT[3]",)]
    near = vectors.order(f"array_distance(vector, {embeddings.vectors[2].tolist()}::FLOAT[3])").limit(1)
    assert near.project("id").fetchall() == [("i2",)]


def test_a_frame_of_vectors_has_a_row_an_item() -> None:
    embeddings = some_embeddings(n=4, d=3)
    frame = embeddings.to_frame()
    assert frame.index.name == "id"
    assert frame.index.tolist() == embeddings.vocab.ids.tolist()
    assert np.array_equal(frame.to_numpy(), embeddings.vectors)
    frame.iloc[0, 0] = 99.0
    assert embeddings.vectors[0, 0] != 99.0
    table = embeddings.to_arrow()
    assert table.column_names == ["id", "count", "vector"]
    assert np.array_equal(np.array(table["vector"].to_pylist(), dtype=np.float32), embeddings.vectors)


@pytest.mark.parametrize(
    "convert",
    [
        lambda: tiny_sessions().to_frame(),
        lambda: results().to_frame(),
        lambda: some_embeddings().to_frame(),
    ],
)
def test_missing_pandas_is_an_error_with_the_extra(
    convert: Callable[[], pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SettingsError) as e:
        convert()
    assert str(e.value) == "to_frame() needs the package pandas; install it with `pip install 'embedrec[pandas]'`"


def test_integer_ids_of_vectors_stay_integers() -> None:
    embeddings = Embeddings(np.eye(2), Vocab([3, 5]))
    assert embeddings.to_frame().loc[5].tolist() == [0.0, 1.0]
    assert embeddings.to_arrow()["id"].to_pylist() == [3, 5]
