"""Generated vectors and sessions for the benches: clustered like trained ones, dense like the logs of a large shop."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedrec import Embeddings, Vocab, build_index, save_index
from embedrec.data.sessions import Sessions


def clustered(n: int, d: int, *, clusters: int = 500, seed: int = 0) -> Embeddings:
    """n vectors (n, d) around Gaussian centres, with ids in the format of artist URIs."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, d)).astype(np.float32)
    noise = rng.normal(size=(n, d)).astype(np.float32)
    vectors = centres[rng.integers(0, clusters, n)] + 0.5 * noise
    ids = np.array([f"spotify:artist:{i:022d}" for i in range(n)], dtype=object)
    names = np.array([f"Artist {i}" for i in range(n)], dtype=object)
    return Embeddings(vectors, Vocab(ids, names))


def indexed(workspace: Path, n: int, d: int, kind: str) -> str:
    """Save an index of n × d vectors in the workspace; returns its name."""
    name = f"generated-{kind}"
    save_index(build_index(clustered(n, d), kind), workspace / "indexes" / name, {"type": kind})
    return name


def shopping(count: int, items: int, *, seed: int = 0) -> Sessions:
    """So many sessions of about 5 events. A session has a topic of 100 items, of which four fifths of its events are.

    Popularity of topics falls with rank ** .7, that of items in their topic with rank, as in public logs of clicks.
    """
    rng = np.random.default_rng(seed)
    lengths = np.minimum(1 + rng.geometric(0.25, count), 50)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    topics = items // 100
    topic = np.repeat(_zipf(rng, count, topics, 0.7), lengths)
    stray = rng.random(len(topic)) < 0.2
    topic[stray] = _zipf(rng, int(stray.sum()), topics, 0.7)
    rows = topic * 100 + _zipf(rng, len(topic), 100, 1.0)
    vocab = Vocab(np.arange(items)).with_counts(np.bincount(rows, minlength=items))
    return Sessions(offsets, rows, vocab, np.arange(count))


def _zipf(rng: np.random.Generator, size: int, ranks: int, exponent: float) -> np.ndarray:
    """Ranks from 0, drawn in proportion to (rank + 1) ** −exponent: (size,) int64."""
    share = np.cumsum(1 / np.arange(1, ranks + 1) ** exponent)
    return np.searchsorted(share, rng.random(size) * share[-1])
