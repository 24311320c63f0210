"""Maps of sessions and weighted events, as the package wsknn reads them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.readers import BadRows
from embedrec.readers.wsknn import Wsknn
from embedrec.tabular.read_settings import ReadSettings
from tests.readers.reading import SKIP, feature_values, refusal, rows, write

_T = 1_462_752_000
_MAP = {
    "s1": [["a", "b", "a"], [_T + 2, _T + 1, _T], ["view", "cart", "purchase"], [1, 2.5, 5]],
    "s2": [["c"], [_T], ["view"], [1]],
    "empty": [[], [], [], []],
}
_WANT = [
    ("s1", "a", "purchase", 5.0, _T * 1000),
    ("s1", "b", "cart", 2.5, _T * 1000 + 1000),
    ("s1", "a", "view", 1.0, _T * 1000 + 2000),
    ("s2", "c", "view", 1.0, _T * 1000),
]


def read(*paths: Path, **settings: Any) -> Any:
    return Wsknn(**settings).read(paths, ReadSettings())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(_MAP)),
        ("a.json", json.dumps(_MAP, indent=2)),
        ("a.json.gz", gzip.compress(json.dumps(_MAP).encode())),
        ("a.jsonl", "".join(json.dumps({key: value}) + "\n\n" for key, value in _MAP.items())),
    ],
)
def test_maps_of_sessions_are_read(tmp_path: Path, name: str, content: str | bytes) -> None:
    events = read(write(tmp_path, {name: content}))
    assert rows(events, "kind", "weight", "time") == _WANT


def test_kinds_and_weights_are_recognised(tmp_path: Path) -> None:
    plain = read(write(tmp_path / "a", {"a.json": json.dumps({"1": [[5], [_T]]})}))
    assert rows(plain) == [(1, 5)] and plain.kind is None and plain.weight is None
    weighted = read(write(tmp_path / "b", {"a.json": json.dumps({"1": [[5], [_T], [0.5]]})}))
    assert rows(weighted, "weight") == [(1, 5, 0.5)] and weighted.kind is None
    kinds = read(write(tmp_path / "c", {"a.json": json.dumps({"1": [[5], ["2016-05-09"], ["view"]]})}))
    assert rows(kinds, "kind", "time") == [(1, 5, "view", _T * 1000)] and kinds.weight is None


_FLAT = [
    {"sid": "x", "iid": 5, "ts": _T + 1, "action": "cart"},
    {"sid": "x", "iid": 6, "ts": _T, "action": "view"},
    {"sid": "x", "iid": 7, "ts": _T, "action": "scroll"},
]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json.gz"])
def test_actions_give_weights(tmp_path: Path, name: str) -> None:
    content: str | bytes = "".join(json.dumps(row) + "\n" for row in _FLAT)
    if name == "a.csv":
        content = "".join(",".join(map(str, line)) + "\n" for line in ([*_FLAT[0]], *(row.values() for row in _FLAT)))
    elif name.endswith("gz"):
        content = gzip.compress(str(content).encode())
    path = write(tmp_path, {name: content})
    assert rows(read(path, actions="view=1, cart=2.5"), "kind", "weight") == [
        ("x", 6, "view", 1.0),
        ("x", 5, "cart", 2.5),
    ]
    without_actions = read(path)
    assert sorted(rows(without_actions, "kind")) == [("x", 5, "cart"), ("x", 6, "view"), ("x", 7, "scroll")]
    assert without_actions.weight is None


def test_actions_replace_the_weights_of_maps(tmp_path: Path) -> None:
    events = read(write(tmp_path, {"a.json": json.dumps(_MAP)}), actions="cart=2,purchase=7")
    assert rows(events, "weight") == [("s1", "a", 7.0), ("s1", "b", 2.0)]


def test_item_features_are_read(tmp_path: Path) -> None:
    write(tmp_path, {"a/a.json": json.dumps(_MAP), "f.csv": "item,price\na,2\nb,\n"})
    events = read(tmp_path / "a", item_features=str(tmp_path / "f.csv"))
    assert feature_values(events.item_features) == {"a": {"price": 2}, "b": {}}


@pytest.mark.parametrize("actions", ["view", "view=", "=1", "view=x", "view=nan", "view=1,cart"])
def test_actions_need_weights(tmp_path: Path, actions: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(write(tmp_path, {"a.json": json.dumps(_MAP)}), actions=actions)
    assert str(error.value) == f"actions must be given as view=1,cart=2, but one is {actions.rpartition(',')[2]!r}"


def test_actions_of_unknown_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        read(write(tmp_path, {"a.json": json.dumps(_MAP)}), actions="cart=2,purchse=7")
    assert str(error.value) == "no event is of the kind 'purchse'; check --actions"


_LISTS = "a session must be two to four lists: items, times, kinds, weights"


@pytest.mark.parametrize(
    ("session", "problem"),
    [
        ([["a"]], _LISTS),
        (["a", "b"], _LISTS),
        ([["a"], [_T], ["x"], [1], [1]], _LISTS),
        ([["a"], [_T, _T]], "the lists of a session must be of one length"),
        ([[["a"]], [_T]], "items, times, kinds and weights must be texts or numbers"),
        (
            [["a"], [_T], ["x"], ["y"]],
            "after items and times, a session may contain kinds (texts) and weights (numbers)",
        ),
        ([["a"], [_T], [1], [2]], "after items and times, a session may contain kinds (texts) and weights (numbers)"),
    ],
)
def test_invalid_sessions_are_located(tmp_path: Path, session: Any, problem: str) -> None:
    write(tmp_path, {"a.json": json.dumps({**_MAP, "bad": session})})
    assert refusal(Wsknn(), [tmp_path]) == f"{tmp_path}/a.json, session 'bad': {problem}{SKIP}"
    bad_rows = BadRows("skip")
    assert len(Wsknn().read([tmp_path], ReadSettings(bad_rows))) == 4 and bad_rows.counts == {problem: 1}


@pytest.mark.parametrize(
    ("name", "content", "settings", "message"),
    [
        ("a.json", "{", {}, "{f} is neither JSON nor JSON lines (Input data was truncated); check the file"),
        ("a.json", "[1]", {}, "{f} must contain objects that map sessions to lists of items and times; check the file"),
        ("a.json", "{}", {}, "no row of {f} can be used; check the files and the filters"),
        ("a.json", '{"s": [[null], [1462752000]]}', {}, "{f}, row 1: item is missing" + SKIP),
        (
            "a.json",
            '{"s": [["a"], [5]]}',
            {},
            "the times in 'time' go from 5 to 5, and it is unclear whether these are seconds or milliseconds since "
            "1970; use --time-unit s or ms",
        ),
        (
            "a.json",
            '{"s": [["a"], [1462752000]]}',
            {"actions": "view=1"},
            "{f} names no kinds of events; name their column with --kind, or leave out --actions",
        ),
        (
            "a.csv",
            "user_id,item\n1,2\n",
            {},
            "{f} has no column of sessions; name one of user_id, item with --session",
        ),
        ("a.csv", "session,item,kind\n1,2,\n", {"actions": "view=1"}, "{f}, row 1: kind is missing" + SKIP),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, name: str, content: str, settings: dict, message: str) -> None:
    write(tmp_path, {name: content})
    assert refusal(Wsknn(**settings), [tmp_path]) == message.replace("{f}", f"{tmp_path}/{name}")
