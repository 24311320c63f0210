"""Features: what is saved is loaded, alignment goes by id, scaling knows the training vocabulary only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Events, Features, Sessions, Vocab
from embedrec.data.features import Categories, Lists, Scaling
from embedrec.data.sessions import sessionize
from embedrec.errors import DataError
from embedrec.storage import artifacts
from tests.data import strategies as draw
from tests.data.random_features import as_rows, features, same


@draw.given(features(), st.data())
def test_features_are_aligned_by_id(given: Features, data: st.DataObject) -> None:
    known = given.vocab.ids.tolist()
    other: list[Any] = data.draw(st.permutations(known))[: data.draw(st.integers(0, len(known)))]
    new = max(known) + "x" if known and isinstance(known[0], str) else None
    vocab = Vocab([*other, *([new] if new else [])])
    aligned, rows = given.align(vocab), as_rows(given)
    nothing = dict.fromkeys([*given.numeric, *given.categorical]) | {name: [] for name in given.lists}
    assert as_rows(aligned) == {i: rows.get(i, nothing) for i in vocab.ids.tolist()}
    assert aligned.vocab is vocab and given.align(given.vocab) is given
    for name, words in given.categorical.items():
        assert aligned.categorical[name].names is words.names  # codes keep their meaning


def test_scaling_uses_the_training_vocabulary_only() -> None:
    given = Features(
        Vocab(["a", "b", "c", "d"]),
        {
            "x": np.array([1, 3, np.nan, 1000]),
            "constant": np.full(4, 0.1),
            "missing": np.full(4, np.nan),
            "test only": np.array([np.nan, np.nan, np.nan, 7]),
        },
    )
    train = Vocab(["c", "b", "a", "unknown"])
    scaling = given.scaling(train)
    assert scaling.names == ("x", "constant", "missing", "test only")
    np.testing.assert_allclose(scaling.mean, [2, 0.1, 0, 0], rtol=1e-6)
    assert scaling.std.tolist() == [1, 1, 1, 1]
    matrix = scaling.matrix(given.align(Vocab(["d", "a", "unknown"])))
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, [[998, 0, 0, 7], [-1, 0, 0, 0], [0, 0, 0, 0]], atol=1e-6)


@draw.given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_scaled_columns_have_mean_0_and_deviation_1(values: list[float]) -> None:
    given = Features(Vocab(list(range(len(values)))), {"x": np.array(values, dtype=np.float32)})
    scaled = given.scaling(given.vocab).matrix(given)[:, 0].astype(np.float64)
    assert abs(scaled.mean()) < 1e-3
    assert abs(scaled.std() - (1 if max(values) > min(values) else 0)) < 1e-3


_NAMES = np.array(["p", "q"], dtype=object)
_AB = Vocab(["a", "b"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Features(_AB, {"x": np.zeros(3)}), "the feature 'x' must have 2 rows, one per id, but has 3"),
        (lambda: Features(_AB, {"x": np.zeros((2, 2))}), "the feature 'x' must have 2 rows, one per id, but has 2"),
        (lambda: Features(_AB, {"x": [1, np.inf]}), "the feature 'x' contains infinity; use NaN for missing values"),
        (
            lambda: Features(_AB, {"x": np.zeros(2)}, {"x": Categories(np.zeros(2), _NAMES)}),
            "a feature cannot be called 'x'; names must be unique, not empty and not 'id'",
        ),
        (
            lambda: Features(_AB, {"id": np.zeros(2)}),
            "a feature cannot be called 'id'; names must be unique, not empty and not 'id'",
        ),
        (
            lambda: Categories([0, 2], _NAMES),
            "codes of categories must be one-dimensional and in [-1, 2)",
        ),
        (lambda: Lists([0, 1], [-1], _NAMES), "codes of categories must be one-dimensional and in [0, 2)"),
        (lambda: Lists([0, 2, 1], [0], _NAMES), "offsets of lists must ascend from 0 to the number of codes"),
        (lambda: Lists([0, 2], [0], _NAMES), "offsets of lists must ascend from 0 to the number of codes"),
        (lambda: Categories([0], ["p", "p"]), "vocabulary ids must be unique, but 'p' occurs twice"),
        (lambda: Categories([0], [1, 2]), "names of categories must be strings"),
        (
            lambda: Scaling(("x",), np.zeros(2), np.ones(1)),
            "means and deviations of 1 columns must have shape (1,), but have (2,) and (1,)",
        ),
        (
            lambda: Scaling(("x",), np.zeros(1), np.zeros(1)),
            "means must be finite, and deviations finite and above 0",
        ),
        (
            lambda: Scaling(("x",), np.zeros(1), np.ones(1)).matrix(Features(_AB, {"y": np.zeros(2)})),
            "the numeric feature 'x' is missing; available are y",
        ),
    ],
)
def test_invalid_features_are_refused(make: Any, message: str) -> None:
    with pytest.raises(DataError) as refused:
        make()
    assert str(refused.value) == message


def events_with_features() -> Events:
    from dataclasses import replace

    made = Events.of(["s", "s", "t"], ["b", "a", "b"], user=["u", "u", "v"])
    items = Features(Vocab(["a", "b", "never"]), {"x": np.array([1, 2, 3])})
    users = Features(Vocab(["v", "u"]), {}, {"c": Categories([0, -1], _NAMES)})
    return replace(made, item_features=items, user_features=users)


def test_sessions_keep_features_through_all_operations() -> None:
    events = events_with_features()
    sessions = sessionize(events.filter(np.array([True, True, False])))
    for other in (
        sessions,
        sessions.filter_events(np.array([True, False])),
        sessions.take(np.array([0])),
        sessions.drop_unused_items(),
        sessions.reindex(Vocab(["a"])),
    ):
        assert other.item_features is events.item_features
        assert other.user_features is events.user_features


@pytest.mark.parametrize("part", ["", "test_"])
def test_sessions_are_saved_with_their_features(tmp_path: Path, part: str) -> None:
    sessions = sessionize(events_with_features())
    with artifacts.writing(tmp_path / "s", "sessions", {}) as draft:
        sessions.write(draft, part)
    artifact = artifacts.read(tmp_path / "s")
    assert f"{part}item_features.parquet" in artifact and f"{part}user_features.parquet" in artifact
    loaded = Sessions.load(artifact, part)
    assert loaded.item_features and sessions.item_features and same(loaded.item_features, sessions.item_features)
    assert loaded.user_features and sessions.user_features and same(loaded.user_features, sessions.user_features)


def test_sessions_without_features_write_no_feature_files(tmp_path: Path, sessions: Sessions) -> None:
    sessions.save(tmp_path / "s", {})
    artifact = artifacts.read(tmp_path / "s")
    assert not [name for name in artifact.files if "features" in name]
    assert Sessions.load(artifact).item_features is None
