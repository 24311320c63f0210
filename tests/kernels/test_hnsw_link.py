"""Links of a graph of near neighbours, against Algorithm 4 of Malkov and Yashunin (2018)."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.kernels.hnsw_link import link_back, link_new

METRICS = ("product", "distance")


def chosen_slowly(vectors: np.ndarray, row: int, rows: list[int], most: int, least: int, metric: str) -> list[int]:
    """Algorithm 4 of Malkov and Yashunin."""

    def similar(a: int, b: int) -> float:
        return float(vectors[a] @ vectors[b] if metric == "product" else -((vectors[a] - vectors[b]) ** 2).sum())

    chosen: list[int] = []
    passed: list[int] = []
    for near in sorted(rows, key=lambda near: -similar(row, near)):
        if len(chosen) < most and all(similar(near, s) <= similar(near, row) for s in chosen):
            chosen.append(near)
        else:
            passed.append(near)
    return chosen + passed[: max(least - len(chosen), 0)]


@pytest.mark.parametrize("metric", METRICS)
def test_links_are_selected_as_in_the_paper(metric: str) -> None:
    """Rows 0 to 9 get links; then 30 others to each of them, one after the other."""
    rng = np.random.default_rng(3)
    vectors = rng.integers(-9, 9, size=(60, 6)).astype(np.float32) + rng.normal(size=(60, 6)).astype(np.float32)
    width = 8
    links, begins = np.full(60 * width, -1, dtype=np.int32), np.arange(60) * width
    graph = np.array([vectors.ctypes.data, begins.ctypes.data, links.ctypes.data, 60, 0, 0, 6], dtype=np.int64)
    new, result = np.arange(10), rng.permuted(np.tile(np.arange(10, 40), (10, 1)), axis=1)
    result[3, 5:] = -1
    given = result.copy()
    result[:, 0] = np.where(new == 4, 4, result[:, 0])  # itself, which is passed over
    chosen = np.empty((10, width), dtype=np.int64)
    link_new(graph, width, new, result, metric == "distance", chosen)
    expected = [[near for near in given[i] if near >= 0] for i in new]
    expected[4] = expected[4][1:]
    lists = [chosen_slowly(vectors, i, rows, width, 0, metric) for i, rows in enumerate(expected)]
    table = links.reshape(60, width)
    for i, rows in enumerate(lists):
        assert table[i].tolist() == chosen[i].tolist() == rows + [-1] * (width - len(rows))
    back = np.arange(30, 60)
    link_back(graph, width, np.repeat(new, 30), np.tile(back, 10), metric == "distance")
    for i, rows in enumerate(lists):
        now = rows
        for near in back.tolist():
            now = now if near in now else [*now, near]
            if len(now) > width:
                now = chosen_slowly(vectors, i, now, width, width - width // 8, metric)
        assert [near for near in table[i] if near >= 0] == now
    assert (table[10:] == -1).all()
