"""Bad rows: the first one raises, or they are counted; and the registry of readers."""

from __future__ import annotations

import pickle

import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.readers import READERS, BadRows, reader


def test_mode_fail_names_the_row_and_the_option() -> None:
    bad_rows = BadRows()
    with pytest.raises(DataError) as error:
        bad_rows.add("f.json", "row 3", "x must be a text", ", but is 12")
    assert str(error.value) == (
        "f.json, row 3: x must be a text, but is 12; use --on-bad-row skip to leave such rows out"
    )


def test_mode_skip_counts_and_keeps_examples() -> None:
    bad_rows = BadRows("skip")
    for row in range(5):
        bad_rows.add("f", f"row {row}", "x is missing")
    bad_rows.add("f", "row 9", "y is missing")
    assert bad_rows.total == 6
    assert bad_rows.counts == {"x is missing": 5, "y is missing": 1}
    assert bad_rows.examples["x is missing"] == ["f, row 0", "f, row 1", "f, row 2"]
    assert bad_rows.lines() == [
        "5 rows left out: x is missing (first: f, row 0)",
        "1 row left out: y is missing (first: f, row 9)",
    ]


def test_merge_equals_one_collection() -> None:
    rows = [("f", f"row {n}", "x" if n % 3 else "y") for n in range(9)]
    all_rows, a, b = BadRows("skip"), BadRows("skip"), BadRows("skip")
    for n, row in enumerate(rows):
        all_rows.add(*row)
        (a if n < 4 else b).add(*row)
    a.merge(pickle.loads(pickle.dumps(b)))
    assert (a.counts, a.examples, a.lines()) == (all_rows.counts, all_rows.examples, all_rows.lines())


def test_every_reader_is_registered() -> None:
    assert {name: reader(name).__name__ for name in READERS} == {
        "mpd": "Mpd",
        "movielens": "MovieLens",
        "table": "Table",
        "mssd": "Mssd",
        "lastfm1k": "LastFm1K",
        "hetrec": "HetRec",
        "recbole": "RecBole",
        "sessions": "SessionTables",
        "wsknn": "Wsknn",
    }
    with pytest.raises(SettingsError) as error:
        reader("movielense")
    assert str(error.value) == "no reader is called 'movielense'; did you mean 'movielens'?"
