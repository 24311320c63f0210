"""Smoothing of trained vectors: the mean vector of an item's contexts is added to its own.

The vector of an item of few mentions is mostly noise of the training; the mean over its contexts is not. One step of
averaging over neighbours, as in simplified graph convolution (Wu et al. 2019), on the graph of mentions and contexts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.vectors.exact_search import unit

MOST_BESIDE = 2  # items on each side of a mention that are its context, at most
NORM_POWER = 0.1  # norms of smoothed vectors grow with this power of the mentions


class Contexts(NamedTuple):
    """The contexts of n items.

    mean    (n, d) float32: mean over the mentions of an item of the mean unit vector beside the mention; 0 for none
    counts  (n,) int64 mentions that have others beside them
    """

    mean: np.ndarray
    counts: np.ndarray


def mean_contexts(sessions: Sessions, vectors: np.ndarray, window: int) -> Contexts:
    """The contexts of all items in sessions of their vocabulary.

    vectors  (n, d) of the items
    window   of the training; contexts are the same mentions, but at most 2 on each side
    """
    return mean_vectors_beside(sessions, unit(vectors), window)


def mean_vectors_beside(sessions: Sessions, vectors: np.ndarray, window: int) -> Contexts:
    """The same means of the vectors themselves, (n, d) float32."""
    from embedrec.kernels.context_means import add_context_means

    sums, counts = np.zeros(vectors.shape), np.zeros(len(vectors), dtype=np.int64)
    add_context_means(sessions.offsets, sessions.items, vectors, reach(window), sums, counts)
    return Contexts((sums / np.maximum(counts, 1)[:, None]).astype(np.float32), counts)


def reach(window: int) -> int:
    """Mentions on each side that are contexts in training with a window; 0 is the whole session."""
    return min(window or MOST_BESIDE, MOST_BESIDE)


def add_contexts(old: Contexts, new: Contexts) -> Contexts:
    """The contexts of two sets of sessions; `old` (m ≤ n) has the first m of the n items of `new`."""
    m = len(old.counts)
    counts = new.counts.copy()
    counts[:m] += old.counts
    mean = new.mean.copy()
    share = (old.counts / np.maximum(counts[:m], 1)).astype(np.float32)[:, None]  # of the old contexts
    mean[:m] = share * old.mean + (1 - share) * new.mean[:m]
    return Contexts(mean, counts)


def smooth(vectors: np.ndarray, contexts: Contexts, weight: float, most: int | None = None) -> np.ndarray:
    """Smoothed vectors (n, d) float32: the unit vectors, plus `weight` times the unit vectors of the contexts.

    Their norm is (mentions / most mentions) ** 0.1; mentions without others beside them do not count. None takes the
    most mentions of an item.
    """
    return add_means(vectors, contexts.mean, mention_norms(contexts.counts, most), weight)


def mention_norms(counts: np.ndarray, most: int | None = None) -> np.ndarray:
    """The norms of smoothed vectors of items with these mentions, see `smooth`: (n,) float32."""
    mentions = np.maximum(counts, 1)
    return ((mentions / (most or mentions.max(initial=1))) ** NORM_POWER).astype(np.float32)


def add_means(vectors: np.ndarray, means: np.ndarray, norms: np.ndarray, weight: float) -> np.ndarray:
    """The unit vectors (n, d) plus `weight` times the unit vectors of `means` (n, d), scaled to norms (n,): float32."""
    return unit(unit(vectors) + np.float32(weight) * unit(means)) * norms[:, None]
