"""Sums of trees, against a walk from the root to a leaf."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.trees import PackedTrees, sum_trees
from tests.conftest import read_only

FEATURES = 3


@dataclass
class Node:
    """An inner node, or a leaf without children."""

    column: int = 0
    threshold: float = 0
    nan_right: bool = False
    value: float = 0
    children: list[Node] = field(default_factory=list)

    def leaves(self) -> list[Node]:
        return [leaf for child in self.children for leaf in child.leaves()] if self.children else [self]

    def nodes(self) -> list[Node]:
        return [self, *(node for child in self.children for node in child.nodes())] if self.children else []

    def walk(self, row: np.ndarray) -> float:
        if not self.children:
            return self.value
        value = row[self.column]
        right = self.nan_right if np.isnan(value) else value > np.float32(self.threshold)
        return self.children[int(right)].walk(row)


def random_tree(leaves: int, rng: np.random.Generator) -> Node:
    if leaves == 1:
        return Node(value=rng.normal())
    left = int(rng.integers(1, leaves))
    children = [random_tree(left, rng), random_tree(leaves - left, rng)]
    return Node(int(rng.integers(FEATURES)), rng.integers(-2, 3) / 2, bool(rng.integers(2)), children=children)


def pack(trees: list[Node], bits: type) -> PackedTrees:
    nodes = [sorted(tree.nodes(), key=lambda node: node.nan_right) for tree in trees]
    kept = []
    for tree, inner in zip(trees, nodes, strict=True):
        order = {id(leaf): i for i, leaf in enumerate(tree.leaves())}
        for node in inner:
            kept.append(2**64 - 1 - sum(1 << order[id(leaf)] for leaf in node.children[0].leaves()))
    every = [node for inner in nodes for node in inner]
    starts = list(accumulate(map(len, nodes), initial=0))
    nan_right = [start + sum(not node.nan_right for node in inner) for start, inner in zip(starts, nodes, strict=False)]
    arrays = PackedTrees(
        np.array(starts, np.int64),
        np.array(nan_right, np.int64),
        np.array([node.column for node in every], np.int32),
        np.array([node.threshold for node in every], np.float32),
        np.array(kept, np.uint64).astype(bits),
        np.array(list(accumulate((len(tree.leaves()) for tree in trees), initial=0)), np.int64),
        np.array([leaf.value for tree in trees for leaf in tree.leaves()]),
    )
    return PackedTrees(*map(read_only, arrays))


@pytest.mark.parametrize(("most", "bits"), [(32, np.uint32), (32, np.uint64), (64, np.uint64)])
@given(st.integers(0, 200), st.integers(0, 6), st.integers(0, 2**32))
def test_against_a_walk(most: int, bits: type, n: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    trees = [random_tree(int(rng.integers(1, most + 1)), rng) for _ in range(count)]
    features = rng.choice(np.array([-1, -0.5, 0, 0.25, 1, 2, np.inf, -np.inf, np.nan], np.float32), (n, FEATURES))
    sums = np.full(n, np.nan, np.float32)
    sum_trees(read_only(features), pack(trees, bits), sums)
    expected = np.array([sum((tree.walk(row) for tree in trees), 0.0) for row in features])
    assert np.array_equal(sums, expected.astype(np.float32))


def test_a_tree_of_64_leaves_in_a_line() -> None:
    """Each bit of the 64 is reached, also where the tree is as deep as it can be."""
    tree = Node(value=0)
    for leaf in range(1, 64):
        tree = Node(0, float(-leaf), children=[Node(value=leaf), tree])
    features = np.arange(-64, 1, dtype=np.float32)[:, None].repeat(FEATURES, 1)
    sums = np.empty(65, np.float32)
    sum_trees(features, pack([tree], np.uint64), sums)
    assert sums.tolist() == [63.0, *map(float, range(63, -1, -1))]
