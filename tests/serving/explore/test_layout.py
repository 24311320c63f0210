"""The layout keeps neighbours, whatever the number of items."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data.vocab import Vocab
from embedrec.html_report.item_map import project_to_plane
from embedrec.serving.explore import layout
from embedrec.serving.explore.layout import lay_out, t_sne
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import unit


def grouped(groups: int, size: int, dim: int = 16) -> Embeddings:
    """Vectors of groups that are apart; the items of a group are in a run."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(groups, dim))
    vectors = np.repeat(centres, size, axis=0) + rng.normal(0, 0.2, (groups * size, dim))
    return Embeddings(vectors.astype(np.float32), Vocab(np.arange(groups * size)), "cosine")


def same_group(positions: np.ndarray, size: int, k: int = 5) -> float:
    """The share of the k nearest points of each that are of its group."""
    squares = ((positions[:, None].astype(np.float64) - positions) ** 2).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    nearest = np.argsort(squares, axis=1)[:, :k]
    return float((nearest // size == (np.arange(len(positions)) // size)[:, None]).mean())


def test_groups_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a landmark for each item, and with few landmarks; better than by principal components."""
    embeddings = grouped(60, 8, 8)
    plain = same_group(project_to_plane(embeddings, np.arange(480), "pca")[0], 8)
    whole = same_group(lay_out(embeddings).positions, 8)
    monkeypatch.setattr(layout, "LANDMARKS", 120)
    few = same_group(lay_out(embeddings).positions, 8)
    assert whole > 0.95 and few > 0.9
    assert plain < 0.6


def test_positions_are_in_the_square_and_the_same_each_time() -> None:
    embeddings = grouped(5, 200)
    first, second = lay_out(embeddings), lay_out(embeddings)
    assert first.positions.dtype == first.landmarks.dtype == np.float32
    assert np.abs(first.positions).max() == pytest.approx(1)
    assert first.positions.tolist() == second.positions.tolist()
    assert first.nearest.tolist() == second.nearest.tolist()
    assert first.landmarks.shape == (layout.LANDMARKS, 2)
    assert set(first.nearest.tolist()) <= set(range(layout.LANDMARKS))


@pytest.mark.parametrize("n", range(8))
def test_small_catalogues_have_a_layout(n: int) -> None:
    vectors = np.eye(max(n, 1), 4, dtype=np.float32)[:n]  # from the fifth on, vectors are zero
    placed = lay_out(Embeddings(vectors, Vocab(np.arange(n)), "cosine"))
    assert placed.positions.shape == (n, 2)
    assert np.isfinite(placed.positions).all()
    assert np.abs(placed.positions).max(initial=0) <= 1 + 1e-6


def test_equal_vectors_have_a_layout() -> None:
    vectors = np.ones((50, 4), dtype=np.float32)
    placed = lay_out(Embeddings(vectors, Vocab(np.arange(50)), "cosine"))
    assert np.isfinite(placed.positions).all()


def test_t_sne_separates_two_groups() -> None:
    vectors = unit(grouped(2, 15).vectors)
    placed = t_sne(vectors, np.random.default_rng(0).normal(size=(30, 2)))
    assert same_group(placed, 15) == 1
