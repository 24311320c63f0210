"""Searches of byte codes, against products of the decoded codes in all visited cells."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.index.ivf_bytes import _blocks
from embedrec.kernels.ivf_codes import arrange, search_codes
from tests.conftest import read_only


class Cells:
    """Codes in cells, whose labels are any numbers."""

    def __init__(self, sizes: list[int], d: int, *, spare: int = 0, residual: bool = True, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.d, self.residual = d, residual
        self.codes = [rng.integers(0, 256, (size, d + spare)).astype(np.uint8) for size in sizes]
        numbers = rng.permutation(sum(sizes)) * 10**5 + 2**31
        self.labels = [np.ascontiguousarray(part) for part in np.split(numbers, np.cumsum(sizes)[:-1])]
        self.centroid_codes = rng.integers(0, 256, (len(sizes), d)).astype(np.uint8)
        self.steps = rng.uniform(0.01, 0.02, (2, d)).astype(np.float32)

    def search(self, queries: np.ndarray, k: int, probes: int) -> np.ndarray:
        each = zip(self.codes, self.labels, strict=True)
        lists = np.array([[c.ctypes.data if len(c) else 0, m.ctypes.data, len(c)] for c, m in each], dtype=np.int64)
        labels = np.full((len(queries), k), -9, dtype=np.int64)
        nothing = np.empty(0, dtype=np.float32)
        search_codes(
            read_only(lists), self.codes[0].shape[1], read_only(self.steps), read_only(_blocks(self.centroid_codes)),
            nothing, self.residual, probes, read_only(queries), k, labels, read_only(nothing.reshape(0, self.d)),
            np.empty(0, dtype=np.int64), 0, labels[:, :0], np.empty((len(queries), 0), dtype=np.float32),
        )  # fmt: skip
        return labels

    def slow(self, query: np.ndarray, k: int, probes: int) -> list[int]:
        """The labels of the best codes, one after the other."""
        query = query[: self.d].astype(np.float64)
        products = (self.centroid_codes * self.steps[0].astype(np.float64)) @ query
        scored = []
        for cell in np.argsort(-products, kind="stable")[:probes].tolist():
            base = float(products[cell]) if self.residual else 0.0
            for code, label in zip(self.codes[cell], self.labels[cell], strict=True):
                scored.append((base + float((code[: self.d] * self.steps[1].astype(np.float64)) @ query), int(label)))
        return [label for _, label in sorted(scored, reverse=True)[:k]]


def exact_queries(steps: np.ndarray, count: int, spare: int, seed: int) -> np.ndarray:
    """Queries that lose nothing when they become codes: products with the steps are whole numbers up to 127."""
    rng = np.random.default_rng(seed)
    wanted = rng.integers(-127, 128, (count, steps.shape[1]))
    wanted[:, 0] = 127
    return np.pad((wanted / steps[1]).astype(np.float32), ((0, 0), (0, spare)), constant_values=99)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("d", [1, 4, 7, 64, 70])
@pytest.mark.parametrize(("sizes", "q", "k", "probes"), [
    ([1], 1, 1, 1), ([40], 9, 3, 1), ([0, 3, 17, 0, 4], 7, 5, 3), ([5] * 50, 300, 7, 4), ([5] * 50, 1, 7, 50),
    ([1100, 1, 16, 64], 30, 4, 2), ([3, 3], 2, 400, 2), ([9] * 3, 0, 2, 1), ([20] * 40, 60, 10, 39),
])  # fmt: skip
def test_the_best_codes_of_the_nearest_cells_are_found(
    sizes: list[int], q: int, k: int, probes: int, d: int, residual: bool
) -> None:
    cells = Cells(sizes, d, spare=d % 3, residual=residual)
    cells.steps[0] = cells.steps[1]  # so that both products with the query are exact
    queries = exact_queries(cells.steps, q, d % 3, seed=k)
    results = cells.search(queries, k, probes)
    for result, query in zip(results.tolist(), queries, strict=True):
        expected = cells.slow(query, k, probes)
        if d >= 64:  # fewer dimensions have equal sums
            assert result[: len(expected)] == expected
        valid = [label for label in result if label >= 0]
        assert len(valid) == len(set(valid)) == len(expected) and result[len(expected) :] == [-1] * (k - len(expected))
    if q > 2 and d >= 64:
        assert (cells.search(queries[2:3], k, probes) == results[2:3]).all()


@pytest.mark.parametrize("k", [1, 3, 20])
def test_ascending_scores_displace_all_earlier_candidates(k: int) -> None:
    cells = Cells([250], 1)
    cells.codes = [np.arange(250, dtype=np.uint8)[:, None]]
    result = cells.search(np.ones((17, 1), dtype=np.float32), k, 1)
    assert (result == cells.labels[0][: -k - 1 : -1]).all()


def test_zero_queries_find_as_many_labels_as_others() -> None:
    cells = Cells([9, 9, 9], 4)
    (result,) = cells.search(np.zeros((1, 4), dtype=np.float32), 12, 3).tolist()
    assert len(set(result)) == 12 and -1 not in result


@pytest.mark.parametrize("d", [1, 3, 4, 64, 66, 131])
@pytest.mark.parametrize("size", [1, 16, 37])
def test_arranged_codes_are_those_of_numpy(size: int, d: int) -> None:
    codes = np.random.default_rng(2).integers(0, 256, (size, d + 2)).astype(np.uint8)
    expected = _blocks(codes[:, :d].copy())
    blocks = np.full((len(expected) + 1, *expected.shape[1:]), -1, dtype=np.int32)
    arrange(codes.ctypes.data, d + 2, d, size, blocks)
    for code in range(size):
        assert (blocks[code // 16, :, code % 16] == expected[code // 16, :, code % 16]).all()
    assert (blocks[-1] == -1).all()
