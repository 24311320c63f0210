"""Vectors to measure on: clustered like trained ones, from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedrec import Embeddings, Vocab, build_index, save_index


def clustered(n: int, d: int, *, clusters: int = 500, seed: int = 0) -> Embeddings:
    """n vectors (n, d) around Gaussian centres, with ids like those of artists."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, d)).astype(np.float32)
    noise = rng.normal(size=(n, d)).astype(np.float32)
    vectors = centres[rng.integers(0, clusters, n)] + 0.5 * noise
    ids = np.array([f"spotify:artist:{i:022d}" for i in range(n)], dtype=object)
    names = np.array([f"Artist {i}" for i in range(n)], dtype=object)
    return Embeddings(vectors, Vocab(ids, names))


def indexed(workspace: Path, n: int, d: int, kind: str) -> str:
    """Save an index of n × d vectors in the workspace; its name."""
    name = f"generated-{kind}"
    save_index(build_index(clustered(n, d), kind), workspace / "indexes" / name, {"type": kind})
    return name
