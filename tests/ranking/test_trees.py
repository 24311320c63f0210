"""The trees of a ranker: LightGBM's sums, contributions, and texts that are damaged or made up."""

from __future__ import annotations

import sys
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedrec.errors import DataError, SettingsError
from embedrec.ranking.trees import Trees

F = 3
VALUES = [np.nan, 0, -0.0, 1e-40, -1e-40, 1e-35, -1e-35, 1.1e-35, 0.5, 1, 2, -1, -3, 1e30, 3e38, np.inf, -np.inf]
GIVEN = np.random.default_rng(0).choice(np.array(VALUES, np.float32), (400, F))
GIVEN.flags.writeable = False


def booster(seed: int, trees: int, **parameters: Any) -> lightgbm.Booster:
    rng = np.random.default_rng(seed)
    features = rng.choice(np.array([np.nan, 0, 1e-36, 0.25, 0.5, 1, 2, -1, -3, 1e30], np.float32), (600, F))
    features[:, 0] += rng.normal(size=600).astype(np.float32)
    data = lightgbm.Dataset(features, rng.integers(0, 2, 600), group=[20] * 30)
    fixed = {"objective": "lambdarank", "verbosity": -1, "num_threads": 1, "seed": seed % 1000}
    return lightgbm.train({**fixed, **parameters}, data, trees)


def text_of(model: lightgbm.Booster) -> bytes:
    content, end, _ = model.model_to_string().partition("end of trees\n")
    return f"{content}{end}".encode()


SMALL = text_of(booster(1, 2, num_leaves=3))


@given(
    st.integers(0, 2**31 - 1), st.integers(1, 8), st.integers(2, 64), st.integers(1, 300), st.booleans(), st.booleans()
)
@settings(max_examples=30)
def test_the_sum_is_that_of_lightgbm(
    seed: int, trees: int, leaves: int, smallest: int, missing: bool, bagging: bool
) -> None:
    parameters = {"num_leaves": leaves, "min_data_in_leaf": smallest, "use_missing": missing}
    parameters |= {"bagging_fraction": 0.5, "bagging_freq": 1} if bagging else {}
    model = booster(seed, trees, **parameters)
    scores = Trees.parse(text_of(model), features=F).predict(GIVEN)
    assert np.array_equal(scores, model.predict(GIVEN).astype(np.float32))


def test_rows_are_the_same_from_any_number_of_threads() -> None:
    trees = Trees.parse(SMALL, features=F)
    many = np.tile(GIVEN, (30, 1))
    assert trees.predict(many, threads=3).tolist() == trees.predict(GIVEN).tolist() * 30
    assert len(trees.predict(GIVEN[:0])) == 0
    assert len(trees) == 2


def test_contributions_add_up_to_the_score() -> None:
    trees = Trees.parse(SMALL, features=F)
    contributions = trees.contributions(GIVEN)
    assert contributions.shape == (len(GIVEN), F + 1)
    assert np.allclose(contributions.sum(axis=1), trees.predict(GIVEN), atol=1e-6)
    assert np.abs(contributions[:, :F]).max() > 0


def test_scores_need_no_lightgbm_but_contributions_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    trees = Trees.parse(SMALL, features=F)
    assert np.isfinite(trees.predict(GIVEN)).all()
    with pytest.raises(
        SettingsError, match=r"contributions of features needs? the package lightgbm; .*embedrec\[rank\]"
    ):
        trees.contributions(GIVEN)


@pytest.mark.parametrize("features", [GIVEN[:, :2], GIVEN.astype(np.float64), GIVEN[0]], ids=["F", "dtype", "row"])
def test_features_of_another_shape(features: np.ndarray) -> None:
    trees = Trees.parse(SMALL, features=F)
    for answer in (trees.predict, trees.contributions):
        with pytest.raises(DataError, match=r"the trees need float32 features of shape \(N, 3\), but were given float"):
            answer(features)


def test_truncated_texts() -> None:
    for end in range(len(SMALL)):
        with pytest.raises(DataError, match="the trees are damaged: line"):
            Trees.parse(SMALL[:end], features=F)


@pytest.mark.slow
def test_flipped_bits() -> None:
    """A text with another bit is refused, or means the same to LightGBM, which then does not crash."""
    equal = 0
    for place in range(len(SMALL)):
        for bit in (0, 3, 6):  # another digit, another letter, and mostly no number
            changed = bytearray(SMALL)
            changed[place] ^= 1 << bit
            try:
                trees = Trees.parse(bytes(changed), features=F)
            except DataError:
                continue
            expected = lightgbm.Booster(model_str=changed.decode()).predict(GIVEN)
            assert np.array_equal(trees.predict(GIVEN), expected.astype(np.float32)), (place, bit)
            assert np.isfinite(trees.contributions(GIVEN)).all()
            equal += 1
    assert equal > 100


def test_bytes_that_are_no_trees() -> None:
    for text in (b"", b"\n" * 10_000, b"\xff" * 100, SMALL + b"\n", SMALL + SMALL, b"tree\r\n" + SMALL[5:]):
        with pytest.raises(DataError, match="the trees are damaged: line"):
            Trees.parse(text, features=F)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"objective=lambdarank", b"objective=regression", "must be 'objective=lambdarank'"),
        (b"num_class=1", b"num_class=2", "must be 'num_class=1'"),
        (b"tree\n", b"tree\naverage_output\n", "must be 'version=v4'"),
        (b"num_cat=0", b"num_cat=1", "must be 'num_cat=0'"),
        (b"is_linear=0", b"is_linear=1", "must be 'is_linear=0'"),
        (b"num_leaves=3", b"num_leaves=65", "must have numbers from 1 to 64"),
        (b"num_leaves=3", b"num_leaves=99999999999999999999", "has an invalid value"),
        (b"num_leaves=3", b"num_leaves=4", "must have 3 values"),
        (b"Tree=1", b"Tree=2", "must be 'Tree=1'"),
        (b"feature_names=Column_0 Column_1", b"feature_names=Column_1 Column_1", "must name each feature once"),
        (b"shrinkage=", b"shrinkage=0", "must end a tree of"),
    ],
)  # fmt: skip
def test_texts_that_training_does_not_write(old: bytes, new: bytes, problem: str) -> None:
    assert old in SMALL
    with pytest.raises(DataError, match=f"the trees are damaged: line [0-9]+ {problem}.*; train the ranker again"):
        Trees.parse(SMALL.replace(old, new, 1), features=F)


@pytest.mark.parametrize(
    ("key", "values", "problem"),
    [
        ("split_feature", "0 3", "must have numbers from 0 to 2"),
        ("split_feature", "0 -1", "must have numbers from 0 to 2"),
        ("threshold", "nan 1", "has an invalid value"),
        ("threshold", "-inf 1", "has an invalid value"),
        ("threshold", "1e+999 1", "is too large"),
        ("leaf_value", "1 inf 1", "has an invalid value"),
        ("decision_type", "1 10", r"must have decision types of \(0, 2, 8, 10\)"),
        ("decision_type", "4 10", r"must have decision types of \(0, 2, 8, 10\)"),
        ("right_child", "0 -3", "must make a tree"),
        ("right_child", "-2 -2", "must make a tree"),
        ("right_child", "1 1", "must make a tree"),
        ("right_child", "-4 -3", "must have numbers from -3 to 1"),
        ("right_child", "2 -3", "must have numbers from -3 to 1"),
        ("leaf_count", "0 1 1", "must have numbers from 1 to 2147483647"),
        ("internal_count", "7 7", "must have the sums of leaf counts"),
    ],
)  # fmt: skip
def test_values_that_make_no_tree(key: str, values: str, problem: str) -> None:
    lines = SMALL.decode().split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith(f"{key}="))
    lines[place] = f"{key}={values}"
    with pytest.raises(DataError, match=f"line {place + 1} {problem}; train the ranker again"):
        Trees.parse("\n".join(lines).encode(), features=F)


def test_another_number_of_features() -> None:
    with pytest.raises(DataError, match="the trees are of 3 features, but 4 are needed; train the ranker again"):
        Trees.parse(SMALL, features=4)


def test_zero_as_missing_is_refused() -> None:
    text = text_of(booster(3, 1, zero_as_missing=True))
    with pytest.raises(DataError, match="must have decision types of"):
        Trees.parse(text, features=F)
