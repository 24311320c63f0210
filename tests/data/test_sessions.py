"""Sessions: from lists and events, recoded, as a matrix, saved and loaded."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data.events import Events
from embedrec.data.features import Features
from embedrec.data.find_items import find_items
from embedrec.data.sessions import Sessions, sessionize
from embedrec.data.vocab import Vocab
from embedrec.errors import ArtifactError, DataError, EmbedrecError
from embedrec.models import MODELS, recipe_class
from embedrec.storage import artifacts
from tests.data import strategies as draw


def as_lists(sessions: Sessions) -> list[list]:
    return [sessions.vocab.ids[sessions[s]].tolist() for s in range(len(sessions))]


@draw.given(draw.lists)
def test_sessions_of_lists_contain_the_lists(lists: list[list[str]]) -> None:
    sessions = Sessions.of_lists(lists)
    assert as_lists(sessions) == lists
    assert sessions.lengths.tolist() == [len(items) for items in lists]
    counts = Counter(i for items in lists for i in items)
    assert dict(zip(sessions.vocab.ids.tolist(), sessions.vocab.counts.tolist(), strict=True)) == counts


@draw.given(draw.lists, st.lists(draw.few, unique=True))
def test_reindex_omits_unknown_items(lists: list[list[str]], known: list[str]) -> None:
    vocab = Vocab([*known, "never seen"])
    want = [[i for i in items if i in known] for items in lists]
    sessions = Sessions.of_lists(lists)
    assert as_lists(sessions.reindex(vocab)) == want
    assert as_lists(Sessions.of_lists(lists, vocab)) == want
    assert sessions.reindex(vocab).vocab is vocab
    assert as_lists(sessions) == lists


@draw.given(draw.lists)
def test_reindex_keeps_the_columns_of_events(lists: list[list[str]]) -> None:
    plain = Sessions.of_lists(lists)
    size = len(plain.items)
    timed = Sessions(
        plain.offsets,
        plain.items,
        plain.vocab,
        plain.ids,
        times=np.arange(size),
        weights=np.arange(size, dtype=np.float32),
        kinds=np.zeros(size, dtype=np.int32),
        users=plain.ids,
    )
    part = timed.reindex(Vocab(["a", "b"]))
    want = [n for n, item in enumerate(i for items in lists for i in items) if item in "ab"]
    assert part.times.tolist() == part.weights.tolist() == want
    assert part.users is timed.users and len(part.kinds) == len(want)


@draw.given(draw.lists)
def test_matrix_contains_play_counts(lists: list[list[str]]) -> None:
    sessions = Sessions.of_lists(lists)
    for array in (sessions.items, sessions.offsets):
        array.flags.writeable = False
    matrix = sessions.matrix()
    want = np.zeros((len(lists), len(sessions.vocab)), dtype=np.float32)
    for s, items in enumerate(lists):
        for item in items:
            want[s, sessions.vocab.rows([item])[0]] += 1
    assert matrix.shape == want.shape and matrix.dtype == np.float32
    assert (matrix.toarray() == want).all()
    assert matrix.has_canonical_format


@draw.given(draw.lists, st.booleans(), examples=15)
def test_save_and_load(lists: list[list[str]], timed: bool) -> None:
    sessions = Sessions.of_lists(lists)
    if timed:
        size = len(sessions.items)
        sessions = Sessions(
            sessions.offsets,
            sessions.items,
            sessions.vocab,
            np.array([f"s{n}" for n in range(len(lists))], dtype=object),
            times=np.arange(size) - 5,
            weights=np.linspace(0, 1, size, dtype=np.float32),
            kinds=np.ones(size, dtype=np.int32),
            users=np.arange(len(lists)),
        )
    with TemporaryDirectory() as folder:
        sessions.save(Path(folder) / "s", {"why": "test"})
        same = Sessions.load(artifacts.read(Path(folder) / "s", "sessions"))
        assert as_lists(same) == lists
        for name in ("offsets", "items", "ids", "times", "weights", "kinds", "users"):
            a, b = getattr(sessions, name), getattr(same, name)
            assert (a is None) == (b is None)
            assert a is None or (a.tolist() == b.tolist() and a.dtype == b.dtype)
        assert same.vocab.counts.tolist() == sessions.vocab.counts.tolist()


@draw.given(st.lists(st.tuples(draw.few, draw.few, st.integers(0, 3)), max_size=30))
def test_sessionize_equals_a_slow_loop(rows: list) -> None:
    events = Events.of(
        [r[0] for r in rows],
        [r[1] for r in rows],
        time=np.array([r[2] for r in rows], dtype=np.int64),
        user=[f"user of {r[0]}" for r in rows],
    )
    keep = np.arange(len(rows)) % 3 > 0  # sessions and items may lose all their events
    events = events.filter(keep)
    sessions = sessionize(events)
    want: dict[str, list[str]] = {}
    for session, item in zip(events.session.tolist(), events.item.tolist(), strict=True):
        want.setdefault(events.sessions.ids[session], []).append(events.items.ids[item])
    assert sessions.ids.tolist() == list(want)
    assert as_lists(sessions) == list(want.values())
    counts = Counter(i for items in want.values() for i in items)
    assert sessions.vocab.ids.tolist() == sorted(counts, key=lambda i: (-counts[i], i))
    assert sessions.vocab.counts.tolist() == sorted(counts.values(), reverse=True)
    assert sessions.times.tolist() == events.time.tolist()
    assert sessions.users.tolist() == [f"user of {s}" for s in want]


def test_load_refuses_files_of_other_sessions(tmp_path: Path) -> None:
    good = Sessions.of_lists([["a", "b"], ["a"]])
    with artifacts.writing(tmp_path / "s", "sessions", {}) as draft:
        good.save(tmp_path / "good", {})
        for file in (tmp_path / "good").iterdir():
            if file.name != artifacts.MANIFEST:
                draft.path(file.name).write_bytes(file.read_bytes())
        draft.array("items", np.array([0, 1, 7], dtype=np.int32))
    with pytest.raises(ArtifactError) as refused:
        Sessions.load(artifacts.read(tmp_path / "s"))
    assert str(refused.value) == (
        f"{tmp_path}/s cannot be opened (rows of 'items' must be in [0, 2), but range from 0 to 7); "
        "prepare the data again"
    )


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 2], "offsets of sessions must ascend from 0 to the number of events"),
        ([1, 3], "offsets of sessions must ascend from 0 to the number of events"),
        ([0, 4, 3], "offsets of sessions must ascend from 0 to the number of events"),
        ([], "offsets of sessions must ascend from 0 to the number of events"),
        ([0, 1, 3], "'ids' of these sessions must have 2 values, but has shape (1,)"),
    ],
)
def test_offsets_that_do_not_fit_are_refused(offsets: list[int], message: str) -> None:
    with pytest.raises(DataError) as refused:
        Sessions(np.array(offsets), np.array([0, 0, 0]), Vocab(["a"]), np.array([7]))
    assert str(refused.value) == message


def test_sessions_can_be_loaded_without_ids_and_names(tmp_path: Path) -> None:
    events = Events.of(["b", "b", "a"], [3, 4, 3], user=["u", "u", "v"], kind=["x", "y", "x"])
    features = Features(Vocab([3]), {"year": np.array([1990.0], dtype=np.float32)})
    whole = sessionize(replace(events, item_features=features))
    whole.save(tmp_path / "s", {})
    loaded = Sessions.load(tmp_path / "s", named=False)
    assert loaded.ids.tolist() == [0, 1]
    assert loaded.users is None and loaded.item_features is None
    assert (loaded.items.tolist(), loaded.offsets.tolist()) == (whole.items.tolist(), whole.offsets.tolist())
    assert loaded.vocab.ids.tolist() == whole.vocab.ids.tolist()
    assert Sessions.load(tmp_path / "s").ids.tolist() == ["b", "a"]


@pytest.mark.parametrize("given", [["abc", "bcd"], "abc", [b"ab"], {"s": ["a"]}, [{"a": 1}], [1, 2], 5, [None]])
def test_a_string_is_not_a_list_of_items(given: Any) -> None:
    for vocab in (None, Vocab(["a"])):
        with pytest.raises(DataError, match=r"must be a list of (items|lists of items)"):
            Sessions.of_lists(given, vocab)


def test_a_string_is_not_a_list_of_ids() -> None:
    for find in (Vocab(["a"]).rows, Vocab(["a"]).rows_of, Vocab([1]).rows):
        with pytest.raises(DataError, match="ids must be a list, but 'ab' is a string"):
            find("ab")
    with pytest.raises(EmbedrecError, match="items must be a list"):
        find_items(Vocab(["a"]), "ab")


@pytest.mark.parametrize("name", sorted(MODELS))
def test_fit_refuses_other_types_than_sessions(name: str) -> None:
    for given in ([["a", "b"]], np.zeros((2, 2)), None):
        with pytest.raises(DataError, match="a model is trained on Sessions, not on "):
            recipe_class(name)().fit(given)
