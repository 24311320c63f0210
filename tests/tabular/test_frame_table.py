"""Sessions of data frames equal those of the same rows in a file, with the same guesses, filters and messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings

from embedrec import Sessions
from embedrec.data.filters import Filters
from embedrec.data.sessions import sessionize
from embedrec.errors import DataError, EmbedrecError, SettingsError
from embedrec.readers.table import Table
from embedrec.tabular.read_settings import ReadSettings

CLICKS = {
    "visit_id": [7, 7, 7, 3, 3],
    "sku": ["bread", "jam", "bread", "jam", "nail"],
    "played_at": pd.to_datetime([3_000, 1_000, 2_000, 9_000, 8_000], unit="ms", utc=True),
    "user": ["u", "u", "u", "v", "v"],
    "rating": [1.0, 2.0, 3.0, 4.0, 5.0],
}


def content(sessions: Sessions) -> dict[str, Any]:
    arrays = {name: getattr(sessions, name) for name in ("offsets", "items", "ids", "times", "weights", "users")}
    arrays |= {"item_ids": sessions.vocab.ids, "counts": sessions.vocab.counts, "names": sessions.vocab.names}
    return {name: None if array is None else array.tolist() for name, array in arrays.items()}


@pytest.mark.parametrize(
    "make", [pd.DataFrame, lambda rows: pl.from_pandas(pd.DataFrame(rows)), lambda rows: pa.table(pd.DataFrame(rows))]
)
def test_columns_are_guessed_and_events_sorted(make: Any) -> None:
    sessions = Sessions.from_frame(make(CLICKS))
    assert sessions.ids.tolist() == [7, 3]
    assert [sessions.vocab.ids[s].tolist() for s in (sessions[0], sessions[1])] == [
        ["jam", "bread", "bread"],
        ["nail", "jam"],
    ]
    assert sessions.times.tolist() == [1_000, 2_000, 3_000, 8_000, 9_000]  # type: ignore[union-attr]
    assert sessions.users.tolist() == ["u", "v"]  # type: ignore[union-attr]
    assert sessions.weights.tolist() == [2.0, 3.0, 1.0, 5.0, 4.0]  # type: ignore[union-attr]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", "ä", "05", "5", ""]), st.integers(10**12, 10**12 + 9)),
        min_size=1,
        max_size=30,
    ),
    options=st.fixed_dictionaries(
        {"on_bad_row": st.just("skip")},
        optional={"min_count": st.integers(1, 3), "min_length": st.integers(1, 3), "duplicates": st.just("all")},
    ),
)
def test_a_frame_equals_its_parquet_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], options: dict[str, Any]
) -> None:
    frame = pd.DataFrame(rows, columns=["session_id", "item_id", "timestamp"])
    path = tmp_path_factory.mktemp("frame") / "rows.parquet"
    frame.to_parquet(path)

    def of_file() -> Sessions:
        from embedrec.tabular.bad_rows import BadRows

        filters = Filters(**{k: v for k, v in options.items() if k != "on_bad_row"})
        return sessionize(filters.apply(Table().read([path], ReadSettings(BadRows("skip"))))[0])

    def of_frame() -> Sessions:
        return Sessions.from_frame(frame, report=lambda *_, **__: None, **options)

    def outcome(make: Any) -> Any:
        try:
            return content(make())
        except EmbedrecError as e:
            return str(e).replace(str(path), "the data frame").replace("--on-bad-row skip", "on_bad_row='skip'")

    assert outcome(of_frame) == outcome(of_file)


def test_frames_are_regrouped_by_user_and_filtered() -> None:
    frame = pd.DataFrame({"user": ["u"] * 4, "item": list("abcd"), "time": [0, 60, 10_000, 10_060]})
    sessions = Sessions.from_frame(frame, by="user", gap="30min", time_unit="s")
    assert [sessions.vocab.ids[sessions[s]].tolist() for s in range(2)] == [["a", "b"], ["c", "d"]]
    with pytest.raises(DataError):
        Sessions.from_frame(frame, by="user", gap="30min", time_unit="s", min_length=3)


def test_names_kinds_and_features_are_read() -> None:
    frame = pd.DataFrame(
        {"session": [1, 1], "track_uri": ["t1", "t2"], "track_name": ["One", "Two"], "action": ["click", "buy"]}
    )
    features = pd.DataFrame({"track_uri": ["t2", "t9"], "length": [3.5, 4.0]})
    sessions = Sessions.from_frame(frame, kind="action", item_features=features)
    assert sessions.vocab.names.tolist() == ["One", "Two"]  # type: ignore[union-attr]
    assert sessions.kind_names.tolist() == ["click", "buy"]  # type: ignore[union-attr]
    assert sessions.item_features.vocab.ids.tolist() == ["t2", "t9"]  # type: ignore[union-attr]


def test_bad_rows_are_skipped_with_a_warning() -> None:
    frame = pd.DataFrame({"session": [1, 1, 1], "item": ["a", None, "b"]})
    with pytest.raises(DataError) as e:
        Sessions.from_frame(frame)
    assert str(e.value) == "the data frame, row 2: item is missing; use on_bad_row='skip' to leave such rows out"
    with pytest.warns(UserWarning, match=r"1 row left out: item is missing \(first: the data frame, row 2\)"):
        sessions = Sessions.from_frame(frame, on_bad_row="skip")
    assert len(sessions.items) == 2


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"item": "itm"}, DataError, "the data frame has no column 'itm' for the item; did you mean 'item'?"),
        ({"item": "-"}, DataError, "the data frame has no column of items; name one of session, item with item=…"),
        ({"min_cuont": 2}, SettingsError, "no option is called 'min_cuont'; did you mean 'min_count' or 'min_length'?"),
        (
            {"gap": "soon"},
            SettingsError,
            "a gap must be a duration in s, min, h or d, such as 30min or 1.5h, but is 'soon'",
        ),
    ],
)
def test_invalid_frames_and_options_are_refused(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as e:
        Sessions.from_frame(pd.DataFrame({"session": [1, 1], "item": ["a", "b"]}), **options)
    assert str(e.value) == message


def test_threads_do_not_change_the_result() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"session": rng.integers(0, 500, 5_000), "item": rng.integers(0, 90, 5_000).astype(str)})
    assert content(Sessions.from_frame(frame, threads=2)) == content(Sessions.from_frame(frame))


def test_a_stream_is_read_batch_by_batch() -> None:
    batches, rows, allocated = 20, 1_000, []

    def generate() -> Iterator[pa.RecordBatch]:
        for number in range(batches):
            allocated.append(pa.total_allocated_bytes())
            ids = np.arange(rows) + number * rows
            notes = pa.array(["x" * 4_000] * rows)  # 4 MB, of a column that is not read
            yield pa.record_batch({"session": ids // 2, "item": ids % 7, "note": notes})

    schema = pa.schema({"session": pa.int64(), "item": pa.int64(), "note": pa.string()})
    sessions = Sessions.from_frame(pa.RecordBatchReader.from_batches(schema, generate()))
    assert len(sessions.items) == batches * rows
    assert max(allocated) - allocated[0] < 4 * 4_000 * rows
