"""Trees of a ranker: a text in the format of LightGBM, checked before anything reads it, and its own fast sums.

LightGBM's reader trusts its text and may crash on a damaged one. The text is therefore parsed here first: every line is
one that training writes, and every index, count and number is checked. LightGBM itself is needed for training and for
contributions only.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.errors import DataError, need_package

if TYPE_CHECKING:
    from embedrec.kernels.trees import PackedTrees

MOST_LEAVES = 64  # of a tree: a bit each
_ROWS = 4096  # for a further thread
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,17}")
_NUMBER = re.compile(rb"-?[0-9]{1,20}(?:\.[0-9]{1,30})?(?:e[+-][0-9]{1,3})?")
_THRESHOLD = re.compile(rb"inf|" + _NUMBER.pattern)  # infinity separates values from missing ones
_NAME = re.compile(rb"[A-Za-z0-9_]+")
_RANGE = re.compile(rb"none|\[(%b):(%b)\]" % (_NUMBER.pattern, _NUMBER.pattern))
_NAN_MISSING, _DEFAULT_LEFT = 8, 2  # bits of a decision type
_DECISIONS = (0, 2, 8, 10)  # no categories, and zero is not missing
_TINY = np.float32(1e-35)  # LightGBM takes features between −_TINY and _TINY for 0


@dataclass(frozen=True, eq=False)
class Trees:
    """T regression trees whose sum is the score of a row of features.

    text      in the format of LightGBM
    features  number of features
    packed    the trees as arrays
    """

    text: bytes
    features: int
    packed: PackedTrees

    @classmethod
    def parse(cls, text: bytes, *, features: int) -> Trees:
        """The trees of a text, which may be of a stranger.

        features  number of features that they must be of

        Raises DataError for a text that `train_trees` does not write.
        """
        return cls(text, features, _pack(_parse(text, features)))

    def __len__(self) -> int:
        return len(self.packed.nan_right)

    def predict(self, features: np.ndarray, *, threads: int = 1) -> np.ndarray:
        """The score of each row: (N,) float32, the sum of LightGBM.

        features  (N, F) float32, NaN for missing

        Raises DataError for features of another shape or type.
        """
        from embedrec.kernels.trees import sum_trees

        features = self._checked(features)
        scores = np.empty(len(features), np.float32)
        parts = max(1, min(threads, len(features) // _ROWS))
        if parts == 1:
            sum_trees(features, self.packed, scores)
            return scores
        bounds = np.linspace(0, len(features), parts + 1, dtype=np.int64)
        slices = [slice(*pair) for pair in pairwise(bounds)]
        with ThreadPoolExecutor(parts) as pool:
            list(pool.map(lambda part: sum_trees(features[part], self.packed, scores[part]), slices))
        return scores

    def contributions(self, features: np.ndarray, *, threads: int = 1) -> np.ndarray:
        """What each feature adds to the score of a row, and last the mean score: (N, F+1) float64.

        SHAP values (Lundberg et al. 2018), whose sum is the score. Raises DataError as `predict` does, and
        SettingsError if LightGBM is not installed.
        """
        return self._booster.predict(self._checked(features), pred_contrib=True, num_threads=threads)

    @cached_property
    def _booster(self) -> Any:
        need_package("lightgbm", "the contributions of features")
        from lightgbm import Booster

        return Booster(model_str=self.text.decode())

    def _checked(self, features: np.ndarray) -> np.ndarray:
        if features.dtype != np.float32 or features.ndim != 2 or features.shape[1] != self.features:
            raise DataError(
                f"the trees need float32 features of shape (N, {self.features}), but were given {features.dtype} of "
                f"{features.shape}"
            )
        return np.ascontiguousarray(features)


# ---------------------------------------------------------------------------------------------------------- parsing


@dataclass(frozen=True)
class _Tree:
    """A tree of n leaves; inner nodes are 0 … n − 2, the root first, and leaf i is the child ~i."""

    columns: list[int]
    thresholds: list[float]
    decisions: list[int]
    left: list[int]
    right: list[int]
    values: list[float]


def _parse(text: bytes, features: int) -> list[_Tree]:
    lines = _Lines(text.split(b"\n"))
    for line in (b"tree", b"version=v4", b"num_class=1", b"num_tree_per_iteration=1", b"label_index=0"):
        lines.fixed(line)
    given = lines.integers(b"max_feature_idx", 1, 0)[0] + 1
    if given != features:
        raise DataError(f"the trees are of {given} features, but {features} are needed; train the ranker again")
    lines.fixed(b"objective=lambdarank")
    names = lines.words(b"feature_names", features, _NAME)
    lines.require(len(set(names)) == features, "must name each feature once")
    lines.ranges(features)
    sizes = lines.integers(b"tree_sizes", None, 1)
    lines.fixed(b"")
    trees = []
    for number, size in enumerate(sizes):
        start = lines.offset
        lines.fixed(b"Tree=%d" % number)
        trees.append(lines.tree(features))
        lines.require(lines.offset - start == size, f"must end a tree of {size} bytes")
    lines.fixed(b"end of trees")
    lines.fixed(b"")
    lines.require(lines.number == len(lines.lines), "must be the last")
    return trees


@dataclass
class _Lines:
    """Reads lines; `number` of them were read, which are `offset` bytes."""

    lines: list[bytes]
    number: int = 0
    offset: int = 0

    def line(self) -> bytes:
        line = self.lines[self.number] if self.number < len(self.lines) else b""
        self.number += 1
        self.offset += len(line) + 1
        return line

    def require(self, condition: bool, problem: str) -> None:
        if not condition:
            raise DataError(f"the trees are damaged: line {self.number} {problem}; train the ranker again")

    def fixed(self, expected: bytes) -> None:
        self.require(self.line() == expected, f"must be {expected.decode()!r}")

    def words(self, key: bytes, count: int | None, pattern: re.Pattern[bytes]) -> list[bytes]:
        """The words after "key=", `count` or at least one; all match a pattern."""
        given, equals, content = self.line().partition(b"=")
        self.require(bool(equals) and given == key, f"must begin with '{key.decode()}='")
        words = content.split(b" ") if content else []
        complete = len(words) == count if count is not None else len(words) > 0
        self.require(complete, f"must have {count or 'some'} values")
        self.require(all(map(pattern.fullmatch, words)), "has an invalid value")
        return words

    def integers(self, key: bytes, count: int | None, low: int, high: int = 2**31 - 1) -> list[int]:
        numbers = list(map(int, self.words(key, count, _INTEGER)))
        self.require(all(low <= number <= high for number in numbers), f"must have numbers from {low} to {high}")
        return numbers

    def floats(self, key: bytes, count: int, pattern: re.Pattern[bytes] = _NUMBER) -> list[float]:
        words = self.words(key, count, pattern)
        numbers = list(map(float, words))
        self.require(all(isfinite(x) or word == b"inf" for x, word in zip(numbers, words, strict=True)), "is too large")
        return numbers

    def ranges(self, features: int) -> None:
        """The lowest and highest value of each feature."""
        for word in self.words(b"feature_infos", features, _RANGE):
            if word != b"none":
                low, high = map(float, word[1:-1].split(b":"))
                self.require(isfinite(low) and isfinite(high), "is too large")

    def tree(self, features: int) -> _Tree:
        leaves = self.integers(b"num_leaves", 1, 1, MOST_LEAVES)[0]
        n = leaves - 1
        self.fixed(b"num_cat=0")
        columns = self.integers(b"split_feature", n, 0, features - 1)
        self.floats(b"split_gain", n)
        thresholds = self.floats(b"threshold", n, _THRESHOLD)
        decisions = self.integers(b"decision_type", n, 0)
        self.require(set(decisions) <= set(_DECISIONS), f"must have decision types of {_DECISIONS}")
        left = self.integers(b"left_child", n, -leaves, n - 1)
        right = self.integers(b"right_child", n, -leaves, n - 1)
        after_parent = all(child < 0 or child > node for side in (left, right) for node, child in enumerate(side))
        every = [*range(-leaves, 0), *range(1, n)] if n else []
        self.require(after_parent and sorted(left + right) == every, "must make a tree")
        values = self.floats(b"leaf_value", leaves)
        self.floats(b"leaf_weight", leaves if n else 0)
        counts = self.integers(b"leaf_count", leaves, 1)
        self.floats(b"internal_value", n)
        self.floats(b"internal_weight", n)
        sums = self.integers(b"internal_count", n, 2)
        below = [[counts[~child] if child < 0 else sums[child] for child in side] for side in (left, right)]
        self.require(sums == [a + b for a, b in zip(*below, strict=True)], "must have the sums of leaf counts")
        self.fixed(b"is_linear=0")
        self.floats(b"shrinkage", 1)
        self.fixed(b"")
        self.fixed(b"")
        return _Tree(columns, thresholds, decisions, left, right, values)


# ---------------------------------------------------------------------------------------------------------- packing


def _pack(trees: list[_Tree]) -> PackedTrees:
    from embedrec.kernels.trees import PackedTrees

    nodes, nan_right, leaves = [0], [], [0]
    columns: list[int] = []
    thresholds: list[float] = []
    kept: list[int] = []
    values: list[float] = []
    for tree in trees:
        reachable, order = _leaves_right(tree)
        go_right = [_nan_goes_right(*pair) for pair in zip(tree.decisions, tree.thresholds, strict=True)]
        nan_right.append(nodes[-1] + go_right.count(False))
        nodes.append(nodes[-1] + len(go_right))
        by_side = sorted(range(len(go_right)), key=go_right.__getitem__)
        columns += [tree.columns[node] for node in by_side]
        thresholds += [tree.thresholds[node] for node in by_side]
        kept += [reachable[node] for node in by_side]
        leaves.append(leaves[-1] + len(order))
        values += [tree.values[leaf] for leaf in order]
    wide = np.diff(leaves).max(initial=1) > 32
    return PackedTrees(
        np.array(nodes, np.int64),
        np.array(nan_right, np.int64),
        np.array(columns, np.int32),
        _as_float32(np.array(thresholds, np.float64)),
        np.array(kept, np.uint64).astype(np.uint64 if wide else np.uint32),
        np.array(leaves, np.int64),
        np.array(values, np.float64),
    )


def _leaves_right(tree: _Tree) -> tuple[list[int], list[int]]:
    """For each inner node the bits of all leaves that are not left of it; and the leaves from left to right."""
    n = len(tree.left)
    widths, starts = [1] * n, [0] * n

    def width(child: int) -> int:
        return 1 if child < 0 else widths[child]

    for node in reversed(range(n)):  # children come after their parents
        widths[node] = width(tree.left[node]) + width(tree.right[node])
    reachable, order = [0] * n, [0] * (n + 1)
    for node in range(n):
        left, right = tree.left[node], tree.right[node]
        middle = starts[node] + width(left)
        reachable[node] = 2**MOST_LEAVES - 1 ^ (1 << middle) - (1 << starts[node])
        for child, start in ((left, starts[node]), (right, middle)):
            if child < 0:
                order[start] = ~child
            else:
                starts[child] = start
    return reachable, order


def _nan_goes_right(decision: int, threshold: float) -> bool:
    """Where no value was missing in training, a missing value is 0."""
    return not decision & _DEFAULT_LEFT if decision & _NAN_MISSING else threshold < 0


def _as_float32(thresholds: np.ndarray) -> np.ndarray:
    """Thresholds that float32 features compare with as LightGBM's float64 thresholds do: rounded down.

    Features between −_TINY and _TINY are to compare as 0 does.
    """
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(np.float32)
    above = rounded > thresholds
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    rounded[(rounded >= 0) & (rounded < _TINY)] = _TINY
    rounded[(rounded < 0) & (rounded >= -_TINY)] = np.nextafter(-_TINY, np.float32(-np.inf))
    return rounded
