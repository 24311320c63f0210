"""RecBole's atomic files: columns have the types of the header."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from embedrec.data.sessions import sessionize
from embedrec.datasets.movielens_100k import user_cache
from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.recbole import RecBole
from embedrec.readers.table import Table
from embedrec.tabular.read_settings import ReadSettings
from tests.readers.reading import SKIP, feature_values, refusal, rows, write

_INTER = """\
user_id:token\titem_id:token\trating:float\ttimestamp:float
u\ta\t4\t881250949
u\tb\t5\t881250940
v\ta\t1\t881250941
"""
_FILES: dict[str, str | bytes] = {
    "x.inter": _INTER,
    "x.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tprice:float\tv:float_seq\n"
    "a\tToy Story\t1995\tAnimation Children's\t1.5\t1 2\nb\tHeat\t\t\t\t\nnever\tX\t1\tY\t2\t3\n",
    "x.user": "user_id:token\tage:float\tgender:token\nv\t24\tF\n",
}
_WANT = [("u", "b", 5.0, 881250940000), ("u", "a", 4.0, 881250949000), ("v", "a", 1.0, 881250941000)]


def read(path: Path, **settings: Any) -> Any:
    return RecBole(**settings).read([path], ReadSettings())


@pytest.mark.parametrize("given", ["folder", "file", "zip"])
def test_features_are_read_from_neighbouring_files(tmp_path: Path, given: str) -> None:
    path = write(tmp_path / "x", _FILES)
    if given == "file":
        path /= "x.inter"
    elif given == "zip":
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in _FILES.items():
                archive.writestr(f"x/{name}", content)
    events = read(path)
    assert rows(events, "weight", "time") == _WANT
    assert dict(zip(events.items.ids, events.items.names, strict=True)) == {"a": "Toy Story", "b": "Heat"}
    assert feature_values(events.item_features) == {
        "a": {"release_year": "1995", "class": ["Animation", "Children's"], "price": 1.5},
        "b": {},
        "never": {"release_year": "1", "class": ["Y"], "price": 2.0},
    }
    assert events.item_features.vocab.names.tolist() == ["Toy Story", "Heat", "X"]
    assert events.item_features.about() == {"numeric": ["price"], "categorical": ["release_year"], "lists": ["class"]}
    assert feature_values(events.user_features) == {"v": {"age": 24, "gender": "F"}}


_LISTS = "session_id:token\titem_id_list:token_seq\titem_id:token\n"


def test_lists_of_previous_items_are_sessions(tmp_path: Path) -> None:
    text = _LISTS + "s1\ta b c\td\ns1\ta b\tc\ns1\ta\tb\ns2\tc\ta\ns2\tc a\tbb\ns3\t\ta\n"
    write(tmp_path, {"x.inter": text, "x.item": "item_id:token\tname:token\na\tA\n"})
    bad_rows = BadRows("skip")
    result = sessionize(RecBole().read([tmp_path], ReadSettings(bad_rows)))
    lists = {i: result.vocab.ids[result[s]].tolist() for s, i in enumerate(result.ids.tolist())}
    assert lists == {"s1": list("abcd"), "s2": ["c", "a", "bb"], "s3": ["a"]}
    assert bad_rows.total == 0


def test_lists_must_extend_each_other(tmp_path: Path) -> None:
    write(tmp_path, {"x.inter": _LISTS + "s1\ta b\tc\ns1\ta\tc\ns1\ta\tb\ns1\ta\t\n\ta\tb\n"})
    problem = "the items of a row must extend those of the other rows of its session_id:token"
    with pytest.raises(DataError, match=f"x.inter, row 2: {problem}, but row 1 of 's1' differs"):
        read(tmp_path)
    bad_rows = BadRows("skip")
    assert rows(RecBole().read([tmp_path], ReadSettings(bad_rows))) == [("s1", i) for i in "abc"]
    assert bad_rows.counts == {problem: 1, "item_id:token is missing": 1, "session_id:token is missing": 1}


def test_a_table_of_lists_is_not_a_table_of_events(tmp_path: Path) -> None:
    write(tmp_path, {"x.inter": _LISTS + "s1\ta b\tc\ns1\ta\tb\n"})
    with pytest.raises(DataError, match=r"contains the items before each item \(item_id_list:token_seq\)"):
        Table().read([tmp_path], ReadSettings())
    assert len(Table(item="item_id").read([tmp_path], ReadSettings()).item) == 2


def test_split_files_are_one_data_set(tmp_path: Path) -> None:
    head = "user_id:token\titem_id:token\n"
    parts = {"x.test.inter": "u\tc\n", "x.train.inter": "u\ta\nv\ta\n", "x.valid.inter": "u\tb\n"}
    write(
        tmp_path, {name: head + text for name, text in parts.items()} | {"x.user": "user_id:token\tage:float\nu\t9\n"}
    )
    assert rows(read(tmp_path)) == [("u", "a"), ("u", "b"), ("u", "c"), ("v", "a")]
    assert feature_values(read(tmp_path).user_features)["u"] == {"age": 9.0}
    assert rows(read(tmp_path / "x.train.inter")) == [("u", "a"), ("v", "a")]
    assert feature_values(read(tmp_path / "x.train.inter").user_features)["u"] == {"age": 9.0}
    write(tmp_path, {"y.inter": head + "u\tc\n"})
    with pytest.raises(DataError, match=r"contains several \.inter files"):
        read(tmp_path)


def test_feature_tables_may_have_no_rows(tmp_path: Path) -> None:
    header = "item_id:token\tyear:token\tprice:float\tgenres:token_seq\n"
    events = read(write(tmp_path, {"x.inter": _INTER, "x.item": header}))
    assert events.item_features.about() == {"numeric": ["price"], "categorical": ["year"], "lists": ["genres"]}
    assert len(events.item_features) == 0


def test_columns_may_be_given(tmp_path: Path) -> None:
    table = "who:token\tvisit:token\tthing:token\tts:float\tdone:token\nu\ts\ta\t881250949\tbuy\n"
    events = read(
        write(tmp_path, {"x.inter": table}), session="visit", item="thing:token", user="who", time="-", kind="done"
    )
    assert rows(events, "user", "kind") == [("s", "a", "u", "buy")]
    assert events.time is None
    session = read(write(tmp_path, {"x.inter": "session_id:token\titem_id:token\ttimestamp:float\n1\t2\t881250949\n"}))
    assert rows(session, "time") == [(1, 2, 881250949000)] and session.user is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x.item": "1"}, "{d} contains no .inter file; name one"),
        (
            {"x.inter": _INTER, "y.inter": _INTER},
            "{d} contains several .inter files ({d}/x.inter, {d}/y.inter); name one",
        ),
        (
            {"x.inter": "a:token\tb:token\n1\t2\n"},
            "{d}/x.inter has no column of items; name one of a:token, b:token with --item",
        ),
        (
            {**_FILES, "x.item": "item_id:token\tprice:float\na\tmuch\n"},
            "{d}/x.item, row 1: price:float must be a number, but is 'much'" + SKIP,
        ),
        (
            {**_FILES, "x.user": "user_id:token\nv\nv\n"},
            "{d}/x.user, row 2: user_id:token occurs twice, but is 'v'" + SKIP,
        ),
        (
            {"x.inter": _INTER + "u\ta\t4\n"},
            "{d}/x.inter, row 4: the row must have a value for every column, but has 3 where there are 4 columns"
            + SKIP,
        ),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, files: dict, message: str) -> None:
    write(tmp_path, files)
    assert refusal(RecBole(), [tmp_path]) == message.replace("{d}", str(tmp_path))


def test_movielens_100k_has_known_sizes() -> None:
    """943 users, longest history 737, 20 September 1997 to 22 April 1998, 1,682 films of 19 genres."""
    folder = user_cache() / "ml-100k"
    if not (folder / "ml-100k.inter").is_file():
        pytest.skip(f"MovieLens 100K is not in {folder}; `embedrec demo` fetches it")
    events = read(folder)
    sessions = sessionize(events)
    assert (len(sessions), int(sessions.lengths.max()), len(sessions.vocab)) == (943, 737, 1682)
    assert [datetime.fromtimestamp(ms / 1000, UTC) for ms in (sessions.times.min(), sessions.times.max())] == [
        datetime(1997, 9, 20, 3, 5, 10, tzinfo=UTC),
        datetime(1998, 4, 22, 23, 10, 38, tzinfo=UTC),
    ]
    known = feature_values(events.item_features)
    assert known[1] == {"release_year": "1995", "class": ["Animation", "Children's", "Comedy"]}
    assert len(known) == 1682 and len(events.item_features.lists["class"].names) == 19
